/** `inspect`: a conversation as the model really sees it. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from '../errors'
import type { MessagesInput, PromptInspection } from '../index'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { json, print } from './output'
import { pictureSizes, videoSizes } from './picture'

export interface InspectFlags extends ModelFlags {
  /** Path of a JSON file, or `-`. */
  readonly messages: string
}

export async function inspect(flags: InspectFlags, signal: AbortSignal): Promise<void> {
  const messages = await readMessages(flags.messages)
  await withModel(flags, signal, async (model) => {
    const inspection = await model.inspect(messages, { signal })
    await print(flags.json ? json(inspection) : describe(inspection), signal)
  })
}

async function readMessages(path: string): Promise<MessagesInput> {
  try {
    const content = path === '-' ? await text(process.stdin) : await readFile(path, 'utf8')
    return JSON.parse(content) as MessagesInput
  } catch (error) {
    const problem = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    const message = `${path === '-' ? 'stdin' : path} ${problem}: ${(error as Error).message}.`
    throw new InvalidArgumentError('INVALID_ARGUMENT', message, { cause: error })
  }
}

/** The inspection for people: ids of a text run in rows, a picture's ids as one line. */
export function describe(inspection: PromptInspection): string {
  const { text, tokens, images, videos, ropeDelta } = inspection
  const pictures = images.map((entry, index) => `  ${index + 1}  ${pictureSizes(entry)}`)
  const clips = videos.map((entry, index) => `  ${index + 1}  ${videoSizes(entry)}`)
  const sections = [
    ['prompt', indent(text)],
    ...(pictures.length > 0 ? [['pictures', ...pictures]] : []),
    ...(clips.length > 0 ? [['videos', ...clips]] : []),
    [
      `tokens: ${tokens.length}, rope delta ${ropeDelta}`,
      ...runsOf(inspection).map((run) => describeRun(run, inspection)),
    ],
  ]
  return sections.map((lines) => `${lines.join('\n')}\n`).join('\n')
}

interface Run {
  readonly start: number
  /** After the last. */
  readonly end: number
  readonly media: boolean
}

/** Stretches of text (positions grow by one) and of pictures (one id again and again, at one time). */
function runsOf({ tokens, positions: { t } }: PromptInspection): Run[] {
  const runs: Run[] = []
  let start = 0
  while (start < tokens.length) {
    const media = beginsMedia(tokens, t, start)
    const isOver = media
      ? (at: number) => tokens[at] !== tokens[at - 1]
      : (at: number) => beginsMedia(tokens, t, at)
    let end = start + 1
    while (end < tokens.length && !isOver(end)) end++
    runs.push({ start, end, media })
    start = end
  }
  return runs
}

function beginsMedia(tokens: Int32Array, t: Int32Array, at: number): boolean {
  return at + 1 < tokens.length && tokens[at] === tokens[at + 1] && t[at] === t[at + 1]
}

function describeRun({ start, end, media }: Run, { tokens, positions }: PromptInspection): string {
  const row = (name: 't' | 'h' | 'w') => `${name} ${range(positions[name].subarray(start, end))}`
  const place = `  [${start}…${end - 1}]`
  if (media)
    return `${place}  ${row('t')}  ${row('h')}  ${row('w')}\n    ${tokens[start] ?? ''} × ${end - start}`
  const ids = [...tokens.subarray(start, end)].join(' ')
  return `${place}  t=h=w ${range(positions.t.subarray(start, end))}\n${indent(wrap(ids, 96), 4)}`
}

function range(values: Int32Array): string {
  const [low, high] = [values.reduce(smaller), values.reduce(larger)]
  return low === high ? `${low}` : `${low}…${high}`
}

const smaller = (a: number, b: number) => Math.min(a, b)
const larger = (a: number, b: number) => Math.max(a, b)

function wrap(words: string, width: number): string {
  return words.replace(new RegExp(`(.{1,${width}})(?: |$)`, 'g'), '$1\n').trimEnd()
}

function indent(text: string, by = 2): string {
  return text
    .split('\n')
    .map((line) => `${' '.repeat(by)}${line}`.trimEnd())
    .join('\n')
}
