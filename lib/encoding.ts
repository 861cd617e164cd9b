/** Media through the vision encoder on their own: what it makes of them, and what that would cost. */
import { whenAborted } from './abort'
import { encoderBytes } from './cost'
import type { EncodeRequest } from './engine/binding'
import type { Engine } from './engine/engine'
import { AbortError, endedEarly, fromNative } from './errors'
import type { Grid, Size } from './media/geometry'
import { inspectImage } from './media/image'
import { inspectVideo } from './media/video'
import { temporalPatch } from './media/videosampling'
import type { EmbedOptions } from './options'
import { imageEmbedding, videoEmbedding } from './prompt/messages'
import type { ImageEmbedding, VideoEmbedding } from './prompt/messages'
import {
  encoderOf,
  imageGeometry,
  keepOf,
  readPicture,
  readVideo,
  sourceOptions,
  videoGeometry,
} from './reading'
import type { ImagePart, MediaReader, VideoPart } from './reading'
import type { VideoReport } from './stream'

/** What a picture becomes and takes, known from its header. */
export interface ImageCost {
  /** Size of the upright original, and what the model sees of it, in pixels. */
  readonly original: Size
  readonly processed: Size
  readonly grid: Grid
  /** Tokens in the prompt. */
  readonly tokens: number
  /** Memory that the encoder takes for it, in bytes: an upper bound within about a fifth. */
  readonly encoderBytes: number
}

/** What a video becomes and takes, known before a frame is decoded. */
export interface VideoCost extends Omit<VideoReport, 'encodeMs' | 'cached' | 'encodedPairs'> {
  /** Memory that the encoder takes for it, in bytes: an upper bound within about a fifth. Pairs are encoded one by one. */
  readonly encoderBytes: number
}

/** Size, tokens and memory of one picture, from its header. @throws UnsupportedModelError PROJECTOR_MISSING, ImageError */
export async function measurePicture(
  reader: MediaReader,
  { source, options }: ImagePart,
  signal: AbortSignal | undefined,
): Promise<ImageCost> {
  const encoder = encoderOf(reader)
  // Whoever asks for the cost wants to hear it of too large a picture, too.
  const geometry = { ...imageGeometry(reader, options), affordablePixels: undefined }
  const measured = await inspectImage(source, geometry, sourceOptions(reader, options, signal))
  const { width, height, original, grid, tokens } = measured
  const bytes = Math.ceil(encoderBytes(encoder, width * height))
  return { original, processed: { width, height }, grid, tokens, encoderBytes: bytes }
}

/** The same of a video; no frame of a file is decoded. @throws UnsupportedModelError PROJECTOR_MISSING, VideoError, ImageError */
export async function measureClip(
  reader: MediaReader,
  { source, options }: VideoPart,
  signal: AbortSignal | undefined,
): Promise<VideoCost> {
  const encoder = encoderOf(reader)
  const geometry = videoGeometry(reader)
  const bounds = geometry.largeFrames === 'shrink' ? geometry : { ...geometry, affordablePixels: undefined }
  const measured = await inspectVideo(source, options, bounds, sourceOptions(reader, {}, signal))
  const { width, height, original, grid, tokens, frames, sampleFps, times } = measured
  const bytes = Math.ceil(encoderBytes(encoder, width * height, temporalPatch))
  const processed = { width, height }
  return { original, processed, grid, tokens, frames, sampleFps, times, encoderBytes: bytes }
}

/** What the encoder makes of a picture. @throws UnsupportedModelError PROJECTOR_MISSING, ImageError, AbortError */
export async function embedPicture(
  reader: MediaReader,
  part: ImagePart,
  { signal, priority = 0 }: EmbedOptions,
): Promise<ImageEmbedding> {
  encoderOf(reader)
  const { pixels, width, height, tokens, grid, hash, original } = await readPicture(reader, part, signal)
  return imageEmbedding({
    data: await encode(
      reader.engine,
      { priority, pixels, width, height, count: tokens, hash, cache: keepOf(part) },
      signal,
    ),
    grid,
    tokens,
    width: reader.engine.info.embeddingWidth,
    hash,
    processed: { width, height },
    original,
  })
}

/** The same of a video, pair by pair. @throws UnsupportedModelError PROJECTOR_MISSING, VideoError, ImageError, AbortError */
export async function embedClip(
  reader: MediaReader,
  part: VideoPart,
  { signal, priority = 0 }: EmbedOptions,
): Promise<VideoEmbedding> {
  encoderOf(reader)
  const { pairs, width, height, ...video } = await readVideo(reader, part, signal)
  const { tokens, grid, original, frames, sampleFps, times } = video
  const rowWidth = reader.engine.info.embeddingWidth
  const data = new Float32Array(tokens * rowWidth)
  const common = {
    priority,
    width,
    height,
    frames: temporalPatch,
    count: tokens / grid.t,
    cache: keepOf(part),
  } as const
  for (const [pair, { pixels, hash }] of pairs.entries()) {
    const shown = { ...common, pixels, hash }
    data.set(await encode(reader.engine, shown, signal), pair * shown.count * rowWidth)
  }
  const hashes = pairs.map(({ hash }) => hash)
  const processed = { width, height }
  return videoEmbedding({
    data,
    grid,
    tokens,
    width: rowWidth,
    hashes,
    original,
    processed,
    frames,
    sampleFps,
    times,
  })
}

function encode(
  engine: Engine,
  picture: Omit<EncodeRequest, 'kind' | 'id'>,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(new AbortError(signal.reason))
      return
    }
    const request = engine.submit({ kind: 'encode', ...picture }, (event) => {
      if (event.type === 'embedding') resolve(event.data)
      if (event.type === 'error') reject(fromNative(event))
      if (event.type === 'end') reject(endedEarly(signal)) // no effect after an embedding
      forget() // whichever it is, nothing is left to stop
    })
    const forget = whenAborted(signal, request.cancel)
  })
}
