/** Programs of this package as child processes: what a user starts, with what a user sees of it. */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

export const root = join(__dirname, '../..')
export const cli = join(root, 'dist/cli/main.js')

/** Path of a fixture. */
export function fixture(name: string): string {
  return join(root, 'test/fixtures', name)
}

/** Environment that names the tiny random Qwen3-VL. */
export const withModel = {
  QWENVL_MODEL: fixture('qwen3vl/model-f16.gguf'),
  QWENVL_MMPROJ: fixture('qwen3vl/mmproj-f16.gguf'),
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly ended: Promise<Ended>
}

export interface ProgramOptions {
  readonly cwd?: string
  /** Added to the environment; by default the model. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Buffer
  /** Killed after so many ms. Default 50 000. */
  readonly limitMs?: number
}

/** Starts `node …args`. It is killed when the test's time is nearly over, or at its limit. */
export function start(args: readonly string[], options: ProgramOptions = {}): Running {
  const { cwd = root, env = withModel, input = '', limitMs = 50_000 } = options
  const child = spawn(process.execPath, ['--require', join(__dirname, 'thread.cjs'), ...args], {
    cwd,
    env: { ...withoutModel(process.env), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: limitMs,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(input)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, ended }
}

/** Runs `node …args` to its end. */
export function run(args: readonly string[], options?: ProgramOptions): Promise<Ended> {
  return start(args, options).ended
}

/** The command in a pseudo-terminal of util-linux. */
export function terminal(args: readonly string[], env: Readonly<Record<string, string>> = withModel) {
  const preload = join(__dirname, 'thread.cjs')
  const command = [process.execPath, '--require', preload, cli, ...args].map((part) => `'${part}'`).join(' ')
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { ...withoutModel(process.env), ...env, TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 50_000,
  })
  let seen = ''
  let changed: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text
    changed()
  })
  const until = async (arrived: () => boolean) => {
    while (!arrived()) await new Promise<void>((resolve) => (changed = resolve))
  }
  return {
    type: (text: string) => child.stdin.write(text),
    /** Waits for a text, and forgets what came up to it. */
    shows: async (text: string) => {
      await until(() => seen.includes(text))
      seen = seen.slice(seen.indexOf(text) + text.length)
    },
    /** Waits for some more of whatever comes. */
    answers: () => {
      const least = seen.length + 40
      return until(() => seen.length > least)
    },
    ended: new Promise<number | null>((resolve) => child.once('close', resolve)),
  }
}

function withoutModel(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !(name in withModel)))
}
