/** Options of callers, checked: who passes a wrong one hears which, and what it can be. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { InvalidArgumentError, invalidArgument } from './errors'
import type { EmbedOptions, GenerateOptions, LoadOptions, RunOptions, TurnOptions } from './options'
import { readSchema } from './output/schema'
import { readTools } from './tools'

const whole = (least: number, most = Number.MAX_SAFE_INTEGER) => {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`
  return z.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
    {
      error: `a whole number ${range}`,
    },
  )
}
const real = (least: number, most = Infinity) =>
  z.custom<number>(
    (value) => typeof value === 'number' && value >= least && value <= most && Number.isFinite(value),
    {
      error: most === Infinity ? `a number from ${least}` : `a number from ${least} to ${most}`,
    },
  )
const string = z.custom<string>((value) => typeof value === 'string' && value !== '', {
  error: 'a string, not empty',
})
const boolean = z.boolean({ error: 'true or false' })
const callback = z.custom<() => void>((value) => typeof value === 'function', { error: 'a function' })
// By shape: under jest and in other realms `instanceof AbortSignal` is false.
const signal = z.custom<AbortSignal>(
  (value) => typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
  { error: 'an AbortSignal' },
)
const maxInt = 2 ** 31 - 1

function isBias(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(([id, bias]) => /^\d{1,9}$/.test(id) && Number.isFinite(bias))
}

const adapters = z
  .array(
    z.strictObject(
      { path: string, scale: real(-1000, 1000).optional() },
      { error: 'an adapter: { path, scale }' },
    ),
    { error: 'an array of adapters { path, scale }' },
  )
  .max(64, { error: 'of at most 64 adapters' })
  .refine((list) => new Set(list.map(({ path }) => resolve(path))).size === list.length, {
    error: 'without the same adapter twice',
  })

const loadSchema = z.strictObject({
  model: string.optional(),
  mmproj: z.union([string, z.literal(false)], { error: 'a string, not empty, or false' }).optional(),
  hub: z
    .strictObject(
      {
        endpoint: string.optional(),
        token: z.string({ error: 'a string' }).optional(),
        cacheDir: string.optional(),
        offline: boolean.optional(),
        retries: whole(0, 1000).optional(),
        timeoutMs: whole(1, maxInt).optional(),
      },
      { error: 'an object with endpoint, token, cacheDir, offline, retries, timeoutMs' },
    )
    .optional(),
  onDownload: callback.optional(),
  contextSize: whole(16, 1 << 24).optional(),
  batchSize: whole(1, 1 << 16).optional(),
  parallel: whole(1, 256).optional(),
  maxQueue: whole(0, 1e6).optional(),
  stepMs: whole(1, 60_000).optional(),
  deterministic: boolean.optional(),
  mtp: boolean.optional(),
  threads: whole(1, 512).optional(),
  gpuLayers: whole(-1, 1 << 16).optional(),
  flashAttention: z.enum(['auto', 'on', 'off'], { error: "'auto', 'on' or 'off'" }).optional(),
  cacheType: z.enum(['f16', 'f32', 'q8_0'], { error: "'f16', 'f32' or 'q8_0'" }).optional(),
  mmap: boolean.optional(),
  minPixels: whole(1).optional(),
  maxPixels: whole(1).optional(),
  reference: z
    .enum(['transformers', 'qwen-vl-utils'], { error: "'transformers' or 'qwen-vl-utils'" })
    .optional(),
  chatTemplate: string.optional(),
  maxImageBytes: whole(1).optional(),
  maxInputPixels: whole(1).optional(),
  encoderMemory: whole(0).optional(),
  largeImages: z.enum(['refuse', 'shrink'], { error: "'refuse' or 'shrink'" }).optional(),
  encoderPrecision: z.enum(['auto', 'exact'], { error: "'auto' or 'exact'" }).optional(),
  cacheBytes: whole(0, 2 ** 50).optional(),
  lora: adapters.optional(),
  cacheDir: string.optional(),
  cacheDirBytes: whole(0, 2 ** 50).optional(),
  cachePrompts: boolean.optional(),
  allowPrivateAddresses: boolean.optional(),
  imageTimeoutMs: whole(1).optional(),
  ffmpegPath: string.optional(),
  signal: signal.optional(),
  onProgress: callback.optional(),
  onLog: callback.optional(),
  onWarning: callback.optional(),
})

const priority = whole(-1_000_000, 1_000_000)
const embedSchema = z.strictObject({ priority: priority.optional(), signal: signal.optional() })

const generateSchema = z.strictObject({
  maxTokens: whole(1, maxInt).optional(),
  temperature: real(0).optional(),
  topK: whole(0, maxInt).optional(),
  topP: real(0, 1).optional(),
  minP: real(0, 1).optional(),
  repetitionPenalty: real(0.01).optional(),
  presencePenalty: real(-1000).optional(),
  frequencyPenalty: real(-1000).optional(),
  logitBias: z
    .custom<Record<number, number>>(isBias, { error: 'an object of token ids and numbers' })
    .optional(),
  seed: whole(0, 2 ** 32 - 1).optional(),
  priority: priority.optional(),
  stop: z
    .union([string, z.array(string)], { error: 'a string or an array of strings, none empty' })
    .optional(),
  grammar: string.optional(),
  logprobs: z
    .union([boolean, whole(0, maxInt)], { error: 'true, false or a whole number from 0' })
    .optional(),
  speculate: whole(0, 16).optional(),
  lora: adapters.optional(),
  ignoreEos: boolean.optional(),
  addVisionId: boolean.optional(),
  specialTokens: z.enum(['text', 'allow'], { error: "'text' or 'allow'" }).optional(),
  schema: z.unknown().optional(),
  tools: z.array(z.unknown(), { error: 'an array of tools' }).optional(),
  toolChoice: z
    .union([z.enum(['auto', 'none', 'required']), z.strictObject({ name: z.string() })], {
      error: "'auto', 'none', 'required' or { name }",
    })
    .optional(),
  thinkingBudget: whole(0, maxInt).optional(),
  templateVariables: z.record(z.string(), z.unknown(), { error: 'an object' }).optional(),
  signal: signal.optional(),
})

const runSchema = generateSchema.extend({ maxSteps: whole(1).optional() })

const overflows = ['error', 'dropOldestTurns', 'shrinkImages'] as const
const turnSchema = runSchema.extend({
  overflow: z.enum(overflows, { error: "'error', 'dropOldestTurns' or 'shrinkImages'" }).optional(),
})

/** @throws InvalidArgumentError naming the option */
export function checkLoadOptions(options: unknown): LoadOptions {
  const checked = check(loadSchema, options, 'load') as LoadOptions
  const { model, mmproj, minPixels, maxPixels, cacheDir, cachePrompts } = checked
  if (cachePrompts && cacheDir === undefined)
    throw invalidArgument('cacheDir', 'a folder, since cachePrompts is true', cacheDir)
  if (mmproj && model === undefined) {
    throw invalidArgument('model', 'a path, since mmproj is given: a projector belongs to its model', model)
  }
  if (minPixels !== undefined && maxPixels !== undefined && minPixels > maxPixels) {
    throw invalidArgument('minPixels', `at most maxPixels (${maxPixels})`, minPixels)
  }
  return checked
}

