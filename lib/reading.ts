/** The media of a conversation: read, sized as the model sees them, within what memory and context allow. */
import { availableParallelism } from 'node:os'
import type { EncoderShape } from './cost'
import type { KeepEmbedding } from './engine/binding'
import { resizeBicubic, resizeFrame, resizeTorchvision } from './engine/engine'
import type { Engine } from './engine/engine'
import { ContextOverflowError, UnsupportedModelError, invalidArgument } from './errors'
import type { Generation } from './generations'
import { mapTogether } from './media/abort'
import type { ImageGeometry } from './media/geometry'
import { inspectImage, prepareImage } from './media/image'
import type { InspectedImage, PreparedImage } from './media/image'
import type { SourceOptions } from './media/source'
import { inspectVideo, prepareVideo } from './media/video'
import type { InspectedVideo, PreparedVideo, Scaling, VideoReading } from './media/video'
import type { VideoGeometry } from './media/videosize'
import type { LoadOptions } from './options'
import type { ImageEmbedding, ImageOptions, VideoEmbedding } from './prompt/messages'
import type { NormalisedPart } from './prompt/normalise'

export type ImagePart = Extract<NormalisedPart, { type: 'image' }>
export type VideoPart = Extract<NormalisedPart, { type: 'video' }>
export type MediaPart = Exclude<NormalisedPart, { type: 'text' }>
export type PreparedMedium = PreparedImage | PreparedVideo | ImageEmbedding | VideoEmbedding
export type InspectedMedium = InspectedImage | InspectedVideo | ImageEmbedding | VideoEmbedding

/** Largest processed areas in pixels: of a picture, and of a frame, two of which are encoded together. */
export interface AffordableAreas {
  readonly picture: number
  readonly frame: number
}

/** What media are read with. */
export interface MediaReader {
  readonly engine: Engine
  readonly generation: Generation
  /** Sizes of the encoder, and the largest processed areas that it has memory for. Undefined without a projector. */
  readonly encoder: (EncoderShape & { readonly affordable: AffordableAreas }) | undefined
  readonly options: LoadOptions
}

/** Pictures and videos that were read for an earlier turn, by their part. */
export type PictureMemory = WeakMap<MediaPart, PreparedMedium>

/** Where the embedding of a medium is kept: everywhere, unless the part says otherwise. */
export function keepOf(part: MediaPart | undefined): KeepEmbedding {
  return (part && 'options' in part ? part.options.cache : undefined) ?? 'disk'
}

/** Reads media, not all at once: a decoded picture may take hundreds of megabytes. The first error ends all of it. */
export function readMedia(
  reader: MediaReader,
  parts: readonly MediaPart[],
  signal: AbortSignal | undefined,
  memory: PictureMemory,
): Promise<PreparedMedium[]> {
  return together(parts, signal, async (part, both) => {
    if ('embedding' in part) return checkWidth(reader, part.embedding)
    return part.type === 'video'
      ? readVideo(reader, part, both, memory)
      : readPicture(reader, part, both, memory)
  })
}

/** Sizes of media from their headers; nothing is decoded. */
export function inspectMedia(
  reader: MediaReader,
  parts: readonly MediaPart[],
  signal: AbortSignal | undefined,
): Promise<InspectedMedium[]> {
  return together(parts, signal, async (part, both) => {
    if ('embedding' in part) return part.embedding
    return part.type === 'video'
      ? inspectVideo(part.source, part.options, videoGeometry(reader), sourceOptions(reader, {}, both))
      : inspectImage(
          part.source,
          imageGeometry(reader, part.options),
          sourceOptions(reader, part.options, both),
        )
  })
}

