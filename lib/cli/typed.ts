/** What a person types into `chat`: a command, or a message with paths of pictures in it. */
import { existsSync } from 'node:fs'
import { InvalidArgumentError } from '../errors'

const pictureName = /\.(jpe?g|png|webp|avif|tiff?|gif|svg)$/i
/** A word: quoted, or with spaces behind backslashes, as terminals write files that are dropped on them. */
const word = /(?<=^|\s)(?:"([^"]+)"|'([^']+)'|((?:\\.|[^\s\\])+))/g

export type Typed =
  | { readonly type: 'command'; readonly name: string; readonly args: readonly string[] }
  | { readonly type: 'message'; readonly pictures: readonly string[]; readonly text: string }

/**
 * `/name …` is a command, unless it is the path of a file.
 * @throws InvalidArgumentError for a picture that is not there: the model would answer without it
 */
export function readTyped(line: string): Typed {
  const [, name, rest = ''] = /^\/([a-z]+)(?:\s+(.*))?$/is.exec(line) ?? []
  if (name !== undefined && !existsSync(`/${name}`)) {
    return { type: 'command', name: name.toLowerCase(), args: wordsOf(rest).map(({ value }) => value) }
  }
  const named = wordsOf(line).filter(({ value }) => pictureName.test(value))
  const pictures = named.filter(({ value }) => isThere(value))
  const missing = named.find(({ value }) => !isThere(value))
  if (missing && !line.includes('\n')) throw notThere(missing.value)
  const text = pictures.reduceRight((left, { start, end }) => left.slice(0, start) + left.slice(end), line)
  return {
    type: 'message',
    pictures: pictures.map(({ value }) => value),
    text: text.replace(/\s+/g, pictures.length > 0 ? ' ' : '$&').trim(),
  }
}

function isThere(value: string): boolean {
  return /^(https?|file):\/\//i.test(value) || existsSync(value)
}

function notThere(value: string): InvalidArgumentError {
  const message = `There is no picture '${value}'. A word that is none stands in backquotes: \`${value}\`.`
  return new InvalidArgumentError('INVALID_ARGUMENT', message)
}

function wordsOf(line: string) {
  return [...line.matchAll(word)].map(({ 0: whole, 1: double, 2: single, 3: bare = '', index }) => ({
    value: double ?? single ?? (process.platform === 'win32' ? bare : bare.replace(/\\(.)/g, '$1')),
    start: index,
    end: index + whole.length,
  }))
}
