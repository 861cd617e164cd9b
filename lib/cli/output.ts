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

/** E.g. "3.1 GB". */
export function bytes(value: number): string {
  return `${quantity(value)}B`
}

/** E.g. "3.1 G", "12 ". */
export function quantity(value: number): string {
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3))
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${' kMGT'.charAt(power).trim()}`
}

/** E.g. "42 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Rows with their columns below each other; the last column is not filled. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? []
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
