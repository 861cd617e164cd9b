/** What ends when the caller's AbortSignal fires. */

/** The calls that wait for a signal, behind one listener. */
interface Waiting {
  readonly calls: Set<() => void>
  readonly fire: () => void
}

const known = new WeakMap<AbortSignal, Waiting>()
const nothing = () => undefined

/**
 * Calls `stop` when the signal fires, or at once if it has fired. Any number of requests may share a signal: it gets one
 * listener from us, for Node warns of a leak from the eleventh on.
 *
 * @returns to be called when nothing is left to stop; the last one takes the listener away
 */
export function whenAborted(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (!signal) return nothing
  if (signal.aborted) {
    stop()
    return nothing
  }
  const waiting = known.get(signal) ?? listen(signal)
  const call = () => stop() // the same function may wait twice
  waiting.calls.add(call)
  return () => {
    waiting.calls.delete(call)
    if (waiting.calls.size > 0 || known.get(signal) !== waiting) return
    known.delete(signal)
    signal.removeEventListener('abort', waiting.fire)
  }
}

function listen(signal: AbortSignal): Waiting {
  const calls = new Set<() => void>()
  const fire = () => {
    known.delete(signal)
    for (const call of calls) call()
  }
  signal.addEventListener('abort', fire, { once: true })
  const waiting = { calls, fire }
  known.set(signal, waiting)
  return waiting
}
