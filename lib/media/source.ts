/** Anything that can be a picture → its bytes, or raw pixels, within limits of size, time and place. */
import { createReadStream } from 'node:fs'
import { readFile as readWhole, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ImageError, QwenVLError, invalidArgument, throwIfAborted } from '../errors'
import { abortable } from './abort'
import { collect, decodeBase64, sliceBytes, tooLarge, viewOf } from './bytes'
import { download } from './download'

/**
 * A picture:
 * - a path, or a `file:`, `http:`, `https:` or `data:` URL, as a string or URL object;
 * - the bytes of a picture file: Buffer, ArrayBuffer, any view of one, a Blob or File, a Node or web stream, or any
 *   async iterable of bytes (streams can be read only once);
 * - raw pixels; a sharp instance, whose pipeline is run.
 */
export type ImageSource =
  | string
  | { readonly href: string; readonly protocol: string }
  | ArrayBufferLike
  | ArrayBufferView
  | BlobLike
  | WebStreamLike
  | AsyncIterable<unknown>
  | RawPixels
  | SharpLike

/** Uncompressed 8-bit pixels, row after row: grey, grey + alpha, RGB or RGBA. */
export interface RawPixels {
  /** `width * height * channels` bytes. */
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
  readonly channels: 1 | 2 | 3 | 4
}

/** What is used of a Blob or File. */
export interface BlobLike {
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
}

/** What is used of a web ReadableStream. */
export interface WebStreamLike {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
    cancel(reason?: unknown): Promise<unknown>
  }
}

/** What is used of a sharp instance, so that any copy of sharp fits. */
export interface SharpLike {
  clone(): SharpLike
  autoOrient(): SharpLike
  toColourspace(name: string): SharpLike
  raw(options: { depth: 'uchar' }): SharpLike
  toBuffer(options: { resolveWithObject: true }): Promise<{
    readonly data: Uint8Array
    readonly info: { readonly width: number; readonly height: number; readonly channels: number }
  }>
}

