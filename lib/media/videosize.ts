/** How large the frames of a video become: the budgets of the reference, shared by all frames. Pure. */
import { VideoError, invalidArgument } from '../errors'
import type { VideoProcessor } from '../generations'
import type { VideoOptions } from '../prompt/messages'
import { fitSize, roundHalfToEven, smartResize, tokenCount, utilsBounds } from './geometry'
import type { Grid, Size } from './geometry'
import { temporalPatch } from './videosampling'
import type { VideoReference } from './videosampling'

/** Bounds of the frames, or their wanted size. */
export type VideoSizeOptions = Pick<
  VideoOptions,
  'minPixels' | 'maxPixels' | 'totalPixels' | 'resizedHeight' | 'resizedWidth'
>

/** How a model sees videos. */
export interface VideoGeometry {
  /** Side of a vision patch in pixels. */
  readonly patchSize: number
  /** Patches per side that are merged into one token. */
  readonly mergeSize: number
  /** The class of transformers whose rules hold with `reference: 'transformers'`. */
  readonly processor: VideoProcessor
  /** Its bounds: area of a frame (Qwen2-VL, Qwen2.5-VL) or of all frames together (Qwen3-VL). */
  readonly minPixels: number
  readonly maxPixels: number
  readonly reference: VideoReference
  /** Largest processed area of a frame that the encoder has memory for. Default: any. */
  readonly affordablePixels?: number | undefined
  /** What becomes of frames that would need more. Default: an error. */
  readonly largeFrames?: 'refuse' | 'shrink' | undefined
}

/** What becomes of a video. `width` and `height` are those of a processed frame. */
export interface VideoLayout extends Size {
  /** In vision patches; `t` counts frame pairs. */
  readonly grid: Grid
  /** Embedding rows, and so tokens in the prompt (without the times that Qwen3-VL reads). */
  readonly tokens: number
}

/** Tokens' worth of pixels, as qwen-vl-utils shares them out. */
const minFrameTokens = 128
const maxFrameTokens = 768
const totalTokens = 128_000

/**
 * Processed size, grid and tokens of `frames` frames of `original` size (upright).
 * @throws {ImageError} IMAGE_ASPECT_RATIO
 * @throws {VideoError} VIDEO_TOO_LARGE past `affordablePixels`
 * @throws {InvalidArgumentError} for bounds that contradict each other, or that the reference does not have
 */
export function videoLayout(
  original: Size,
  frames: number,
  options: VideoSizeOptions,
  geometry: VideoGeometry,
): VideoLayout {
  const { patchSize, mergeSize } = geometry
  const size = processedSize(original, frames, options, geometry)
  const t = Math.ceil(frames / temporalPatch)
  const grid = { t, h: size.height / patchSize, w: size.width / patchSize }
  const layout = { ...size, grid, tokens: tokenCount(grid, mergeSize) }
  if (size.width * size.height > (geometry.affordablePixels ?? Infinity)) throw tooLarge(layout, geometry)
  return layout
}

/**
 * Size in pixels that qwen-vl-utils gives a listed frame before the frames become a video: it scales the frame as a
 * picture, by steps of twice the usual width (it passes the factor where the patch size belongs).
 * @throws {ImageError} IMAGE_ASPECT_RATIO
 */
export function listedFrameSize(original: Size, options: VideoSizeOptions, geometry: VideoGeometry): Size {
  const factor = 2 * geometry.patchSize * geometry.mergeSize
  const usual = utilsBounds(factor)
  const { minPixels = usual.minPixels, maxPixels = usual.maxPixels } = options
  const wanted = wantedSize(options, factor)
  return wanted ?? utilsResize(original, factor, Math.min(minPixels, maxPixels), maxPixels)
}

function processedSize(
  original: Size,
  frames: number,
  options: VideoSizeOptions,
  geometry: VideoGeometry,
): Size {
  const factor = geometry.patchSize * geometry.mergeSize
  const wanted = wantedSize(options, factor)
  if (wanted) return wanted
  const size = boundedSize(original, frames, options, geometry)
  const { largeFrames, affordablePixels: maxPixels = Infinity } = geometry
  if (largeFrames !== 'shrink' || size.width * size.height <= maxPixels) return size
  return fitSize(original.height, original.width, { factor, minPixels: 0, maxPixels })
}

