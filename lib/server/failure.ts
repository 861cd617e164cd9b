/** What went wrong → an HTTP status and an error object in the form of the API that was called. */
import { QwenVLError } from '../errors'
import type { ErrorCode } from '../errors'

/** What is told to a client. `type` and `code` are OpenAI's words. */
export interface Failure {
  readonly status: number
  readonly type: string
  readonly code: string | null
  /** Where in the request. */
  readonly param: string | null
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that cannot be served, thrown by this server itself. */
export class HttpError extends Error implements Failure {
  readonly status: number
  readonly type: string
  readonly code: string | null
  readonly param: string | null
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, facts: Partial<Omit<Failure, 'status' | 'message'>> = {}) {
    super(message)
    this.status = status
    this.type = facts.type ?? typeOf(status)
    this.code = facts.code ?? null
    this.param = facts.param ?? null
    this.headers = facts.headers ?? {}
  }
}

/** A value of the request that is not what it has to be. */
export function badValue(param: string, message: string): HttpError {
  return new HttpError(400, message, { param, code: 'invalid_value' })
}

/** Codes that are no fault of the request. */
const statuses: Partial<Record<ErrorCode, number>> = {
  OUT_OF_MEMORY: 500,
  DECODE_FAILED: 500,
  ENCODE_FAILED: 500,
  INTERNAL: 500,
  DISPOSED: 503,
  QUEUE_FULL: 503,
  FFMPEG_NOT_FOUND: 501,
  ABORTED: 499, // the client left
}
/** OpenAI's own codes, where clients know them. */
const codes: Partial<Record<ErrorCode, string>> = {
  INVALID_ARGUMENT: 'invalid_value',
  CONTEXT_OVERFLOW: 'context_length_exceeded',
}

/** What to tell of anything that was thrown. Nothing of an unknown error is told. */
export function failureOf(error: unknown): Failure {
  if (error instanceof HttpError) return error
  if (!QwenVLError.isInstance(error)) return new HttpError(500, 'The server failed. Its log tells more.')
  // An aborted request says why it was.
  if (error.code === 'ABORTED' && error.cause instanceof HttpError) return error.cause
  const { code, message, details } = error
  const status = statuses[code] ?? 400
  const argument = details['argument']
  return {
    status,
    type: typeOf(status),
    code: codes[code] ?? code.toLowerCase(),
    param: typeof argument === 'string' ? argument : null,
    message,
    ...(status === 503 && { headers: { 'retry-after': '1' } }),
  }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 429) return 'rate_limit_error'
  if (status === 503) return 'overloaded_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** OpenAI's error object. */
export function openaiError({ type, code, param, message }: Failure) {
  return { error: { message, type, param, code } }
}

/** Anthropic's error object. */
export function anthropicError({ status, message, param }: Failure) {
  const type = anthropicTypes[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
  return { type: 'error', error: { type, message: param === null ? message : `${param}: ${message}` } }
}

const anthropicTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}
