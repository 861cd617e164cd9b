/** Gathers bytes that arrive in pieces, under a limit and without holding up the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ImageError } from '../errors'
import { abortable } from './abort'

/** Work of about a millisecond; longer loops let other events in between. */
export const sliceBytes = 1 << 20

export interface CollectOptions {
  /** Most bytes to take. */
  readonly maxBytes: number
  /** How many are expected; only saves memory moves. */
  readonly expectedBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * All bytes of `chunks` in one piece. Stops the iterable when something goes wrong.
 *
 * @throws {ImageError} IMAGE_TOO_LARGE past `maxBytes`, IMAGE_SOURCE for chunks that are not bytes
 * @throws {AbortError}
 */
export async function collect(chunks: AsyncIterable<unknown>, options: CollectOptions): Promise<Uint8Array> {
  const { maxBytes, expectedBytes = 0, signal } = options
  let bytes = new Uint8Array(Math.min(expectedBytes, maxBytes))
  let length = 0
  const iterator = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      const step = await abortable(iterator.next(), signal)
      if (step.done) return bytes.subarray(0, length)
      const chunk = viewOf(step.value)
      if (!chunk) throw notBytes(step.value)
      const end = length + chunk.length
      if (end > maxBytes) throw tooLarge(maxBytes)
      if (end > bytes.length) bytes = grown(bytes, Math.min(Math.max(end, 2 * bytes.length), maxBytes))
      bytes.set(chunk, length)
      length = end
    }
  } catch (error) {
    // Not awaited: a generator that hangs in next() would never answer, and so a stream is ended directly.
    iterator.return?.().catch(() => undefined)
    if (isDestroyable(chunks)) chunks.destroy()
    throw error
  }
}

/** The bytes of any buffer or view, not copied. Works across realms (vm, jest), where `instanceof` does not. */
export function viewOf(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  const tag = Object.prototype.toString.call(value)
  if (tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]') {
    return new Uint8Array(value as ArrayBuffer)
  }
  return undefined
}

/** Decodes base64 (also the URL-safe alphabet, also with white space). Undefined if the text is no base64. */
export async function decodeBase64(text: string): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let length = 0
  let rest = ''
  for (let start = 0; start < text.length; start += sliceBytes) {
    if (start > 0) await nextTurn()
    const slice = rest + text.slice(start, start + sliceBytes).replace(/\s+/g, '')
    if (/[^\w+/=-]/.test(slice)) return undefined
    const isLast = start + sliceBytes >= text.length
    const whole = isLast ? slice.length : slice.length - (slice.length % 4)
    const decoded = Buffer.from(slice.slice(0, whole), 'base64')
    bytes.set(decoded, length)
    length += decoded.length
    rest = slice.slice(whole)
  }
  return bytes.subarray(0, length)
}

/** The error for a picture of more than `maxBytes` bytes. */
export function tooLarge(maxBytes: number): ImageError {
  return new ImageError(
    'IMAGE_TOO_LARGE',
    `The picture has more than ${maxBytes} bytes. Save it smaller, or raise \`maxImageBytes\`.`,
    { details: { maxBytes } },
  )
}

function isDestroyable(value: object): value is { destroy(): void } {
  return 'destroy' in value && typeof value.destroy === 'function'
}

function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size)
  larger.set(bytes)
  return larger
}

function notBytes(chunk: unknown): ImageError {
  const hint = typeof chunk === 'string' ? ' Do not set an encoding on it.' : ''
  return new ImageError(
    'IMAGE_SOURCE',
    `The picture's stream yields ${typeof chunk}s instead of bytes.${hint}`,
  )
}
