/**
 * Everything this package throws. One base class with a `code`; subclasses only where a caller would branch.
 */

/** The closed list of error codes. `native/core/error.h` uses the same names. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'FILE_NOT_FOUND'
  | 'NOT_GGUF'
  | 'GGUF_TRUNCATED'
  | 'GGUF_CORRUPT'
  | 'MODEL_LOAD_FAILED'
  | 'UNSUPPORTED_MODEL'
  | 'PROJECTOR_MISMATCH'
  | 'PROJECTOR_MISSING'
  | 'BACKEND_NOT_FOUND'
  | 'BINDING_NOT_FOUND'
  | 'OUT_OF_MEMORY'
  | 'CONTEXT_OVERFLOW'
  | 'QUEUE_FULL'
  | 'DECODE_FAILED'
  | 'ENCODE_FAILED'
  | 'IMAGE_EMPTY'
  | 'IMAGE_CORRUPT'
  | 'IMAGE_TOO_LARGE'
  | 'IMAGE_ASPECT_RATIO'
  | 'IMAGE_SOURCE'
  | 'IMAGE_DOWNLOAD'
  | 'IMAGE_ADDRESS_REFUSED'
  | 'FFMPEG_NOT_FOUND'
  | 'VIDEO_SOURCE'
  | 'VIDEO_CORRUPT'
  | 'VIDEO_TOO_SHORT'
  | 'VIDEO_TOO_LARGE'
  | 'VIDEO_FRAME_SIZES'
  | 'HUB_NOT_FOUND'
  | 'HUB_ACCESS_DENIED'
  | 'HUB_RATE_LIMITED'
  | 'HUB_UNREACHABLE'
  | 'NOT_CACHED'
  | 'DOWNLOAD_CORRUPT'
  | 'DISK_FULL'
  | 'CACHE_NOT_WRITABLE'
  | 'TEMPLATE_FAILED'
  | 'OUTPUT_TRUNCATED'
  | 'OUTPUT_INVALID'
  | 'TOOL_CALL_INVALID'
  | 'TOOL_FAILED'
  | 'TOOL_STEPS'
  | 'CHAT_CORRUPT'
  | 'CHAT_FOREIGN'
  | 'CHAT_NOT_WRITABLE'
  | 'ABORTED'
  | 'DISPOSED'
  | 'STREAM_CONSUMED'
  | 'INTERNAL'

const brand = Symbol.for('qwenvl-native.error')

/** Base of all errors of this package. `message` names the fix; `details` carries the facts behind it. */
export class QwenVLError extends Error {
  readonly code: ErrorCode
  /** Facts for programs: paths, sizes, limits, the last lines of the native log (`log`). */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    Object.defineProperty(this, brand, { value: true })
  }

  /** True for any error of this package, also from another copy of it or another realm (jest, vm, worker). */
  static isInstance(value: unknown): value is QwenVLError {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** A model or projector file is missing, damaged, or does not fit into memory. */
export class ModelLoadError extends QwenVLError {}
/** The file is a good GGUF, but not a model (or a pair) that this package can run. */
export class UnsupportedModelError extends QwenVLError {}
/** A picture could not be read, is too large, or comes from a refused place. */
export class ImageError extends QwenVLError {}
/** A video could not be read: no ffmpeg, no video, too few frames, frames of different sizes or too large. */
export class VideoError extends QwenVLError {}
/** A model could not be had from its hub or kept in the cache: no such file, no access, no network, wrong bytes, no room. */
export class DownloadError extends QwenVLError {}
/** Prompt plus answer do not fit into the context; `details` has `promptTokens` and `contextSize`. */
export class ContextOverflowError extends QwenVLError {}
/** The model has as many requests as it takes (`maxQueue`); `details` has `active`. Ask again later. */
export class QueueFullError extends QwenVLError {}
/** An answer is not what `schema` asked for: cut off, or against what a grammar cannot say; `details` has its `text`. */
export class OutputError extends QwenVLError {}
/** A tool failed, was called wrongly again and again, or was called without an end; `details` has `messages` so far. */
export class ToolError extends QwenVLError {}
/** A saved chat cannot be read or written: damaged, something else, of another kind of model; no room, no right. */
export class ChatFileError extends QwenVLError {}
/** An argument of a call is wrong: which, what was expected, what came. */
export class InvalidArgumentError extends QwenVLError {}

/** The caller's AbortSignal fired. `name` is 'AbortError' as for a DOMException; `cause` is the signal's reason. */
export class AbortError extends QwenVLError {
  constructor(reason?: unknown) {
    super('ABORTED', 'The operation was aborted.', { cause: reason })
  }
}

for (const [name, type] of Object.entries({
  QwenVLError,
  ModelLoadError,
  UnsupportedModelError,
  ImageError,
  VideoError,
  DownloadError,
  ContextOverflowError,
  QueueFullError,
  OutputError,
  ToolError,
  ChatFileError,
  InvalidArgumentError,
  AbortError,
})) {
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true })
}

/** @throws AbortError if the signal has fired; its `cause` is the signal's reason */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason)
}

/** Why the engine ended a request without a result: the caller's signal, or else the end of the model. */
export function endedEarly(signal: AbortSignal | undefined): QwenVLError {
  if (signal?.aborted) return new AbortError(signal.reason)
  return new QwenVLError('DISPOSED', 'The model was disposed while it worked for this request.')
}

/** One sentence shape for bad arguments: "Expected `fps` to be a number above 0, got '2' (string)." */
export function invalidArgument(name: string, expected: string, actual: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    'INVALID_ARGUMENT',
    `Expected \`${name}\` to be ${expected}, got ${describe(actual)}.`,
    {
      details: { argument: name },
    },
  )
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}' (string)`
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return `${value} (${typeof value})`
  return Array.isArray(value)
    ? 'an array'
    : typeof value === 'object'
      ? (value.constructor?.name ?? 'an object')
      : typeof value
}

/** Turns an error that crossed the native boundary (`code`, `detail`) into the class its code belongs to. */
export function fromNative(error: { code: string; message: string; detail?: string }): QwenVLError {
  const code = error.code as ErrorCode
  const options = error.detail ? { details: { log: error.detail } } : {}
  switch (code) {
    case 'ABORTED':
      return new AbortError()
    case 'CONTEXT_OVERFLOW':
      return new ContextOverflowError(code, error.message, options)
    case 'INVALID_ARGUMENT':
      return new InvalidArgumentError(code, error.message, options)
    case 'UNSUPPORTED_MODEL':
    case 'PROJECTOR_MISMATCH':
    case 'PROJECTOR_MISSING':
      return new UnsupportedModelError(code, error.message, options)
    case 'CHAT_NOT_WRITABLE':
      return new ChatFileError(code, error.message, options)
    case 'FILE_NOT_FOUND':
    case 'NOT_GGUF':
    case 'GGUF_TRUNCATED':
    case 'GGUF_CORRUPT':
    case 'MODEL_LOAD_FAILED':
    case 'BACKEND_NOT_FOUND':
    case 'OUT_OF_MEMORY':
      return new ModelLoadError(code, error.message, options)
    default:
      return new QwenVLError(code, error.message, options)
  }
}