function together<R>(
  parts: readonly MediaPart[],
  signal: AbortSignal | undefined,
  work: (part: MediaPart, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  return mapTogether(parts, Math.min(availableParallelism(), 4), signal, work)
}

/** Reads one picture and brings it to the size that the encoder takes. */
export async function readPicture(
  reader: MediaReader,
  picture: ImagePart,
  signal: AbortSignal | undefined,
  memory?: PictureMemory,
): Promise<PreparedImage> {
  const known = memory?.get(picture)
  if (known && 'pixels' in known) return known
  const geometry = imageGeometry(reader, picture.options)
  const prepared = await prepareImage(
    picture.source,
    geometry,
    scalingOf(reader).picture,
    sourceOptions(reader, picture.options, signal),
  )
  memory?.set(picture, prepared)
  return prepared
}

/** Reads a video, and brings pairs of its frames to the size that the encoder takes. */
export async function readVideo(
  reader: MediaReader,
  part: VideoPart,
  signal: AbortSignal | undefined,
  memory?: PictureMemory,
): Promise<PreparedVideo> {
  const known = memory?.get(part)
  if (known && 'pairs' in known) return known
  const prepared = await prepareVideo(
    part.source,
    part.options,
    videoGeometry(reader),
    scalingOf(reader),
    sourceOptions(reader, {}, signal),
    (video) => refuseTooLong(reader, video),
  )
  memory?.set(part, prepared)
  return prepared
}

/** Decoding takes minutes and the memory of all its frames: not for a video that cannot fit. */
function refuseTooLong({ engine }: MediaReader, { tokens, frames }: InspectedVideo): void {
  const { contextSize } = engine.info
  if (tokens < contextSize) return
  throw new ContextOverflowError(
    'CONTEXT_OVERFLOW',
    `The video takes ${tokens} tokens with ${frames} frames, the context holds ${contextSize}. Lower \`totalPixels\`, ` +
      '`maxPixels`, `maxFrames` or `fps` of the video, or load with a larger `contextSize`.',
    { details: { promptTokens: tokens, contextSize, frames } },
  )
}

/** @throws UnsupportedModelError PROJECTOR_MISSING */
export function encoderOf({ encoder }: MediaReader): NonNullable<MediaReader['encoder']> {
  if (encoder) return encoder
  throw new UnsupportedModelError(
    'PROJECTOR_MISSING',
    'Pictures need a projector. Pass `mmproj` to QwenVL.load().',
  )
}

/** The processors of transformers scale bytes by torchvision; qwen-vl-utils pictures by Pillow, and frames in float. */
function scalingOf({ options }: MediaReader): Scaling {
  return options.reference === 'transformers'
    ? { picture: resizeTorchvision, frame: resizeTorchvision }
    : { picture: resizeBicubic, frame: resizeFrame }
}

export function videoGeometry({ generation, options, encoder }: MediaReader): VideoGeometry {
  const { patchSize, mergeSize, video } = generation
  const { processor, minPixels, maxPixels } = video
  return {
    patchSize,
    mergeSize,
    processor,
    minPixels,
    maxPixels,
    reference: options.reference ?? 'qwen-vl-utils',
    affordablePixels: encoder?.affordable.frame,
    largeFrames: options.largeImages,
  }
}

export function imageGeometry(
  { generation, options, encoder }: MediaReader,
  picture: ImageOptions,
): ImageGeometry {
  const affordable = encoder?.affordable.picture ?? Infinity
  const most = options.largeImages === 'shrink' ? affordable : Infinity
  const minPixels =
    picture.minPixels ?? Math.min(options.minPixels ?? generation.minPixels, picture.maxPixels ?? Infinity)
  const maxPixels =
    picture.maxPixels ?? Math.max(options.maxPixels ?? generation.maxPixels, picture.minPixels ?? 0)
  return {
    patchSize: generation.patchSize,
    mergeSize: generation.mergeSize,
    minPixels: Math.min(minPixels, most),
    maxPixels: Math.min(maxPixels, most),
    affordablePixels: affordable,
    resizedHeight: picture.resizedHeight,
    resizedWidth: picture.resizedWidth,
    reference: options.reference,
  }
}

export function sourceOptions(
  { options }: MediaReader,
  picture: ImageOptions,
  signal: AbortSignal | undefined,
): SourceOptions & VideoReading {
  return {
    ffmpegPath: options.ffmpegPath,
    maxBytes: options.maxImageBytes,
    maxInputPixels: options.maxInputPixels,
    timeoutMs: options.imageTimeoutMs,
    allowPrivateAddresses: options.allowPrivateAddresses,
    page: picture.page,
    signal,
  }
}

function checkWidth<T extends ImageEmbedding | VideoEmbedding>({ engine }: MediaReader, embedding: T): T {
  const { embeddingWidth } = engine.info
  if (embedding.width === embeddingWidth) return embedding
  throw invalidArgument(
    'embedding',
    `of width ${embeddingWidth}, as this model's own embedImage() or embedVideo() makes it`,
    embedding.width,
  )
}