function boundedSize(
  original: Size,
  frames: number,
  options: VideoSizeOptions,
  { patchSize, mergeSize, processor, minPixels, maxPixels, reference }: VideoGeometry,
): Size {
  const factor = patchSize * mergeSize
  if (reference === 'qwen-vl-utils') return utilsSize(original, frames, options, factor)
  if (options.totalPixels !== undefined) {
    const instead = processor === 'Qwen3VLVideoProcessor' ? 'all frames together' : 'each frame'
    const expected = `absent with \`reference: 'transformers'\`, which has no such bound; its \`maxPixels\` bounds ${instead}`
    throw invalidArgument('totalPixels', expected, options.totalPixels)
  }
  const bounds = { minPixels: options.minPixels ?? minPixels, maxPixels: options.maxPixels ?? maxPixels }
  if (processor === 'Qwen3VLVideoProcessor') return clipSize(original, frames, factor, bounds)
  return smartResize(original.height, original.width, { factor, ...bounds })
}

/** `fetch_video` of qwen-vl-utils. */
function utilsSize(original: Size, frames: number, options: VideoSizeOptions, factor: number): Size {
  const token = factor ** 2
  const most = options.maxPixels ?? Infinity
  const minPixels = options.minPixels ?? Math.min(minFrameTokens * token, most)
  const total = options.totalPixels ?? totalTokens * factor * factor * 0.9
  const share = Math.min(maxFrameTokens * token, (total / frames) * temporalPatch)
  const maxPixels = Math.min(most, Math.max(share, Math.trunc(minPixels * 1.05)))
  return utilsResize(original, factor, minPixels, maxPixels)
}

/** `smart_resize` of Qwen3VLVideoProcessor: the bounds hold for all frames together. */
function clipSize(
  { height, width }: Size,
  frames: number,
  factor: number,
  { minPixels, maxPixels }: { readonly minPixels: number; readonly maxPixels: number },
): Size {
  // transformers 4 refuses frames smaller than one token, transformers 5 enlarges them first, as is done here.
  const grow = Math.max(1, factor / Math.min(height, width))
  const [h, w] = [Math.trunc(height * grow), Math.trunc(width * grow)]
  const rounded = fitSize(h, w, { factor, minPixels: 0, maxPixels: Infinity })
  const paired = roundHalfToEven(frames / temporalPatch) * temporalPatch
  const volume = paired * rounded.height * rounded.width
  if (volume > maxPixels) {
    const shrink = Math.sqrt((frames * h * w) / maxPixels)
    const shrunk = (side: number) => Math.max(factor, Math.floor(side / shrink / factor) * factor)
    return { height: shrunk(h), width: shrunk(w) }
  }
  if (volume < minPixels) {
    const growth = Math.sqrt(minPixels / (frames * h * w))
    const grown = (side: number) => Math.ceil((side * growth) / factor) * factor
    return { height: grown(h), width: grown(w) }
  }
  return rounded
}

function wantedSize({ resizedHeight, resizedWidth }: VideoSizeOptions, factor: number): Size | undefined {
  if (resizedHeight === undefined || resizedWidth === undefined) return undefined
  const { minPixels, maxPixels } = utilsBounds(factor)
  return utilsResize({ height: resizedHeight, width: resizedWidth }, factor, minPixels, maxPixels)
}

function utilsResize({ height, width }: Size, factor: number, minPixels: number, maxPixels: number): Size {
  if (maxPixels < minPixels)
    throw invalidArgument('maxPixels', `at least \`minPixels\` (${minPixels})`, maxPixels)
  return fitSize(height, width, { factor, minPixels, maxPixels, reference: 'qwen-vl-utils' })
}

function tooLarge(
  { width, height, tokens }: VideoLayout,
  { affordablePixels = 0 }: VideoGeometry,
): VideoError {
  return new VideoError(
    'VIDEO_TOO_LARGE',
    `At ${width}×${height} pixels a frame the encoder would need more memory for two of them than it may take. Pass ` +
      `\`maxPixels: ${affordablePixels}\` or less, load with \`largeImages: 'shrink'\`, or raise \`encoderMemory\`.`,
    { details: { width, height, tokens, maxPixels: affordablePixels } },
  )
}
