/** How often a client may ask: a bucket for each, which a minute fills. */
import { getConnInfo } from '@hono/node-server/conninfo'
import type { MiddlewareHandler } from 'hono'
import { keyOf } from './access'
import { HttpError } from './failure'

/** More clients than this are not remembered: those with full buckets are forgotten. */
const mostClients = 10_000

interface Bucket {
  left: number
  /** When it was looked at, in ms. */
  at: number
}

/** @param perMinute Requests to the API of one client, a key or else an address. */
export function rateLimit(perMinute: number): MiddlewareHandler {
  const buckets = new Map<string, Bucket>()
  const perMs = perMinute / 60_000
  const filled = ({ left, at }: Bucket, now: number) => Math.min(perMinute, left + (now - at) * perMs)
  return async (c, next) => {
    if (c.req.method !== 'POST') return next()
    const client = keyOf(c) ?? getConnInfo(c).remote.address ?? ''
    const now = performance.now()
    const known = buckets.get(client)
    const left = known ? filled(known, now) : perMinute
    if (left < 1) {
      const seconds = Math.ceil((1 - left) / perMs / 1000)
      throw new HttpError(429, `More than ${perMinute} requests a minute. Ask again in ${seconds} s.`, {
        code: 'rate_limit_exceeded',
        headers: { 'retry-after': String(seconds) },
      })
    }
    if (!known && buckets.size >= mostClients)
      for (const [name, bucket] of buckets) if (filled(bucket, now) >= perMinute) buckets.delete(name)
    buckets.set(client, { left: left - 1, at: now })
    return next()
  }
}
