/** Progress of a download: bytes, rate and time left, told a few times a second. */

/** Where a download stands. */
export interface PullProgress {
  /**
   * 'check': what an earlier try left is being hashed; 'wait': another process downloads this file, or the hub has to be
   * tried again; `reason` then tells which.
   */
  readonly state: 'download' | 'check' | 'wait'
  readonly reason?: string
  /** Path in the repository. */
  readonly file: string
  /** Of all files together, what was there before included. */
  readonly bytes: number
  readonly totalBytes: number
  /** Of the last seconds; 0 while nothing comes. */
  readonly bytesPerSecond: number
  /** Undefined while nothing comes. */
  readonly secondsLeft: number | undefined
}

const reportMs = 100
/** The rate is that of so many last milliseconds. */
const windowMs = 5000

/** Adds up what the files of a download report. */
export class Meter {
  readonly #totalBytes: number
  readonly #tell: (progress: PullProgress) => void
  /** Bytes of the files before. */
  #before: number
  #bytes = 0
  #file = ''
  #told = -Infinity
  /** Times and bytes of received data, the oldest first. */
  #received: { readonly at: number; readonly bytes: number }[] = []

  constructor(totalBytes: number, presentBytes: number, tell: (progress: PullProgress) => void) {
    this.#totalBytes = totalBytes
    this.#before = presentBytes
    this.#tell = tell
  }

  start(file: string): void {
    this.#file = file
    this.#bytes = 0
  }

  /** The file is complete. */
  finish(bytes: number): void {
    this.#before += bytes
    this.#bytes = 0
    this.#report('download', true)
  }

  /** So many bytes of the file are there. */
  reach(bytes: number, state: 'download' | 'check'): void {
    const at = performance.now()
    const grown = bytes - this.#bytes
    this.#bytes = bytes
    if (state === 'download' && grown > 0) {
      this.#received.push({ at, bytes: grown })
      if (this.#received.length > 2000) this.#forget(at)
    }
    this.#report(state)
  }

  wait(reason: string): void {
    this.#received = []
    this.#report('wait', true, reason)
  }

  #forget(now: number): void {
    this.#received = this.#received.filter(({ at }) => now - at < windowMs)
  }

  #report(state: PullProgress['state'], always = false, reason?: string): void {
    const now = performance.now()
    if (!always && now - this.#told < reportMs) return
    this.#told = now
    this.#forget(now)
    const [first, ...rest] = this.#received
    const seconds = first ? (now - first.at) / 1000 : 0
    const received = rest.reduce((sum, { bytes }) => sum + bytes, 0)
    const bytesPerSecond = seconds > 0 ? received / seconds : 0
    const bytes = this.#before + this.#bytes
    this.#tell({
      state,
      ...(reason !== undefined && { reason }),
      file: this.#file,
      bytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? (this.#totalBytes - bytes) / bytesPerSecond : undefined,
    })
  }
}
