/** `batch`: many questions from a file, their answers into another one; a run that was stopped is continued. */
import { basename } from 'node:path'
import { InvalidArgumentError, QwenVLError } from '../errors'
import { image, system, user } from '../index'
import type { GenerateOptions, Message, MessagesInput, QwenVL } from '../index'
import { withLock } from '../models/lock'
import { generateOptions } from './generation'
import type { GenerationFlags } from './generation'
import { OutputFile, hashOf, inputLines } from './jsonl'
import type { InputLine, OutputEntry } from './jsonl'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { duration, json, print } from './output'
import { countProgress } from './progress'

export interface BatchFlags extends ModelFlags, GenerationFlags {
  /** For lines without one of their own. */
  readonly question?: string
  /** Lines in work at the same time; the engine computes as many together. */
  readonly concurrency: number
  /** Does the lines again that ended in an error. */
  readonly retry: boolean
}

/** A line of the input. */
interface Task {
  /** Given back as it is. */
  readonly id?: unknown
  readonly messages: MessagesInput
  readonly options: GenerateOptions
}

interface Summary {
  readonly lines: number
  readonly answered: number
  readonly failed: number
  /** Done by earlier runs; and of these, how many with an error, how many for another question, model or options. */
  readonly before: number
  readonly failedBefore: number
  readonly outdated: number
  readonly seconds: number
}

/** More lines than this wait for each other in the engine. */
const mostParallel = 256
/** All lines were done, some ended in errors, now or in an earlier run. */
const someFailed = 2
/** Errors after which no other line would fare better. */
const fatal = ['ABORTED', 'DISPOSED', 'INTERNAL']

export async function batch(
  input: string,
  output: string,
  flags: BatchFlags,
  signal: AbortSignal,
): Promise<void> {
  const onWait = () => {
    const message = `${output} is being written by another batch. Wait for its end, or name another file.`
    throw new InvalidArgumentError('INVALID_ARGUMENT', message)
  }
  const total = await count(input)
  await withLock(`${output}.lock`, { signal, onWait }, async () => {
    await using file = await OutputFile.open(output, flags.retry)
    const loading = { ...flags, parallel: Math.min(flags.concurrency, mostParallel) }
    const summary = await withModel(loading, signal, (model) => run(model, input, file, total, flags, signal))
    await print(flags.json ? json(summary) : describe(summary), signal)
    if (summary.outdated > 0) process.stderr.write(noteOf(summary.outdated, output))
    if (summary.failed + summary.failedBefore > 0) process.exitCode = someFailed
  })
}

async function count(input: string): Promise<number> {
  let lines = 0
  try {
    for await (const _ of inputLines(input)) lines++
  } catch (error) {
    const message = `${input} cannot be read: ${(error as Error).message}.`
    throw new InvalidArgumentError('INVALID_ARGUMENT', message, { cause: error })
  }
  return lines
}

async function run(
  model: QwenVL,
  input: string,
  file: OutputFile,
  total: number,
  flags: BatchFlags,
  signal: AbortSignal,
): Promise<Summary> {
  const started = performance.now()
  const progress = countProgress('lines')
  let [answered, failed, before, failedBefore, outdated] = [0, 0, 0, 0, 0]
  const show = () => progress.update({ done: answered + failed + before, total, failed })
  try {
    await pooled(inputLines(input), flags.concurrency, async (line) => {
      const earlier = file.take(line)
      if (earlier) {
        before++
        if (earlier.error !== undefined) failedBefore++
        if (earlier.asked !== undefined && earlier.asked !== askedOf(line.text, flags)) outdated++
      } else if (await answer(model, line, file, flags, signal)) answered++
      else failed++
      show()
    })
  } finally {
    progress.stop()
  }
  const seconds = (performance.now() - started) / 1000
  return { lines: total, answered, failed, before, failedBefore, outdated, seconds }
}

function describe({ answered, failed, before, failedBefore, seconds }: Summary): string {
  const errors = failedBefore > 0 ? ` (${failedBefore} with an error: --retry does them again)` : ''
  return `${answered} answered, ${failed} failed, ${before} done before${errors}, in ${duration(seconds)}\n`
}

function noteOf(outdated: number, output: string): string {
  const lines = outdated === 1 ? '1 line' : `${outdated} lines`
  return (
    `note: ${lines} of ${output} answer another question, or were written with another model or other options. ` +
    'They stay; another output gets new answers.\n'
  )
}

/** What was asked, of whom. Undefined for a line that is no task. */
function askedOf(text: string, flags: BatchFlags): string | undefined {
  try {
    return hashOfTask(readTask(text, flags), flags)
  } catch {
    return undefined
  }
}

function hashOfTask({ messages, options }: Task, flags: BatchFlags): string {
  const { model, mmproj, lora, minPixels, maxPixels } = flags
  const files = [model, mmproj, ...(lora ?? [])].map((file) => file && basename(file)) // they may have moved
  return hashOf(
    JSON.stringify([messages, { ...generateOptions(flags), ...options }, files, minPixels, maxPixels]),
  )
}

/** Writes the answer to a line, or why there is none. True for an answer. */
async function answer(
  model: QwenVL,
  { line, text, hash }: InputLine,
  file: OutputFile,
  flags: BatchFlags,
  signal: AbortSignal,
): Promise<boolean> {
  let place: OutputEntry & { readonly line: number; readonly id?: unknown } = { line, input: hash }
  try {
    const task = readTask(text, flags)
    const { id } = task
    place = { line, input: hash, asked: hashOfTask(task, flags), ...(id !== undefined && { id }) }
    const result = await model.chat(task.messages, { ...generateOptions(flags), ...task.options, signal })
    const { tokens: _, ...told } = result
    await file.append({ ...place, ...told })
    return true
  } catch (error) {
    if (!QwenVLError.isInstance(error) || fatal.includes(error.code)) throw error
    const { name, code, message } = error
    await file.append({ ...place, error: { name, code, message } })
    return false
  }
}

/** `{ messages }`, or `{ image, question }` with one picture or several; both with `id` and `options`. */
function readTask(text: string, { question: usual, system: usualSystem }: BatchFlags): Task {
  const value = parseObject(text)
  const { id, messages, image: pictures = [], question = usual, options = {}, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw wrongLine(`has an unknown key \`${unknown}\`; there are id, messages, image, question and options`)
  }
  const common = { ...(id !== undefined && { id }), options: options as GenerateOptions }
  if (messages !== undefined) return { ...common, messages: messages as MessagesInput }
  const sources = [pictures].flat()
  if (typeof question !== 'string' || !sources.every((source) => typeof source === 'string')) {
    throw wrongLine(
      'has neither `messages` nor a `question`, a text, with `image` a path or an array of them (or --question)',
    )
  }
  const asked: Message = user(...sources.map((source) => image(source)), question)
  return { ...common, messages: usualSystem === undefined ? [asked] : [system(usualSystem), asked] }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw wrongLine(`is not JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongLine('is not a JSON object')
  return value as Readonly<Record<string, unknown>>
}

function wrongLine(why: string): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_ARGUMENT', `The line ${why}.`)
}

/** Works on `width` items at a time. After a failure nothing new is begun, and what is begun is waited for. */
async function pooled<T>(
  items: AsyncGenerator<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(
    Array.from({ length: width }, async () => {
      try {
        for await (const item of shared(items)) await work(item)
      } catch (error) {
        await items.return(undefined)
        throw error
      }
    }),
  )
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

/** One generator for several loops: leaving one does not end it. */
function shared<T>(items: AsyncGenerator<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => ({ next: () => items.next() }) }
}
