/** Progress on stderr: a bar on a terminal, now and then a line in a pipe. */
import { SingleBar } from 'cli-progress'
import type { PullProgress } from '../index'
import { bytes, duration } from './output'

const barWidth = 24

export interface Progress<T> {
  readonly update: (value: T) => void
  /** Leaves the terminal as it was. */
  readonly stop: () => void
}

/** Of a download. */
export function downloadProgress(): Progress<PullProgress> {
  const bar = newBar('{file} {bar} {percentage} % | {done} of {size} | {rest}')
  return {
    update: ({ state, reason, file, totalBytes, bytesPerSecond, secondsLeft, ...progress }) => {
      const rate = `${bytes(bytesPerSecond)}/s${secondsLeft === undefined ? '' : `, ${duration(secondsLeft)} left`}`
      bar.show(progress.bytes, Math.max(totalBytes, 1), {
        file,
        done: bytes(progress.bytes),
        size: bytes(totalBytes),
        rest: state === 'wait' ? (reason ?? '') : state === 'check' ? 'checking what is there' : rate,
      })
    },
    stop: bar.stop,
  }
}

/** Of so many things of one kind. */
export function countProgress(
  what: string,
): Progress<{ readonly done: number; readonly total: number; readonly failed: number }> {
  const bar = newBar(`{bar} {value} of {total} ${what} | {failed} failed | {eta_formatted} left`)
  return { update: ({ done, total, failed }) => bar.show(done, total, { failed }), stop: bar.stop }
}

function newBar(format: string) {
  const bar = new SingleBar({
    format,
    barsize: barWidth,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    linewrap: false,
    etaBuffer: 50,
    gracefulExit: false, // a signal ends the command, which stops the bar
    noTTYOutput: true,
    notTTYSchedule: 10_000,
  })
  let started = false
  return {
    show(value: number, total: number, fields: Readonly<Record<string, unknown>>) {
      if (started) {
        bar.setTotal(total)
        bar.update(value, fields)
      } else {
        started = true
        bar.start(total, value, fields)
      }
    },
    stop: () => bar.stop(),
  }
}