/** @throws InvalidArgumentError naming the option */
export function checkEmbedOptions(options: unknown): EmbedOptions {
  return check(embedSchema, options, 'embed') as EmbedOptions
}

/** @throws InvalidArgumentError naming the option */
export function checkRunOptions(options: unknown): RunOptions {
  return checkAnswerOptions(check(runSchema, options, 'run') as RunOptions)
}

/** @throws InvalidArgumentError naming the option */
export function checkTurnOptions(options: unknown): TurnOptions {
  return checkAnswerOptions(check(turnSchema, options, 'chat') as TurnOptions)
}

/** @throws InvalidArgumentError naming the option */
export function checkGenerateOptions(options: unknown): GenerateOptions {
  return checkAnswerOptions(check(generateSchema, options, 'generate') as GenerateOptions)
}

function checkAnswerOptions<Options extends GenerateOptions>(checked: Options): Options {
  const { schema, grammar, tools = [], toolChoice = 'auto' } = checked
  if (schema !== undefined) readSchema(schema, 'schema')
  if (schema !== undefined && grammar !== undefined)
    throw invalidArgument('grammar', 'absent beside `schema`: one of the two decides', grammar)
  const names = readTools(tools).map(({ name }) => name)
  if (typeof toolChoice === 'object' && !names.includes(toolChoice.name))
    throw invalidArgument('toolChoice.name', 'the name of one of the `tools`', toolChoice.name)
  if (toolChoice === 'required' && names.length === 0)
    throw invalidArgument('tools', 'given, as `toolChoice` asks for a call', undefined)
  return checked
}

function check(
  schema:
    typeof loadSchema | typeof embedSchema | typeof generateSchema | typeof runSchema | typeof turnSchema,
  options: unknown,
  what: string,
): unknown {
  const result = schema.safeParse(options)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  if (issue?.code === 'unrecognized_keys' && issue.path.length === 0) {
    const known = Object.keys(schema.shape).join(', ')
    throw new InvalidArgumentError(
      'INVALID_ARGUMENT',
      `Unknown ${what} option \`${issue.keys[0] ?? ''}\`. The options are: ${known}.`,
      { details: { argument: issue.keys[0] } },
    )
  }
  const name = issue?.path.join('.') || 'options'
  const value = issue?.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], options)
  throw invalidArgument(name, issue?.path.length ? issue.message : 'an object', value)
}
