/** Errors as a person at a terminal reads them. */
import { QwenVLError } from '../errors'

/** Options of the API that have a flag: an error then names the flag. */
const flags = ['model', 'mmproj', 'contextSize', 'threads', 'gpuLayers', 'minPixels', 'maxPixels'].concat(
  ['maxTokens', 'temperature', 'seed'], // of `ask`
  ['host', 'port', 'apiKey', 'withoutKey', 'modelName', 'fileRoot', 'corsOrigin', 'maxBodyBytes', 'maxMedia'],
  ['bodyTimeoutMs', 'rateLimit', 'timeoutMs', 'graceMs', 'parallel', 'maxQueue', 'cacheDir'], // of `serve`
)

/** What Node.js says of a file that cannot be opened, read or written: `ENOENT: no such file or directory, open 'a.json'`. */
const systemError = /^E[A-Z]+: ([^,]+), \w+ '(.+)'$/

/** One line: `error: …`. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const named = message
    .replace(systemError, "No access to '$2': $1. Check the path and its rights.")
    .replace(/`(\w+)(?:: true)?`(?: to QwenVL\.load\(\))?/g, (words: string, name: string) =>
      flags.includes(name) ? flagOf(name) : words,
    )
  return `error: ${named.replace(/\s*\n\s*/g, ' ').trim()}`
}

/** What is behind an error: the last lines of the native log, else where it was thrown. Empty, or ends its last line. */
export function errorLog(error: unknown): string {
  const log = QwenVLError.isInstance(error) ? error.details['log'] : undefined
  const text = typeof log === 'string' ? log : error instanceof Error ? error.stack : undefined
  return text ? `${text.trimEnd()}\n` : ''
}

/** `maxTokens` is --max-tokens. */
function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
