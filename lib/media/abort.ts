/** The caller's AbortSignal in waits that know nothing of it, and in work of several parts. */
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
  const stop = () => rest.abort(signal?.reason)
  if (signal?.aborted) stop()
  else signal?.addEventListener('abort', stop, { once: true })
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
    signal?.removeEventListener('abort', stop)
  }
}

/** Settles like `promise`, or rejects with an AbortError as soon as the signal fires. Leaves no listener behind. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new AbortError(signal.reason))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}