/** Limits of reading a picture. */
export interface SourceOptions {
  /** Largest size of the encoded picture. Default 64 MB (67 108 864 bytes). */
  readonly maxBytes?: number | undefined
  /** Largest width × height of the original picture. Default 200 000 000. */
  readonly maxInputPixels?: number | undefined
  /** For a download as a whole. Default 30 000. */
  readonly timeoutMs?: number | undefined
  /** Download also from private, local and reserved addresses. Default false. */
  readonly allowPrivateAddresses?: boolean | undefined
  /** Frame of an animated picture or page of a document, from 0. Default 0. */
  readonly page?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const defaultMaxBytes = 64 * 1024 * 1024
const defaultTimeoutMs = 30_000

/**
 * The bytes of the picture file, or pixels where the source has only those. The caller's memory is not copied.
 *
 * @throws {ImageError} FILE_NOT_FOUND, IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_SOURCE, IMAGE_DOWNLOAD,
 *   IMAGE_ADDRESS_REFUSED
 * @throws {AbortError}
 */
export async function readSource(
  source: ImageSource,
  options: SourceOptions = {},
): Promise<Uint8Array | RawPixels> {
  throwIfAborted(options.signal)
  const maxBytes = atLeastOne('maxBytes', options.maxBytes ?? defaultMaxBytes)
  const data = await readAny(source, { ...options, maxBytes })
  throwIfAborted(options.signal)
  if ('channels' in data) return data
  if (data.length > maxBytes) throw tooLarge(maxBytes)
  if (data.length === 0) {
    throw new ImageError('IMAGE_EMPTY', `${nameOf(source)} has no bytes. Check how it was written or read.`)
  }
  return data
}

/** The source in a few words, to begin a message with. */
export function nameOf(source: ImageSource): string {
  const url =
    typeof source === 'string' ? source : isObject(source) && isUrl(source) ? source.href : undefined
  if (url === undefined) return 'The picture'
  if (/^data:/i.test(url)) return 'The picture in the data: URI'
  // Queries of signed URLs are secrets.
  const name = /^https?:/i.test(url) ? url.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//') : url
  return `The picture '${name.length > 200 ? `${name.slice(0, 200)}…` : name}'`
}

type Limits = SourceOptions & { readonly maxBytes: number }

async function readAny(source: ImageSource, limits: Limits): Promise<Uint8Array | RawPixels> {
  const { maxBytes, signal } = limits
  if (typeof source === 'string') return readUrlOrPath(source, limits)
  const bytes = viewOf(source)
  if (bytes) return bytes
  if (isObject(source)) {
    if (isUrl(source)) return readUrlOrPath(source.href, limits)
    if (isSharp(source)) return runSharp(source, signal)
    if (isRawPixels(source)) return checkedPixels(source)
    if (isBlob(source)) {
      if (source.size > maxBytes) throw tooLarge(maxBytes)
      return new Uint8Array(await abortable(source.arrayBuffer(), signal))
    }
    if (isWebStream(source)) return collect(chunksOf(source), { maxBytes, signal })
    if (isIterable(source)) return collect(source, { maxBytes, signal })
  }
  throw invalidArgument(
    'image',
    'a path, URL, data URI, bytes, Blob, stream, raw pixels or a sharp instance',
    source,
  )
}

async function readUrlOrPath(text: string, limits: Limits): Promise<Uint8Array> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme === 'data') return readDataUri(text, limits.maxBytes)
  if (scheme === 'file') return readFileUrl(text, limits)
  if (scheme === 'http' || scheme === 'https') {
    if (!URL.canParse(text)) throw new ImageError('IMAGE_SOURCE', `${nameOf(text)} is not a valid URL.`)
    const timeoutMs = atLeastOne('timeoutMs', limits.timeoutMs ?? defaultTimeoutMs)
    const allowPrivateAddresses = limits.allowPrivateAddresses ?? false
    return download(new URL(text), { ...limits, timeoutMs, allowPrivateAddresses })
  }
  if (scheme && text.startsWith('://', scheme.length)) {
    throw new ImageError(
      'IMAGE_SOURCE',
      `${nameOf(text)} has the scheme ${scheme}:, which is not supported. Use http:, https:, data:, file: or a path.`,
    )
  }
  return readFile(text, limits)
}

async function readDataUri(uri: string, maxBytes: number): Promise<Uint8Array> {
  const comma = uri.indexOf(',')
  if (comma < 0) {
    throw new ImageError('IMAGE_SOURCE', 'The data: URI has no comma. Write data:image/png;base64,<data>.')
  }
  const isBase64 = /;\s*base64\s*$/i.test(uri.slice(0, comma))
  const text = uri.slice(comma + 1)
  // Escapes take three characters a byte, base64 four for three.
  if (text.length / (isBase64 ? 4 / 3 : 3) > maxBytes + 3) throw tooLarge(maxBytes)
  if (!isBase64) return Buffer.from(unescapeBytes(text), 'latin1')
  const bytes = await decodeBase64(text.includes('%') ? unescapeBytes(text) : text)
  if (!bytes)
    throw new ImageError('IMAGE_SOURCE', 'The data: URI says base64, but has other characters in it.')
  return bytes
}

