/** Programs of the tests in processes of their own, never longer than a limit. */
import { fork } from 'node:child_process'
import type { ForkOptions } from 'node:child_process'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'

export interface Outcome {
  /** Exit status, or null when a signal ended the process. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** What the child sent over its channel. */
  readonly messages: readonly unknown[]
  /** Milliseconds from the first message to the end; undefined without a message. */
  readonly sinceMessageMs: number | undefined
}

export interface ChildOptions extends Pick<ForkOptions, 'cwd' | 'env' | 'execArgv'> {
  /** Killed after this. Default 60 000. */
  readonly limitMs?: number
  /** Called with every message. */
  readonly onMessage?: (message: unknown, child: ReturnType<typeof fork>) => void
}

/** Runs a script with an IPC channel until it ends. */
export async function runChild(
  script: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Outcome> {
  const { limitMs = 60_000, onMessage, ...rest } = options
  const child = fork(script, args, { ...rest, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const messages: unknown[] = []
  let stdout = ''
  let stderr = ''
  let firstMessage: number | undefined
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.on('message', (message) => {
    firstMessage ??= performance.now()
    messages.push(message)
    onMessage?.(message, child)
  })
  const limit = setTimeout(() => {
    stderr += `\nkilled after ${limitMs} ms`
    child.kill('SIGKILL')
  }, limitMs)
  // Not 'close': Node never emits it after the parent has disconnected the channel.
  const [[code, signal]] = await Promise.all([
    once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
    ...[child.stdout, child.stderr].map((stream) => stream && finished(stream)),
  ])
  clearTimeout(limit)
  const sinceMessageMs = firstMessage === undefined ? undefined : performance.now() - firstMessage
  return { code, signal, stdout, stderr, messages, sinceMessageMs }
}

/** Starts all work, at most `width` at a time; the results keep their order. */
export function pooled<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Array<Promise<R>> {
  const waiting: Array<() => void> = []
  let running = 0
  return items.map(async (item) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work(item)
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  })
}
