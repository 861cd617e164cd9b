/** Which frames of a video the model sees: the choice of the reference, frame for frame. Pure. */
import { VideoError, invalidArgument } from '../errors'
import type { VideoProcessor } from '../generations'
import type { VideoOptions } from '../prompt/messages'
import { roundHalfToEven } from './geometry'

/** Whose choice and sizes to follow. qwen-vl-utils is what Qwen's own READMEs prepare videos with. */
export type VideoReference = 'qwen-vl-utils' | 'transformers'

/** How many frames to take, and of which part. */
export type SamplingOptions = Pick<
  VideoOptions,
  'fps' | 'nframes' | 'minFrames' | 'maxFrames' | 'videoStart' | 'videoEnd'
>

/** What is known of a video's frames before any is decoded. */
export interface VideoTrack {
  /** Frames of the whole video. */
  readonly total: number
  /** Average frames per second. */
  readonly fps: number
}

export interface Sampling {
  /** Chosen frames, counted from 0, ascending; one may repeat where more are wanted than there are. */
  readonly indices: readonly number[]
  /** Chosen frames per second of the video. */
  readonly sampleFps: number
}

/** Frames that become one row of embeddings in time. */
export const temporalPatch = 2

const defaultFps = 2
const defaultMinFrames = 4
const defaultMaxFrames = 768

/**
 * The frames of a video file that the model sees.
 * @throws {VideoError} VIDEO_TOO_SHORT when the video, or the chosen part of it, has too few frames
 * @throws {InvalidArgumentError} for `fps` together with `nframes`
 */
export function sampleFrames(
  track: VideoTrack,
  options: SamplingOptions,
  reference: VideoReference,
  processor: VideoProcessor,
): Sampling {
  if (options.fps !== undefined && options.nframes !== undefined) {
    throw invalidArgument('nframes', 'absent beside `fps`: one of the two decides', options.nframes)
  }
  const { first, last } = frameRange(track, options)
  const total = last - first + 1
  const rules = reference === 'qwen-vl-utils' ? reference : processor
  const indices = choices[rules](first, total, track.fps, options)
  return { indices, sampleFps: (indices.length / total) * track.fps }
}

const choices: Record<
  'qwen-vl-utils' | VideoProcessor,
  (first: number, total: number, videoFps: number, options: SamplingOptions) => number[]
> = {
  'qwen-vl-utils': utilsChoice,
  Qwen3VLVideoProcessor: qwen3Choice,
  Qwen2VLVideoProcessor: qwen2Choice,
}

/** First and last frame of the part between `videoStart` and `videoEnd`, both included. */
function frameRange(
  { total, fps }: VideoTrack,
  { videoStart, videoEnd }: SamplingOptions,
): { first: number; last: number } {
  const duration = total / fps
  const clamped = (seconds: number) => Math.max(0, Math.min(seconds, duration))
  const first = videoStart === undefined ? 0 : Math.ceil(clamped(videoStart) * fps)
  const last = videoEnd === undefined ? total - 1 : Math.min(Math.floor(clamped(videoEnd) * fps), total - 1)
  if ((videoStart === undefined && videoEnd === undefined) || first < last) return { first, last }
  throw tooShort(
    `Between videoStart (${videoStart ?? 0} s) and videoEnd (${videoEnd ?? duration} s) there are fewer than two of ` +
      `the video's ${total} frames (${duration.toFixed(2)} s). Choose a longer part.`,
    { total, fps, videoStart, videoEnd },
  )
}

/** `smart_nframes` of qwen-vl-utils: an even number of frames, spread from the first to the last. */
function utilsChoice(first: number, total: number, videoFps: number, options: SamplingOptions): number[] {
  const { fps = defaultFps, nframes, minFrames = defaultMinFrames, maxFrames } = options
  const count =
    nframes === undefined
      ? floorToPair(
          clampCount(
            (total / videoFps) * fps,
            Math.ceil(minFrames / temporalPatch) * temporalPatch,
            floorToPair(maxFrames ?? Math.min(defaultMaxFrames, total)),
            total,
          ),
        )
      : roundHalfToEven(nframes / temporalPatch) * temporalPatch
  if (count < temporalPatch || count > total) throw notEnough(total, count)
  return linspace(first, total, count, Math.fround)
}

/** `sample_frames` of Qwen3VLVideoProcessor: as above, but the number may be odd. */
function qwen3Choice(first: number, total: number, videoFps: number, options: SamplingOptions): number[] {
  const { fps = defaultFps, nframes, minFrames = defaultMinFrames, maxFrames = defaultMaxFrames } = options
  const count = nframes ?? clampCount(Math.trunc((total / videoFps) * fps), minFrames, maxFrames, total)
  // The processor resizes two frames and more.
  if (count < temporalPatch) throw notEnough(total, count)
  return linspace(first, total, count, (value) => value)
}

/** `sample_frames` of Qwen2VLVideoProcessor: steps of equal width from the first frame, so never the last. */
function qwen2Choice(first: number, total: number, videoFps: number, options: SamplingOptions): number[] {
  const { fps = defaultFps, nframes, minFrames = defaultMinFrames, maxFrames = defaultMaxFrames } = options
  const count =
    nframes === undefined
      ? floorToPair(
          clampCount((total / videoFps) * fps, minFrames, floorToPair(Math.min(maxFrames, total)), total),
        )
      : roundHalfToEven(nframes / temporalPatch) * temporalPatch
  if (count < temporalPatch || count > total) throw notEnough(total, count)
  return Array.from({ length: count }, (_, index) => first + Math.trunc(Math.fround(index * (total / count))))
}

/** `count` of the whole numbers from `first` on, as torch (float32) and NumPy space them. */
function linspace(first: number, total: number, count: number, rounded: (value: number) => number): number[] {
  const end = first + total - 1
  const step = rounded((end - first) / (count - 1))
  // torch counts down from the end in the second half.
  const fromEnd = rounded === Math.fround ? Math.floor(count / 2) : count - 1
  return Array.from({ length: count }, (_, index) =>
    roundHalfToEven(
      index < fromEnd
        ? rounded(first + rounded(step * index))
        : rounded(end - rounded(step * (count - 1 - index))),
    ),
  )
}

function clampCount(count: number, least: number, most: number, total: number): number {
  return Math.min(Math.max(count, least), most, total)
}

function floorToPair(count: number): number {
  return Math.floor(count / temporalPatch) * temporalPatch
}

function notEnough(total: number, count: number): VideoError {
  return tooShort(
    `${count} frames of a video with ${total} cannot be taken: at least ${temporalPatch}, at most all of them. ` +
      'Show a single frame as a picture, image(frame), or change `nframes`, `fps`, `minFrames` or `maxFrames`.',
    { total, count },
  )
}

function tooShort(message: string, details: Record<string, unknown>): VideoError {
  return new VideoError('VIDEO_TOO_SHORT', message, { details })
}

/**
 * Seconds of each frame pair, as Qwen3-VL reads them before the pair: the mean of its two frames.
 * @param indices Frame numbers; of an odd number the last counts twice.
 */
export function pairTimes(indices: readonly number[], fps: number): number[] {
  const seconds = indices.map((index) => index / fps)
  return Array.from({ length: Math.ceil(indices.length / temporalPatch) }, (_, pair) => {
    const start = seconds[pair * temporalPatch] ?? NaN
    return (start + (seconds[pair * temporalPatch + 1] ?? start)) / 2
  })
}
