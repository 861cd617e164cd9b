/**
 * Sizes of pictures: original → processed (`smart_resize` of the reference) → grid of patches → tokens. Pure.
 */
import { ImageError, invalidArgument } from '../errors'

/** Width and height in pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** Size in vision patches; `t` counts temporal patches and is 1 for a still image. */
export interface Grid {
  readonly t: number
  readonly h: number
  readonly w: number
}

/**
 * Whose rounding to follow: the image processor of transformers, or the helper package qwen-vl-utils. They differ
 * only for pictures with a side of about one factor or less.
 */
export type ResizeReference = 'transformers' | 'qwen-vl-utils'

export interface SmartResizeOptions {
  /** Both sides of the result are multiples of this. */
  readonly factor: number
  /** Bounds of the area of the result in pixels. */
  readonly minPixels: number
  readonly maxPixels: number
  /** Default 'transformers'. */
  readonly reference?: ResizeReference | undefined
}

/** How a model sees a picture. */
export interface ImageGeometry {
  /** Side of a vision patch in pixels. */
  readonly patchSize: number
  /** Patches per side that are merged into one token. */
  readonly mergeSize: number
  /** Bounds of the area of the processed picture in pixels. */
  readonly minPixels: number
  readonly maxPixels: number
  /** Wanted size in pixels instead of the original's; both or none. The area bounds above do not apply to it. */
  readonly resizedHeight?: number | undefined
  readonly resizedWidth?: number | undefined
  /** Largest processed area that the encoder has memory for. Default: any. */
  readonly affordablePixels?: number | undefined
  /** Default 'transformers'. */
  readonly reference?: ResizeReference | undefined
}

/** What becomes of a picture. */
export interface ImageLayout extends Size {
  readonly grid: Grid
  /** Embedding rows, and so tokens in the prompt, that the picture takes. */
  readonly tokens: number
}

const maxAspectRatio = 200

/** Bounds that qwen-vl-utils has for a picture, whatever the checkpoint says: 4 to 16384 tokens, in pixels. */
export function utilsBounds(factor: number): { readonly minPixels: number; readonly maxPixels: number } {
  return { minPixels: 4 * factor ** 2, maxPixels: 16384 * factor ** 2 }
}

/**
 * The processed size of a picture: sides rounded to multiples of `factor`, area within bounds, aspect ratio kept as
 * well as that allows.
 *
 * @throws {ImageError} IMAGE_ASPECT_RATIO if one side is over 200 times the other
 * @throws {InvalidArgumentError} if an argument is not a positive integer, or `maxPixels` is below `minPixels`
 */
export function smartResize(height: number, width: number, options: SmartResizeOptions): Size {
  const { factor, minPixels, maxPixels } = options
  for (const [name, value] of Object.entries({ height, width, factor, minPixels, maxPixels })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalidArgument(name, 'a positive integer', value)
  }
  if (maxPixels < minPixels) {
    throw invalidArgument('maxPixels', `at least \`minPixels\` (${minPixels})`, maxPixels)
  }
  return fitSize(height, width, options)
}

/** `smartResize` without its checks; the bounds may be fractions, as a video's shares of pixels are. */
export function fitSize(height: number, width: number, options: SmartResizeOptions): Size {
  const { factor, minPixels, maxPixels, reference = 'transformers' } = options
  const ratio = Math.max(height, width) / Math.min(height, width)
  if (ratio > maxAspectRatio)
    throw aspectError(height, width, `one side is ${ratio.toFixed(1)} times the other`)

  const [smallestRounded, smallestShrunk] = reference === 'transformers' ? [0, factor] : [factor, 0]
  // The order of operations is the reference's: each differs in the last bit from its algebraic equals.
  const scaled = (scale: (side: number) => number, atLeast: number): Size => ({
    height: Math.max(atLeast, scale(height) * factor),
    width: Math.max(atLeast, scale(width) * factor),
  })
  const rounded = scaled((side) => roundHalfToEven(side / factor), smallestRounded)
  const area = rounded.height * rounded.width
  if (area > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels)
    const shrunk = scaled((side) => Math.floor(side / shrink / factor), smallestShrunk)
    if (shrunk.height * shrunk.width === 0) {
      throw aspectError(height, width, `its shorter side vanishes within maxPixels (${maxPixels})`)
    }
    return shrunk
  }
  if (area < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width))
    return scaled((side) => Math.ceil((side * grow) / factor), 0)
  }
  return rounded
}

/**
 * Processed size, grid and token count of a picture of `original` size (upright).
 *
 * @throws {ImageError} IMAGE_ASPECT_RATIO, and IMAGE_TOO_LARGE past `affordablePixels`
 * @throws {InvalidArgumentError} if only one of `resizedHeight` and `resizedWidth` is given, or a number is unfit
 */
export function imageLayout(original: Size, geometry: ImageGeometry): ImageLayout {
  const { patchSize, mergeSize } = geometry
  const size = processedSize(original, geometry)
  const grid = { t: 1, h: size.height / patchSize, w: size.width / patchSize }
  const layout = { ...size, grid, tokens: tokenCount(grid, mergeSize) }
  if (size.width * size.height > (geometry.affordablePixels ?? Infinity)) throw memoryError(layout, geometry)
  return layout
}

/** Tokens of a grid: each `mergeSize`² patches become one. */
export function tokenCount(grid: Grid, mergeSize: number): number {
  return (grid.t * grid.h * grid.w) / mergeSize ** 2
}

function processedSize(original: Size, geometry: ImageGeometry): Size {
  const { minPixels, maxPixels, resizedHeight, resizedWidth, reference } = geometry
  const factor = geometry.patchSize * geometry.mergeSize
  if (resizedHeight === undefined && resizedWidth === undefined) {
    return smartResize(original.height, original.width, { factor, minPixels, maxPixels, reference })
  }
  if (resizedHeight === undefined)
    throw invalidArgument('resizedHeight', 'given with `resizedWidth`', resizedHeight)
  if (resizedWidth === undefined)
    throw invalidArgument('resizedWidth', 'given with `resizedHeight`', resizedWidth)
  // Only qwen-vl-utils knows these two, and applies its own bounds to them.
  return smartResize(resizedHeight, resizedWidth, {
    factor,
    ...utilsBounds(factor),
    reference: 'qwen-vl-utils',
  })
}

/** Python's `round`: a tie goes to the even neighbour. For values ≥ 0. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

function memoryError(
  { width, height, tokens }: ImageLayout,
  { affordablePixels = 0 }: ImageGeometry,
): ImageError {
  return new ImageError(
    'IMAGE_TOO_LARGE',
    `At ${width}×${height} pixels (${tokens} tokens) the encoder would need more memory for the picture than it may ` +
      `take. Pass \`maxPixels: ${affordablePixels}\` or less, load with \`largeImages: 'shrink'\`, or raise ` +
      '`encoderMemory`.',
    { details: { width, height, tokens, maxPixels: affordablePixels } },
  )
}

function aspectError(height: number, width: number, why: string): ImageError {
  return new ImageError(
    'IMAGE_ASPECT_RATIO',
    `A picture of ${width}×${height} pixels is too long for the model: ${why} (at most ${maxAspectRatio}). ` +
      'Crop it or cut it into pieces, or pass resizedHeight and resizedWidth to stretch it.',
    { details: { width, height, maxAspectRatio } },
  )
}
