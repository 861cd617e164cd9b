/** Who may call: whoever shows a key; without keys, whoever is on this machine and is no web page of another origin. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { HttpError } from './failure'
import { isLoopback } from './options'
import type { ServerSettings } from './options'

export function accessRules(settings: ServerSettings): MiddlewareHandler {
  const { apiKey, host } = settings
  if (apiKey.length > 0) return keyRule(apiKey)
  return isLoopback(host) ? localRule : async (_, next) => next()
}

/** The page itself, which asks for the key, is open. */
function keyRule(keys: readonly string[]): MiddlewareHandler {
  const known = keys.map(digest)
  return async (c, next) => {
    if (!isApi(c)) return next()
    const shown = keyOf(c)
    const isKnown = shown !== undefined && known.some((key) => timingSafeEqual(key, digest(shown)))
    if (!isKnown) {
      throw new HttpError(
        401,
        shown === undefined
          ? 'You did not provide an API key. Send it in the header `Authorization: Bearer <key>` or `x-api-key`.'
          : 'Incorrect API key provided.',
        { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' } },
      )
    }
    return next()
  }
}

/**
 * A web page can reach loopback by a name of its own that leads there (DNS rebinding); its requests then carry this name.
 */
const localRule: MiddlewareHandler = async (c, next) => {
  const { hostname } = new URL(c.req.url)
  if (isLoopback(hostname)) return next()
  throw new HttpError(
    403,
    `This server answers on this machine only, not as ${hostname.slice(0, 200)}. Set an API key to use other names.`,
    { code: 'host_refused' },
  )
}

function isApi(c: Context): boolean {
  return c.req.method !== 'GET' || /^\/(v1|metrics)(\/|$)/.test(c.req.path)
}

/** The key that a client shows. */
export function keyOf(c: Context): string | undefined {
  return /^Bearer\s+(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? c.req.header('x-api-key')
}

/** Of one length, so that comparing takes the same time for all. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
