/** Files of one JSON value a line: the input of a batch, and its output, which a later run continues. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, truncate, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { InvalidArgumentError } from '../errors'

export interface InputLine {
  /** From 1, as editors count. */
  readonly line: number
  readonly text: string
  /** Of the text: what an earlier run did is known by this, wherever the line has moved. */
  readonly hash: string
}

/** The lines that are not empty. */
export async function* inputLines(path: string): AsyncGenerator<InputLine> {
  let line = 0
  for await (const { text } of linesOf(path)) {
    line++
    const trimmed = text.trim()
    if (trimmed !== '') yield { line, text: trimmed, hash: hashOf(trimmed) }
  }
}

/** What a line of the output has at least. */
export interface OutputEntry {
  /** Hash of its line of the input. */
  readonly input: string
  /** Hash of model, messages and options, which the flags of the run decide too. */
  readonly asked?: string
  readonly error?: unknown
}

/** The output of a batch: grows by whole lines, and knows what earlier runs wrote. */
export class OutputFile implements AsyncDisposable {
  readonly #handle: FileHandle
  /** By hash of the input. */
  readonly #done: Map<string, OutputEntry[]>
  #last: Promise<void> = Promise.resolve()

  private constructor(handle: FileHandle, done: Map<string, OutputEntry[]>) {
    this.#handle = handle
    this.#done = done
  }

  /**
   * @param retry forgets the lines with errors
   * @throws InvalidArgumentError for a file that is something else
   */
  static async open(path: string, retry: boolean): Promise<OutputFile> {
    const entries = await readEntries(path)
    const kept = retry ? entries.filter(({ entry }) => entry.error === undefined) : entries
    if (kept.length < entries.length) {
      await writeFile(`${path}.new`, kept.map(({ text }) => `${text}\n`).join(''))
      await rename(`${path}.new`, path)
    }
    const done = new Map<string, OutputEntry[]>()
    for (const { entry } of kept) {
      const { input, asked, error } = entry // not the answers: there may be many
      const same = done.get(input) ?? []
      same.push({ input, ...(asked !== undefined && { asked }), ...(error !== undefined && { error: true }) })
      done.set(input, same)
    }
    return new OutputFile(await open(path, 'a'), done)
  }

  /** What an earlier run wrote for the line; of equal lines, as often as it did. */
  take({ hash }: InputLine): OutputEntry | undefined {
    return this.#done.get(hash)?.pop()
  }

  /** Writes one line after the other, whoever asks. */
  append(entry: OutputEntry): Promise<void> {
    const text = `${JSON.stringify(entry)}\n`
    this.#last = this.#last.then(() => this.#handle.appendFile(text))
    return this.#last
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/** The entries of an output, after cutting off a line that a killed run left unfinished. */
async function readEntries(path: string): Promise<{ readonly text: string; readonly entry: OutputEntry }[]> {
  const entries: { text: string; entry: OutputEntry }[] = []
  let bytes = 0
  try {
    for await (const { text, whole } of linesOf(path)) {
      if (!whole) {
        await truncate(path, bytes)
        break
      }
      bytes += Buffer.byteLength(text) + 1
      entries.push({ text, entry: parseEntry(path, entries.length + 1, text) })
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return entries
}

function parseEntry(path: string, line: number, text: string): OutputEntry {
  try {
    const entry: unknown = JSON.parse(text)
    if (typeof entry === 'object' && entry !== null && 'input' in entry && typeof entry.input === 'string') {
      return entry as OutputEntry
    }
  } catch {
    // Said below.
  }
  const message = `${path}:${line} is not the output of a batch, and would be mixed with it. Name another file.`
  throw new InvalidArgumentError('INVALID_ARGUMENT', message)
}

/** Lines without their ends; `whole` tells whether there was one. */
async function* linesOf(path: string): AsyncGenerator<{ readonly text: string; readonly whole: boolean }> {
  let rest = ''
  for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) yield { text, whole: true }
  }
  if (rest !== '') yield { text: rest, whole: false }
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
