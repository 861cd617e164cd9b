/** A picture from any source → RGB pixels of the size that the model sees, with everything known about them. */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import sharp from 'sharp'
import type { Metadata, Sharp, SharpOptions } from 'sharp'
import { ImageError, QwenVLError, invalidArgument, throwIfAborted } from '../errors'
import { sliceBytes } from './bytes'
import { imageLayout } from './geometry'
import type { ImageGeometry, ImageLayout, Size } from './geometry'
import { nameOf, readSource } from './source'
import type { ImageSource, RawPixels, SourceOptions } from './source'

/** Scales RGB pixels, `width * height * 3` bytes, as the model's reference does: `resizeBicubic` of the addon. */
export type Resize = (
  pixels: Uint8Array,
  width: number,
  height: number,
  targetWidth: number,
  targetHeight: number,
) => Promise<Uint8Array>

/** Upright pixels at their original size. */
export interface DecodedImage extends Size {
  /** RGB, `width * height * 3` bytes. */
  readonly data: Uint8Array
}

/** What a picture would become; `width` and `height` are the processed size. */
export interface InspectedImage extends ImageLayout {
  /** Size of the upright original in pixels. */
  readonly original: Size
}

/** A picture ready for the encoder; `width` and `height` are the processed size. */
export interface PreparedImage extends InspectedImage {
  /** RGB, `width * height * 3` bytes. */
  readonly pixels: Uint8Array
  /** SHA-256 of size and pixels, hexadecimal: equal for what looks equal to the model. */
  readonly hash: string
  /** Reading, decoding, resizing and hashing, in milliseconds. */
  readonly decodeMs: number
}

const defaultMaxInputPixels = 200_000_000
const formats = 'JPEG, PNG, WebP, AVIF, TIFF, GIF or SVG'

/**
 * Sizes, grid and tokens of a picture from its header; pixels are not decoded. (Of a sharp instance they are: only
 * its pipeline knows.) A stream is consumed by it.
 *
 * @throws {ImageError} as decodeImage, and IMAGE_ASPECT_RATIO
 * @throws {InvalidArgumentError}
 * @throws {AbortError}
 */
export async function inspectImage(
  source: ImageSource,
  geometry: ImageGeometry,
  options: SourceOptions = {},
): Promise<InspectedImage> {
  const { original } = await openImage(source, options)
  return { ...imageLayout(original, geometry), original }
}

/** Size of the upright picture in pixels, from its header. @throws like inspectImage */
export async function measureImage(source: ImageSource, options: SourceOptions = {}): Promise<Size> {
  return (await openImage(source, options)).original
}

/**
 * Upright RGB pixels: EXIF orientation applied, transparency on white, embedded colour profile converted to sRGB, 16
 * bits reduced to 8, CMYK and palettes resolved, SVG drawn at its own size; of an animation the frame `page`.
 *
 * @throws {ImageError} what readSource throws, IMAGE_TOO_LARGE (`maxInputPixels`), IMAGE_CORRUPT
 * @throws {InvalidArgumentError} if there is no such page
 * @throws {AbortError} looked for between the steps; a decoder that runs is not stopped
 */
export async function decodeImage(source: ImageSource, options: SourceOptions = {}): Promise<DecodedImage> {
  return decode(source, await openImage(source, options), options.signal)
}

/**
 * Reads, decodes and scales a picture, and names it by a hash.
 *
 * @throws {ImageError} what decodeImage throws, and IMAGE_ASPECT_RATIO
 * @throws {InvalidArgumentError}
 * @throws {AbortError}
 */
export async function prepareImage(
  source: ImageSource,
  geometry: ImageGeometry,
  resize: Resize,
  options: SourceOptions = {},
): Promise<PreparedImage> {
  const { signal } = options
  const started = performance.now()
  const opened = await openImage(source, options)
  const { original } = opened
  const layout = imageLayout(original, geometry) // before the work of decoding: it may refuse the picture
  const decoded = await decode(source, opened, signal)
  const fits = decoded.width === layout.width && decoded.height === layout.height
  const pixels = fits
    ? decoded.data
    : await resize(decoded.data, decoded.width, decoded.height, layout.width, layout.height)
  throwIfAborted(signal)
  const hash = await hashPixels(pixels, layout, signal)
  return { ...layout, original, pixels, hash, decodeMs: performance.now() - started }
}

interface OpenImage {
  readonly image: Sharp
  readonly original: Size
}

/** Reads the source and the header of the picture, and checks what can be checked before decoding. */
async function openImage(source: ImageSource, options: SourceOptions): Promise<OpenImage> {
  const { page = 0, signal } = options
  const limit = options.maxInputPixels ?? defaultMaxInputPixels
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw invalidArgument('maxInputPixels', 'an integer above 0', limit)
  if (!Number.isSafeInteger(page) || page < 0) throw invalidArgument('page', 'an integer from 0', page)
  const data = await readSource(source, options)
  if ('channels' in data) {
    checkPage(page, 1)
    const original = { width: data.width, height: data.height }
    checkPixels(source, original, limit)
    return { image: openPixels(data), original }
  }
  const input = asBuffer(data)
  try {
    // The first page always exists, and knows how many there are.
    let header = await sharp(input, { limitInputPixels: false }).metadata()
    checkPage(page, header.pages ?? 1)
    if (page > 0) header = await sharp(input, { limitInputPixels: false, page }).metadata()
    const original = { width: header.autoOrient.width, height: header.autoOrient.height }
    checkPixels(source, original, limit)
    throwIfAborted(signal)
    // 'error' is Pillow's strictness: damaged data is refused, a mere warning of the decoder is not.
    const opening: SharpOptions = { failOn: 'error', autoOrient: true, limitInputPixels: limit, page }
    return { image: withColours(sharp(input, opening), header), original }
  } catch (error) {
    throw QwenVLError.isInstance(error) ? error : unreadable(source, input, error)
  }
}

