/** HTTP with a hub: token, silence, refusals and failures as typed errors; what may pass is tried again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { whenAborted } from '../abort'
import { DownloadError, QwenVLError, throwIfAborted } from '../errors'
import type { HubSettings } from './settings'

const firstPauseMs = 250
const longestPauseMs = 10_000
/** A hub that asks for more patience than this gets none. */
const longestAskedMs = 5 * 60_000

export interface Patience {
  readonly signal?: AbortSignal | undefined
  /** Failures in a row before giving up. */
  readonly retries: number
  /** Hears of every wait before another try. */
  readonly onWait?: ((ms: number, reason: DownloadError) => void) | undefined
}

/**
 * Does `work` until it succeeds. Failures that may pass (`HUB_UNREACHABLE`, `HUB_RATE_LIMITED`) are repeated after a
 * pause, as long as `progress` grows or retries are left.
 */
export async function persist<T>(
  work: () => Promise<T>,
  { signal, retries, onWait }: Patience,
  progress: () => number = () => 0,
): Promise<T> {
  let reached = progress()
  for (let failures = 0; ;) {
    try {
      return await work()
    } catch (error) {
      throwIfAborted(signal)
      if (!mayPass(error)) throw error
      failures = progress() > reached ? 1 : failures + 1
      reached = Math.max(reached, progress())
      const asked = error.details['retryAfterMs']
      const pause =
        typeof asked === 'number' ? asked : Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
      if (failures > retries || pause > longestAskedMs) throw error
      onWait?.(pause, error)
      await sleep(pause, undefined, { ...(signal && { signal }) }).catch(() => throwIfAborted(signal))
    }
  }
}

function mayPass(error: unknown): error is DownloadError {
  return (
    QwenVLError.isInstance(error) && (error.code === 'HUB_UNREACHABLE' || error.code === 'HUB_RATE_LIMITED')
  )
}

/** The answer to one request, with a body that is given up when it falls silent. */
export interface Answer {
  readonly response: Response
  readonly chunks: AsyncIterable<Uint8Array>
}

/**
 * One request and what `read` makes of its answer; the connection is closed afterwards.
 * @throws DownloadError HUB_NOT_FOUND, HUB_ACCESS_DENIED, HUB_RATE_LIMITED, HUB_UNREACHABLE; AbortError
 */
export async function request<T>(
  url: string,
  init: RequestInit,
  hub: HubSettings,
  signal: AbortSignal | undefined,
  read: (answer: Answer) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal)
  const end = new AbortController()
  const abort = () => end.abort()
  let timer = setTimeout(abort, hub.timeoutMs)
  const forget = whenAborted(signal, abort)
  try {
    const response = await fetch(url, { ...init, headers: headersOf(url, init, hub), signal: end.signal })
    await refuse(response, url, hub)
    return await read({ response, chunks: chunksOf(response) })
  } catch (error) {
    throwIfAborted(signal)
    throw QwenVLError.isInstance(error)
      ? error
      : unreachable(url, end.signal.aborted ? `silent for ${hub.timeoutMs} ms` : error)
  } finally {
    clearTimeout(timer)
    forget()
    end.abort()
  }

  async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
    for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
      clearTimeout(timer)
      timer = setTimeout(abort, hub.timeoutMs)
      yield chunk
    }
  }
}

/** `fetch` for the functions of @huggingface/hub and @huggingface/gguf: small answers, persistently. */
export function hubFetch(hub: HubSettings, patience: Patience, maxBytes: number): typeof fetch {
  return (input, init = {}) => {
    const url = input instanceof Request ? input.url : String(input)
    return persist(
      () =>
        request(url, init, hub, patience.signal, async ({ response, chunks }) => {
          const parts: Uint8Array[] = []
          let bytes = 0
          for await (const chunk of chunks) {
            bytes += chunk.length
            if (bytes > maxBytes) throw tooLong(url, maxBytes)
            parts.push(chunk)
          }
          const { status, headers } = response
          return new Response(Buffer.concat(parts), { status, headers })
        }),
      patience,
    )
  }
}

/** The token goes to the hub alone; `fetch` drops it where a redirect leads elsewhere. */
function headersOf(url: string, init: RequestInit, { endpoint, token }: HubSettings): Headers {
  const headers = new Headers(init.headers)
  headers.set('user-agent', 'qwenvl-native')
  headers.set('accept-encoding', 'identity')
  if (token && new URL(url).origin === new URL(endpoint).origin)
    headers.set('authorization', `Bearer ${token}`)
  return headers
}

async function refuse(response: Response, url: string, hub: HubSettings): Promise<void> {
  const { status, headers } = response
  if (response.ok || status === 416) return
  const elsewhere = new URL(response.url || url).origin !== new URL(hub.endpoint).origin
  if (status === 429) throw rateLimited(url, headers)
  // The store behind a hub refuses addresses that have grown old; the hub gives a new one.
  if (status >= 500 || status === 408 || elsewhere) throw unreachable(url, `status ${status}`)
  const reason = headers.get('x-error-message') ?? (await response.text()).slice(0, 200)
  throw status === 404 ? notFound(url, reason) : denied(url, status, Boolean(hub.token), reason)
}

function notFound(url: string, reason: string): DownloadError {
  return new DownloadError(
    'HUB_NOT_FOUND',
    `The hub has nothing at ${address(url)}. Check the names of repository, revision and file.`,
    { details: { reason } },
  )
}

function denied(url: string, status: number, hasToken: boolean, reason: string): DownloadError {
  const fix = hasToken
    ? 'Its owner has to give your token access: open the page of the model, and accept its terms if it asks.'
    : 'It is private, gated or absent. Check the name, or set HF_TOKEN to a token of an account with access.'
  return new DownloadError(
    'HUB_ACCESS_DENIED',
    `The hub refuses ${address(url)} (status ${status}). ${fix}`,
    {
      details: { status, reason },
    },
  )
}

function rateLimited(url: string, headers: Headers): DownloadError {
  const seconds = headers.get('retry-after') ?? /\bt=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]
  const ms = seconds === undefined ? NaN : pauseOf(seconds)
  const wait = Number.isNaN(ms) ? 'later' : `in ${Math.ceil(ms / 1000)} s`
  return new DownloadError(
    'HUB_RATE_LIMITED',
    `Too many requests to ${new URL(url).host}: try again ${wait}. With HF_TOKEN the limits are higher.`,
    { details: { ...(!Number.isNaN(ms) && { retryAfterMs: ms }) } },
  )
}

/** Of Retry-After: seconds or a date. */
function pauseOf(value: string): number {
  const seconds = Number(value)
  return Number.isNaN(seconds) ? Math.max(0, Date.parse(value) - Date.now()) : seconds * 1000
}

function unreachable(url: string, cause: unknown): DownloadError {
  return new DownloadError(
    'HUB_UNREACHABLE',
    `Could not get ${address(url)}: ${reasonOf(cause)}. Check the network and HF_ENDPOINT; HF_HUB_OFFLINE=1 uses the cache alone.`,
    { cause },
  )
}

/** Fetch hides what happened in its cause. By shape: its errors are of the main realm, which jest or a vm context is not. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown }
  return cause === undefined ? message || code || 'no reason given' : reasonOf(cause)
}

function tooLong(url: string, maxBytes: number): DownloadError {
  return new DownloadError(
    'DOWNLOAD_CORRUPT',
    `${address(url)} answers with more than ${maxBytes} bytes where fewer were asked for: not a hub, or one without range requests.`,
  )
}

/** Without query: it may hold secrets, and messages end up in logs. */
function address(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
