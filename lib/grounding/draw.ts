/** Draws what an answer points at onto the picture. */
import sharp from 'sharp'
import { invalidArgument } from '../errors'
import { decodeImage } from '../media/image'
import type { ImageSource, SourceOptions } from '../media/source'
import { drawOverlay } from './overlay'
import type { Drawable } from './overlay'

/** How to draw; and the limits of reading the picture, as for `image()` and loading. */
export interface DrawOptions extends SourceOptions {
  /** Of the file that is made. Default 'png'. */
  readonly format?: 'png' | 'jpeg' | 'webp' | undefined
  /** Of JPEG and WebP, 1 to 100. Default 90. */
  readonly quality?: number | undefined
}

/**
 * The upright picture with outlines, points and labels, as a PNG, JPEG or WebP file. Each label has a colour of its
 * own; lines and letters grow with the picture. Labels need a font of the system that has their characters.
 *
 * @param source As for `image()`; a stream is read by it.
 * @throws InvalidArgumentError, ImageError, AbortError
 */
export async function drawGrounding(
  source: ImageSource,
  items: readonly Drawable[],
  options: DrawOptions = {},
): Promise<Buffer> {
  const { format = 'png', quality = 90 } = options
  if (!['png', 'jpeg', 'webp'].includes(format))
    throw invalidArgument('format', "'png', 'jpeg' or 'webp'", format)
  if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
    throw invalidArgument('quality', 'a whole number from 1 to 100', quality)
  }
  checkItems(items)
  const { data, width, height } = await decodeImage(source, options)
  const pixels = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
  const overlay = Buffer.from(drawOverlay(items, { width, height }))
  // A drawing of ten thousand boxes is large for an SVG, but it is ours.
  const drawn = pixels.composite([{ input: overlay, limitInputPixels: false, unlimited: true }])
  return drawn
    .removeAlpha()
    .toFormat(format, format === 'png' ? {} : { quality })
    .toBuffer()
}

function checkItems(items: readonly Drawable[]): void {
  if (!Array.isArray(items)) throw invalidArgument('items', 'an array, as parseGrounding() gives it', items)
  for (const [index, item] of (items as readonly Drawable[]).entries()) {
    if (!numbersOf(item).every(Number.isFinite)) {
      throw invalidArgument(`items[${index}]`, 'a box, point or quad with numbers for all coordinates', item)
    }
  }
}

function numbersOf(item: Drawable): unknown[] {
  const numbers = (of: object | undefined, names: readonly string[]) =>
    names.map((name) => (of as Record<string, unknown> | undefined)?.[name])
  switch (item?.kind) {
    case 'box':
      return numbers(item.box, ['x1', 'y1', 'x2', 'y2'])
    case 'point':
      return numbers(item.point, ['x', 'y'])
    case 'quad':
      return [0, 1, 2, 3].flatMap((corner) => numbers(item.quad?.[corner], ['x', 'y']))
    default:
      return [undefined]
  }
}
