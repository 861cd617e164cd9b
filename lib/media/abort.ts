/** The caller's AbortSignal in waits that know nothing of it, and in work of several parts. */
import { whenAborted } from '../abort'
import { AbortError, throwIfAborted } from '../errors'

/**
 * Works on all items, `width` at a time; the results keep their order. The first failure stops the rest of the work, by
 * the signal that `work` gets, and is thrown when nothing runs any more.
 */
export async function mapTogether<T, R>(
  items: readonly T[],
  width: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const rest = new AbortController()
  const forget = whenAborted(signal, () => rest.abort(signal?.reason))
  const results = new Array<R>(items.length)
  const queue = items.entries()
  const workers = Array.from({ length: Math.min(items.length, width) }, async () => {
    for (const [index, item] of queue) {
      throwIfAborted(rest.signal)
      results[index] = await work(item, rest.signal)
    }
  })
  try {
    await Promise.all(workers)
    return results
  } catch (error) {
    rest.abort(error)
    await Promise.allSettled(workers)
    throw error
  } finally {
    forget()
  }
}

/** Settles like `promise`, or rejects with an AbortError as soon as the signal fires. Leaves no listener behind. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let forget: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    forget = whenAborted(signal, () => reject(new AbortError(signal.reason)))
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    forget?.()
  }
}
