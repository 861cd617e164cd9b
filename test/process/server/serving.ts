/** `qwenvl-native serve` as a child process that listens on a port of its own. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { cli, fixture, start } from '../program'
import type { Ended } from '../program'

export interface Serving {
  readonly url: string
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Stops it as a service manager does; resolves with how it ended. */
  stop(): Promise<Ended>
}

/** Starts a server with the tiny random Qwen3-VL; for all tests of a file. */
export async function startServing(
  args: readonly string[] = [],
  env?: Readonly<Record<string, string>>,
): Promise<Serving> {
  const { child, ended } = start([cli, 'serve', '--port', '0', '--json', ...args], {
    ...(env && { env }),
    limitMs: 300_000,
  })
  const first = once(child.stdout, 'data') as Promise<[string]>
  const failed = ended.then(({ stderr }) => Promise.reject(new Error(stderr)))
  const [line] = await Promise.race([first, failed])
  failed.catch(() => undefined)
  const { url } = JSON.parse(line) as { url: string }
  const stop = () => {
    child.kill('SIGTERM')
    return ended
  }
  return { url, child, ended, stop }
}

/** A picture of the fixtures as a data: URL. */
export function dataUrl(name: string): string {
  return `data:image/png;base64,${readFileSync(fixture(`images/${name}`)).toString('base64')}`
}

/** What a JSON request gives. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
