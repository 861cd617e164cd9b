/** Options of the server: their meaning, defaults and checks. */
import { statSync } from 'node:fs'
import { isIP } from 'node:net'
import { z } from 'zod'
import { InvalidArgumentError, invalidArgument } from '../errors'

/** How to serve a model. */
export interface ServerOptions {
  /** Address or name to listen on. Default '127.0.0.1': this machine only. */
  readonly host?: string
  /** 0: any that is free. Default 8080. */
  readonly port?: number
  /** A client has to show it, or one of them. Needed for any address but loopback. */
  readonly apiKey?: string | readonly string[]
  /** Listen on other addresses than loopback also without a key. Default false. */
  readonly withoutKey?: boolean
  /** Name of the model, or several, the first of which is told. Default: 'qwen-vl'. */
  readonly modelName?: string | readonly string[]
  /** Folder whose files clients may name by `file:` URLs. Default: none. */
  readonly fileRoot?: string
  /** Web origins that may call, `'*'` for all. Default: none but the server's own page. */
  readonly corsOrigin?: string | readonly string[]
  /** Most bytes of a request. Default 50 MB. */
  readonly maxBodyBytes?: number
  /** Most milliseconds for the body of a request to come. Default 2 minutes. */
  readonly bodyTimeoutMs?: number
  /** Most pictures and videos of a request. Default 100. */
  readonly maxMedia?: number
  /** Most requests of a client (a key, else an address) in a minute; 0: any number. Default 0. */
  readonly rateLimit?: number
  /** Most milliseconds for an answer. Default 10 minutes. */
  readonly timeoutMs?: number
  /** Milliseconds that answers under way get when the server is closed. Default 10 000. */
  readonly graceMs?: number
}

/** The same with every default filled in. */
export interface ServerSettings extends Required<
  Omit<ServerOptions, 'fileRoot' | 'apiKey' | 'modelName' | 'corsOrigin'>
> {
  readonly fileRoot: string | undefined
  readonly apiKey: readonly string[]
  readonly modelName: readonly string[]
  readonly corsOrigin: readonly string[]
}

const whole = (least: number, most: number) =>
  z
    .int({ error: `a whole number from ${least} to ${most}` })
    .min(least, { error: `a whole number from ${least} to ${most}` })
    .max(most, { error: `a whole number from ${least} to ${most}` })
const string = z.string({ error: 'a string' }).min(1, { error: 'a string, not empty' })
const strings = z.union([string.transform((one) => [one]), z.array(string)], {
  error: 'a string or an array of strings, none empty',
})
/** That a timer can have, with some left for `headersTimeout`. */
const longest = 2 ** 31 - 1e6

const schema = z.strictObject({
  host: string.default('127.0.0.1'),
  port: whole(0, 65_535).default(8080),
  apiKey: strings.default([]),
  withoutKey: z.boolean({ error: 'true or false' }).default(false),
  modelName: strings.default(['qwen-vl']),
  fileRoot: string.refine(isFolder, { error: 'a folder that is there' }).optional(),
  corsOrigin: strings.default([]),
  maxBodyBytes: whole(1024, 2 ** 30).default(50e6),
  bodyTimeoutMs: whole(1, longest).default(120_000),
  maxMedia: whole(0, 1e6).default(100),
  rateLimit: whole(0, 1e6).default(0),
  timeoutMs: whole(1, longest).default(600_000),
  graceMs: whole(0, longest).default(10_000),
})

/** @throws InvalidArgumentError naming the option, also for an open address without a key */
export function checkServerOptions(options: unknown): ServerSettings {
  const result = schema.safeParse(options)
  if (!result.success) throw problemOf(result.error.issues[0], options)
  const { host, apiKey, withoutKey } = result.data
  if (!isLoopback(host) && apiKey.length === 0 && !withoutKey) {
    throw new InvalidArgumentError(
      'INVALID_ARGUMENT',
      `Everybody who reaches ${host} could use the model: set \`apiKey\`, or \`withoutKey\` if that is meant.`,
      { details: { argument: 'host', host } },
    )
  }
  return { ...result.data, fileRoot: result.data.fileRoot }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** True for an address or name that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '').toLowerCase()
  return plain === 'localhost' || plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

function problemOf(issue: z.core.$ZodIssue | undefined, options: unknown): InvalidArgumentError {
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).join(', ')
    return new InvalidArgumentError(
      'INVALID_ARGUMENT',
      `Unknown server option \`${issue.keys[0] ?? ''}\`. The options are: ${known}.`,
      { details: { argument: issue.keys[0] } },
    )
  }
  const path = issue?.path ?? []
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], options)
  return invalidArgument(
    path.join('.') || 'options',
    path.length > 0 ? (issue?.message ?? '') : 'an object',
    value,
  )
}
