/** A video, as a file or as its frames → pairs of frames of the size that the model sees. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ImageError, VideoError, invalidArgument } from '../errors'
import type { VideoOptions, VideoSource } from '../prompt/messages'
import type { Size } from './geometry'
import { decodeImage, hashPixels, measureImage } from './image'
import type { DecodedImage, Resize } from './image'
import { readSource } from './source'
import type { ImageSource, SourceOptions } from './source'
import { probeVideo, readFrames } from './videofile'
import { pairTimes, sampleFrames, temporalPatch } from './videosampling'
import { listedFrameSize, videoLayout } from './videosize'
import type { VideoGeometry, VideoLayout } from './videosize'

/** Limits of reading, and where ffmpeg is. */
export interface VideoReading extends SourceOptions {
  readonly ffmpegPath?: string | undefined
}

/** What a video would become; `width` and `height` are those of a processed frame. */
export interface InspectedVideo extends VideoLayout {
  /** Size of an upright frame in pixels. */
  readonly original: Size
  /** Chosen frames; of an odd number the last is shown twice. */
  readonly frames: number
  /** Chosen frames per second of the video. */
  readonly sampleFps: number
  /** Seconds from the video's beginning, for each pair of frames. */
  readonly times: readonly number[]
}

/** Two frames that become one temporal index. */
export interface FramePair {
  /** RGB, `width * height * 3` bytes a frame. */
  readonly pixels: Uint8Array
  /** SHA-256 of size and pixels, hexadecimal. */
  readonly hash: string
}

/** A video ready for the encoder. */
export interface PreparedVideo extends InspectedVideo {
  readonly pairs: readonly FramePair[]
}

/** How pixels are scaled: listed frames first as the pictures they are, then every frame as part of its video. */
export interface Scaling {
  readonly picture: Resize
  readonly frame: Resize
}

/** Frames before the last scaling, which is the same for all. */
interface Clip {
  readonly original: Size
  /** Size of the frames that `read` gives. */
  readonly size: Size
  readonly frames: number
  readonly sampleFps: number
  readonly times: readonly number[]
  readonly read: () => AsyncIterable<DecodedImage>
}

/**
 * Size, tokens and times of a video; of a file no frame is decoded, of a list only the first frame's header is read.
 *
 * @throws {VideoError} FFMPEG_NOT_FOUND, FILE_NOT_FOUND, VIDEO_SOURCE, VIDEO_CORRUPT, VIDEO_TOO_SHORT
 * @throws {ImageError} what readSource throws, and IMAGE_ASPECT_RATIO
 * @throws {InvalidArgumentError}
 * @throws {AbortError}
 */
export async function inspectVideo(
  source: VideoSource,
  options: VideoOptions,
  geometry: VideoGeometry,
  reading: VideoReading = {},
): Promise<InspectedVideo> {
  if (!isList(source)) {
    return withFile(source, reading, async (path) =>
      layoutOf(await fileClip(path, options, geometry, reading), options, geometry),
    )
  }
  const original = await inFrame(0, measureImage(firstOf(source), reading))
  const size = sizeInList(original, options, geometry)
  return layoutOf({ ...listTiming(source, options, geometry), original, size }, options, geometry)
}

/**
 * Reads, samples and scales a video. Few frames of the original size are in memory at a time.
 *
 * @param accept Sees what the video becomes before the work of decoding, and may refuse it by throwing.
 * @throws {VideoError} like inspectVideo, and VIDEO_FRAME_SIZES
 * @throws {ImageError} what decodeImage throws for a listed frame
 * @throws {InvalidArgumentError}
 * @throws {AbortError}
 */
export async function prepareVideo(
  source: VideoSource,
  options: VideoOptions,
  geometry: VideoGeometry,
  scaling: Scaling,
  reading: VideoReading = {},
  accept: (video: InspectedVideo) => void = () => undefined,
): Promise<PreparedVideo> {
  const prepare = async (clip: Clip): Promise<PreparedVideo> => {
    const layout = layoutOf(clip, options, geometry)
    accept(layout)
    return { ...layout, pairs: await pairsOf(clip, layout, scaling.frame, reading.signal) }
  }
  if (isList(source)) return prepare(await listClip(source, options, geometry, scaling.picture, reading))
  return withFile(source, reading, async (path) => prepare(await fileClip(path, options, geometry, reading)))
}

function layoutOf(
  { original, size, frames, sampleFps, times }: Omit<Clip, 'read'>,
  options: VideoOptions,
  geometry: VideoGeometry,
): InspectedVideo {
  return { ...videoLayout(size, frames, options, geometry), original, frames, sampleFps, times }
}

async function fileClip(
  path: string,
  options: VideoOptions,
  geometry: VideoGeometry,
  reading: VideoReading,
): Promise<Clip> {
  for (const name of ['sampleFps', 'rawFps'] as const) {
    if (options[name] !== undefined)
      throw invalidArgument(name, 'absent: a file tells its own rate', options[name])
  }
  const track = await probeVideo(path, reading)
  const { width, height } = track.size
  if (width * height > (reading.maxInputPixels ?? Infinity)) {
    throw new VideoError(
      'VIDEO_SOURCE',
      `'${path}' has frames of ${width}×${height} pixels, more than ${reading.maxInputPixels}. Scale it down, or ` +
        'raise `maxInputPixels`.',
      { details: { path, width, height } },
    )
  }
  const { indices, sampleFps } = sampleFrames(track, options, geometry.reference, geometry.processor)
  return {
    original: track.size,
    size: track.size,
    frames: indices.length,
    sampleFps,
    times: pairTimes(indices, track.fps),
    read: () => readFrames(path, indices, reading),
  }
}

