/** One downloader of a file at a time, over all processes: a lock file that its holder keeps touching. */
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../errors'

const touchMs = 2000
const pollMs = 300
/** Untouched for so long, a lock has lost its holder. */
const staleMs = 10_000

export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Hears once that a living process holds the lock. */
  readonly onWait?: (() => void) | undefined
}

/**
 * Runs `work` while holding `path`. A holder that died or sleeps loses it; two could then work at the same time for a
 * moment. The lock saves work; correctness must not hang on it.
 */
export async function withLock<T>(
  path: string,
  { signal, onWait }: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const owner = `${hostname()} ${process.pid}`
  await acquire(path, owner, { signal, onWait })
  const timer = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined) // taken over: nothing to keep
  }, touchMs)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if ((await ownerOf(path)) === owner) await rm(path, { force: true })
  }
}

async function acquire(path: string, owner: string, { signal, onWait }: LockOptions): Promise<void> {
  // By our own clock: that of a file server may differ.
  let [touched, since, told] = [NaN, performance.now(), false]
  while (!(await take(path, owner))) {
    const mtime = (await stat(path).catch(() => undefined))?.mtimeMs ?? NaN
    if (mtime !== touched) [touched, since] = [mtime, performance.now()]
    if (performance.now() - since > staleMs || isDead(await ownerOf(path))) {
      await discard(path)
      continue
    }
    if (!told) onWait?.()
    told = true
    await sleep(pollMs, undefined, { ...(signal && { signal }) }).catch(() => throwIfAborted(signal))
  }
}

async function take(path: string, owner: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(owner).finally(() => file.close())
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** By renaming first, only one of several waiters takes it away. */
async function discard(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.${performance.now()}`
  await rename(path, aside).then(
    () => rm(aside, { force: true }),
    () => undefined,
  )
}

function ownerOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** Processes of other machines and containers are known by their touching alone. */
function isDead(owner: string): boolean {
  const [host, pid] = owner.split(' ')
  if (host !== hostname() || !pid) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