/** Percent escapes → one character a byte. */
function unescapeBytes(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** A proper file: URL, or what the Qwen READMEs write: 'file://' and then the path as it is. */
async function readFileUrl(text: string, limits: Limits): Promise<Uint8Array> {
  const literal = text.replace(/^file:(\/\/)?/i, '')
  let decoded: string
  try {
    decoded = fileURLToPath(text)
  } catch {
    return readFile(literal, limits)
  }
  try {
    return await readFile(decoded, limits)
  } catch (error) {
    if (literal === decoded || !QwenVLError.isInstance(error) || error.code !== 'FILE_NOT_FOUND') throw error
    return readFile(literal, limits).catch((second: unknown) => {
      throw QwenVLError.isInstance(second) && second.code === 'FILE_NOT_FOUND' ? error : second
    })
  }
}

async function readFile(path: string, { maxBytes, signal }: Limits): Promise<Uint8Array> {
  try {
    const status = await stat(path)
    if (status.isDirectory()) {
      throw new ImageError('IMAGE_SOURCE', `'${path}' is a folder. Pass the path of a picture in it.`)
    }
    if (status.isFile() && status.size > 0) {
      if (status.size > maxBytes) throw tooLarge(maxBytes)
      return await abortable(readWhole(path, { signal }), signal)
    }
    // A pipe, a device or a file of the kernel does not tell its size.
    return await collect(createReadStream(path, { highWaterMark: sliceBytes }), { maxBytes, signal })
  } catch (error) {
    throw QwenVLError.isInstance(error) ? error : fileError(path, error)
  }
}

function fileError(path: string, cause: unknown): ImageError {
  const { code, message } = cause as NodeJS.ErrnoException
  if (path.length > 1000) {
    const hint = 'If it is base64, write data:image/png;base64,<data>, or pass a Buffer.'
    return new ImageError('IMAGE_SOURCE', `A text of ${path.length} characters is no path. ${hint}`, {
      cause,
    })
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const absolute = resolve(path)
    const where = absolute === path ? '' : ` (looked for ${absolute})`
    return new ImageError('FILE_NOT_FOUND', `There is no file '${path}'${where}. Check the path.`, {
      cause,
      details: { path: absolute },
    })
  }
  return new ImageError('IMAGE_SOURCE', `Could not read '${path}': ${message}.`, { cause, details: { path } })
}

/** Not a generator: its `return` has to cancel the stream also while a read is under way. */
function chunksOf(stream: WebStreamLike): AsyncIterable<unknown> {
  const reader = stream.getReader()
  const iterator: AsyncIterator<unknown> = {
    next: async () => {
      const { done, value } = await reader.read()
      return done ? { done, value: undefined } : { done, value }
    },
    return: async () => {
      await reader.cancel()
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

async function runSharp(image: SharpLike, signal: AbortSignal | undefined): Promise<RawPixels> {
  const pixels = image.clone().autoOrient().toColourspace('srgb').raw({ depth: 'uchar' })
  try {
    const { data, info } = await abortable(pixels.toBuffer({ resolveWithObject: true }), signal)
    return checkedPixels({ ...info, data })
  } catch (error) {
    if (QwenVLError.isInstance(error)) throw error
    throw new ImageError('IMAGE_SOURCE', `The sharp instance failed: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function checkedPixels(pixels: Record<keyof RawPixels, unknown>): RawPixels {
  const { data, width, height, channels } = pixels
  const bytes = viewOf(data)
  if (!bytes || (data as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT !== 1) {
    throw invalidArgument('image.data', 'a Uint8Array of pixels', data)
  }
  atLeastOne('image.width', width)
  atLeastOne('image.height', height)
  if (channels !== 1 && channels !== 2 && channels !== 3 && channels !== 4) {
    throw invalidArgument('image.channels', '1, 2, 3 or 4', channels)
  }
  const size = Number(width) * Number(height) * channels
  if (bytes.length !== size) {
    throw invalidArgument('image.data.length', `width × height × channels (${size})`, bytes.length)
  }
  return { data: bytes, width: Number(width), height: Number(height), channels }
}

function atLeastOne(name: string, value: unknown): number {
  if (Number.isSafeInteger(value) && Number(value) >= 1) return Number(value)
  throw invalidArgument(name, 'an integer of at least 1', value)
}

const has = (value: object, ...names: string[]) => names.every((name) => name in value)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isUrl = (value: object): value is { href: string; protocol: string } => has(value, 'href', 'protocol')
const isSharp = (value: object): value is SharpLike =>
  has(value, 'clone', 'autoOrient', 'toColourspace', 'toBuffer')
const isRawPixels = (value: object): value is RawPixels => has(value, 'data', 'width', 'height', 'channels')
const isBlob = (value: object): value is BlobLike => has(value, 'arrayBuffer', 'size')
const isWebStream = (value: object): value is WebStreamLike => has(value, 'getReader')
const isIterable = (value: object): value is AsyncIterable<unknown> => Symbol.asyncIterator in value