async function listClip(
  sources: readonly ImageSource[],
  options: VideoOptions,
  geometry: VideoGeometry,
  scale: Resize,
  reading: VideoReading,
): Promise<Clip> {
  const decode = async (source: ImageSource, index: number) => {
    const { data, ...original } = await inFrame(index, decodeImage(source, reading))
    const size = await inFrame(index, () => sizeInList(original, options, geometry))
    const fits = size.width === original.width && size.height === original.height
    const scaled = fits ? data : await scale(data, original.width, original.height, size.width, size.height)
    return { original, frame: { ...size, data: scaled } }
  }
  const timing = listTiming(sources, options, geometry)
  const first = await decode(firstOf(sources), 0)
  const { width, height } = first.frame
  return {
    ...timing,
    original: first.original,
    size: { width, height },
    read: async function* () {
      yield first.frame
      for (const [index, source] of sources.entries()) {
        if (index === 0) continue
        const { original, frame } = await decode(source, index)
        if (frame.width !== width || frame.height !== height) throw unequal(first.original, original, index)
        yield frame
      }
    },
  }
}

/** qwen-vl-utils scales listed frames as pictures before they become a video; transformers takes them as they are. */
function sizeInList(original: Size, options: VideoOptions, geometry: VideoGeometry): Size {
  return geometry.reference === 'transformers' ? original : listedFrameSize(original, options, geometry)
}

/** A list is taken whole. */
function listTiming(
  sources: readonly ImageSource[],
  options: VideoOptions,
  { reference }: VideoGeometry,
): Pick<Clip, 'frames' | 'sampleFps' | 'times'> {
  for (const name of ['nframes', 'minFrames', 'maxFrames', 'videoStart', 'videoEnd'] as const) {
    if (options[name] !== undefined) {
      throw invalidArgument(name, 'absent: a list of frames is taken whole', options[name])
    }
  }
  const sampleFps = options.sampleFps ?? options.fps ?? 2
  // qwen-vl-utils repeats the last frame of an odd number, and counts on; transformers repeats it later.
  const step = reference === 'transformers' ? 1 : temporalPatch
  const frames = Math.ceil(sources.length / step) * step
  const indices = Array.from({ length: frames }, (_, index) => index)
  return { frames, sampleFps, times: pairTimes(indices, options.rawFps ?? sampleFps) }
}

/** Scales frame after frame; the next one is decoded while one is scaled. */
async function pairsOf(
  clip: Clip,
  { width, height, grid }: InspectedVideo,
  scale: Resize,
  signal: AbortSignal | undefined,
): Promise<FramePair[]> {
  const size = width * height * 3
  const pixels = Array.from({ length: grid.t }, () => new Uint8Array(size * temporalPatch))
  const place = async (frame: DecodedImage, index: number) => {
    const scaled = await scale(frame.data, frame.width, frame.height, width, height)
    const pair = pixels[Math.floor(index / temporalPatch)]
    // Also the second of its pair, unless another follows.
    for (let slot = index % temporalPatch; slot < temporalPatch; slot++) pair?.set(scaled, slot * size)
  }
  let placed = Promise.resolve()
  let index = 0
  for await (const frame of clip.read()) {
    await placed
    placed = place(frame, index++)
    placed.catch(() => undefined) // awaited with the next frame
  }
  await placed
  const pairs: FramePair[] = []
  for (const both of pixels) {
    pairs.push({ pixels: both, hash: await hashPixels(both, { width, height }, signal) })
  }
  return pairs
}

/** The path of a local file; other sources are written to a temporary one, which ffmpeg can read from any place. */
async function withFile<T>(
  source: ImageSource,
  reading: VideoReading,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = localPath(source)
  if (path !== undefined) return use(path)
  const bytes = await readSource(source, reading)
  if ('channels' in bytes) throw onePicture()
  const folder = await mkdtemp(join(tmpdir(), 'qwenvl-video-'))
  try {
    const file = join(folder, 'video')
    await writeFile(file, bytes)
    return await use(file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A path, or a file: URL, also one with the path as it is, as the Qwen READMEs write it. */
function localPath(source: ImageSource): string | undefined {
  const text = typeof source === 'object' && 'href' in source ? source.href : source
  if (typeof text !== 'string' || /^(?!file:)[a-z][a-z0-9+.-]+:/i.test(text)) return undefined
  const literal = text.replace(/^file:(\/\/)?/i, '')
  try {
    const path = fileURLToPath(text)
    return existsSync(path) || !existsSync(literal) ? path : literal
  } catch {
    return literal
  }
}

function isList(source: VideoSource): source is readonly ImageSource[] {
  return Array.isArray(source)
}

function firstOf(sources: readonly ImageSource[]): ImageSource {
  const [first] = sources
  if (first === undefined) throw invalidArgument('video', 'a path, bytes or at least one frame', sources)
  return first
}

/** Errors of a listed frame say which it is. */
async function inFrame<T>(index: number, work: Promise<T> | (() => T)): Promise<T> {
  try {
    return await (typeof work === 'function' ? work() : work)
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    const { code, message, details } = error
    throw new ImageError(code, `Frame ${index + 1} of the video: ${message}`, {
      cause: error,
      details: { ...details, frame: index },
    })
  }
}

function unequal(first: Size, other: Size, index: number): VideoError {
  return new VideoError(
    'VIDEO_FRAME_SIZES',
    `Frame ${index + 1} has ${other.width}×${other.height} pixels, the first ${first.width}×${first.height}: the frames ` +
      'of a video are of one size. Scale them, or pass resizedHeight and resizedWidth.',
    { details: { frame: index, width: other.width, height: other.height } },
  )
}

function onePicture(): VideoError {
  return new VideoError(
    'VIDEO_SOURCE',
    'Raw pixels are a single picture: pass the frames in an array, video([frame, frame]).',
  )
}