async function decode(
  source: ImageSource,
  { image, original }: OpenImage,
  signal: AbortSignal | undefined,
): Promise<DecodedImage> {
  const pipeline = image.toColourspace('srgb').raw({ depth: 'uchar' })
  const { data, info } = await pipeline.toBuffer({ resolveWithObject: true }).catch((error: unknown) => {
    throw unreadable(source, undefined, error)
  })
  throwIfAborted(signal)
  const { width, height, channels } = info
  if (channels < 3 || channels > 4 || width !== original.width || height !== original.height) {
    throw new QwenVLError(
      'INTERNAL',
      `${nameOf(source)} was decoded to ${width}×${height}×${channels} where its header promised ` +
        `${original.width}×${original.height}×3. Please report it with the picture, and convert the picture to PNG.`,
    )
  }
  return { data: channels === 4 ? await onWhite(data, signal) : data, width, height }
}

/** RGBA on white as RGB, in the same memory. Rounded as Pillow does; sharp's `flatten` cuts off. @throws {AbortError} */
async function onWhite(pixels: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  for (let start = 0; start < pixels.length; start += sliceBytes) {
    if (start > 0) await nextTurn()
    throwIfAborted(signal)
    const end = Math.min(start + sliceBytes, pixels.length)
    for (let from = start, to = (start / 4) * 3; from < end; from += 4, to += 3) {
      const alpha = pixels[from + 3] ?? 0
      for (let channel = 0; channel < 3; channel++) {
        const value = pixels[from + channel] ?? 0
        pixels[to + channel] = 255 - Math.floor(((255 - value) * alpha + 127) / 255)
      }
    }
  }
  return pixels.subarray(0, (pixels.length / 4) * 3)
}

/** 16-bit pictures become 8-bit ones first: sharp would take those with a profile to Display P3 and leave them there. */
function withColours(image: Sharp, { space }: Metadata): Sharp {
  return space === 'rgb16' ? image.pipelineColourspace('srgb') : image
}

function openPixels({ data, width, height, channels }: RawPixels): Sharp {
  return sharp(asBuffer(data), { raw: { width, height, channels }, limitInputPixels: false })
}

/** The same memory as a Buffer: the one type that sharp knows in every realm. */
function asBuffer(bytes: Uint8Array | Uint8ClampedArray): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Name of what the model sees, for knowing it again: SHA-256 of size and pixels, hexadecimal. @throws {AbortError} */
export async function hashPixels(
  pixels: Uint8Array,
  { width, height }: Size,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256').update(`${width}x${height}\n`)
  for (let start = 0; start < pixels.length; start += sliceBytes) {
    // crypto.subtle would first copy everything at once, which holds the event loop longer than a slice does.
    if (start > 0) await nextTurn()
    throwIfAborted(signal)
    hash.update(pixels.subarray(start, start + sliceBytes))
  }
  return hash.digest('hex')
}

function checkPage(page: number, pages: number): void {
  if (page >= pages) throw invalidArgument('page', `below ${pages}, the number of frames or pages`, page)
}

function checkPixels(source: ImageSource, { width, height }: Size, limit: number): void {
  if (width * height <= limit) return
  throw new ImageError(
    'IMAGE_TOO_LARGE',
    `${nameOf(source)} has ${width}×${height} pixels, more than ${limit}. Scale it down, or raise \`maxInputPixels\`.`,
    { details: { width, height, maxInputPixels: limit } },
  )
}

/** First bytes of formats that people do pass, and that the decoder does not know. */
const foreign: ReadonlyArray<readonly [name: string, offset: number, text: string]> = [
  ['HEIC', 4, 'ftyphei'],
  ['HEIC', 4, 'ftyphev'],
  ['HEIC', 4, 'ftypmif1'],
  ['BMP', 0, 'BM'],
  ['PDF', 0, '%PDF'],
  ['a Photoshop file', 0, '8BPS'],
  ['an icon', 0, '\0\0\x01\0'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 4, 'JXL '],
  ['JPEG 2000', 4, 'jP  '],
  ['a video', 4, 'ftyp'],
  ['a video', 0, '\x1aE\xdf\xa3'],
  ['a video', 8, 'AVI '],
  ['a web page', 0, '<!doctype html'],
  ['a web page', 0, '<html'],
]

function unreadable(source: ImageSource, input: Buffer | undefined, cause: unknown): ImageError {
  const { message = String(cause) } = cause as Partial<Error>
  const start = input?.toString('latin1', 0, 32).toLowerCase() ?? ''
  const format = foreign.find(([, offset, text]) => start.startsWith(text.toLowerCase(), offset))?.[0]
  const [reason = ''] = message.replace(/^Input buffer /, '').split('\n')
  const fix =
    format === 'a video' ? 'Show it as one: `video()`, --video of a command' : `Convert it to ${formats}`
  const what = format
    ? `is ${format}, which cannot be read as a picture. ${fix}`
    : /unsupported image format/.test(message)
      ? `is no picture in a known format, or only the beginning of one. Pass ${formats}`
      : `is damaged or incomplete (${reason}). Save, copy or download it again`
  return new ImageError('IMAGE_CORRUPT', `${nameOf(source)} ${what}.`, {
    cause,
    details: { reason: message },
  })
}
