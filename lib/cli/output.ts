/** Writing to stdout: a slow reader is waited for, one JSON object is one line. */
import { once } from 'node:events'

/** Writes text; resolves when the reader has room for more. */
export async function print(text: string, signal: AbortSignal): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain', { signal })
}

/** One line of JSON; typed arrays become arrays. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, (_, entry: unknown) => (isNumbers(entry) ? Array.from(entry) : entry))}\n`
}

function isNumbers(value: unknown): value is Int32Array | Float32Array {
  return value instanceof Int32Array || value instanceof Float32Array
}

/** Lines of `name   value`, names in one column. */
export function facts(entries: Readonly<Record<string, string | number>>): string {
  const width = Math.max(...Object.keys(entries).map((name) => name.length))
  return Object.entries(entries)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}\n`)
    .join('')
}
