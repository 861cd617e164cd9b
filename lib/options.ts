/** Options of loading and of generating: their meaning, defaults and checks. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { LogLine } from './engine/events'
import type { EngineWarning } from './engine/engine'
import { InvalidArgumentError, invalidArgument } from './errors'
import type { PullProgress } from './models/meter'
import type { HubOptions } from './models/settings'
import type { LoraAdapter } from './lora'
import { readSchema } from './output/schema'
import type { OutputSchema } from './output/schema'
import type { OverflowPolicy } from './room'
import { readTools } from './tools'
import type { OpenAITool, Tool, ToolChoice } from './tools'

/** How to load a model. Sizes in tokens unless said otherwise. */
export interface LoadOptions {
  /**
   * Path of the GGUF file with the language model; of a split model the first file. Or a model of Hugging Face, which is
   * downloaded once: `hf:owner/name`, `hf:owner/name:Q4_K_M`, `hf:owner/name@revision:file.gguf`. Default: the built-in
   * model.
   */
  readonly model?: string
  /**
   * Path of the GGUF file with the vision projector, or `hf:owner/name:file.gguf`. Without it pictures are refused. A
   * model of Hugging Face brings its own, unless this is false.
   */
  readonly mmproj?: string | false
  /** Where models come from and where they are kept. Default: the variables of Hugging Face's programs. */
  readonly hub?: HubOptions
  /** Hears of a download, several times a second. */
  readonly onDownload?: (progress: PullProgress) => void
  /** Room for prompt and answer together. A picture takes `info.image` tokens. Default 8192, or what the model was trained for if that is less. */
  readonly contextSize?: number
  /** Most tokens of one prompt step. Default 512. */
  readonly batchSize?: number
  /** Answers that are computed at the same time, 1 to 256; others wait. They share the context's memory. Default 4. */
  readonly parallel?: number
  /** Requests that may wait beside these; one more is refused with a QueueFullError. Default 256. */
  readonly maxQueue?: number
  /** How long, in ms, a step may take while answers are generated: prompts are computed in so small parts. Default 100. */
  readonly stepMs?: number
  /** Same bits whatever runs beside an answer, on one machine. Costs `parallel` times the context's memory, and speed. Default false. */
  readonly deterministic?: boolean
  /** `speculate` with the model's own head (Qwen3.5), if the file has it. Costs 20 to 150 MB for each of `parallel`. Default false. */
  readonly mtp?: boolean
  /** Threads for computing. Default: the physical cores that this process may use. */
  readonly threads?: number
  /** Decoder layers on the GPU; -1 all, 0 none: then the encoder stays on the CPU too. Default -1. */
  readonly gpuLayers?: number
  /** Fused attention, faster with F16 rounding; 'off' for the most exact numbers. Default 'auto'. */
  readonly flashAttention?: 'auto' | 'on' | 'off'
  /** Element type of the KV memory. Default 'f16'; 'q8_0' halves it, 'f32' is exact. */
  readonly cacheType?: 'f16' | 'f32' | 'q8_0'
  /** Map the file instead of reading it. Default true. */
  readonly mmap?: boolean
  /** Smallest and largest processed area of a picture in pixels. Default: the generation's own. */
  readonly minPixels?: number
  readonly maxPixels?: number
  /**
   * Whose sizes and pixels to follow. Default: pictures have the sizes of transformers and the pixels of Pillow, as by its
   * slow image processors; videos are as by qwen-vl-utils. 'transformers': its processors with torchvision, whose pixels are
   * a level off now and then. 'qwen-vl-utils' rounds sides of about one token otherwise and bounds areas by 4 to 16384
   * tokens, which differs from the checkpoints' own bounds from Qwen3-VL on.
   */
  readonly reference?: 'transformers' | 'qwen-vl-utils'
  /** Jinja chat template instead of the model's own. */
  readonly chatTemplate?: string
  /** Refuses pictures larger than this, in bytes of the file. Default 64 MB. */
  readonly maxImageBytes?: number
  /** Refuses pictures of more pixels than this before decoding. Default 200 megapixels. */
  readonly maxInputPixels?: number
  /** Most memory, in bytes, that encoding one picture may take. Default: what is free when the model is loaded. */
  readonly encoderMemory?: number
  /** What becomes of a picture that would need more: an error that names the fix, or fewer pixels. Default 'refuse'. */
  readonly largeImages?: 'refuse' | 'shrink'
  /**
   * What the vision encoder multiplies. 'auto': F16 weights as BF16 where the CPU is faster with it and no weight changes
   * by it, which holds for files made of Qwen's BF16 checkpoints; the numbers in between are then rounded to 8 bits
   * instead of 11, as the checkpoint's own precision does. 'exact': weights as the file has them. Default 'auto'.
   */
  readonly encoderPrecision?: 'auto' | 'exact'
  /** Most bytes of pictures' embeddings that are kept in memory, so that no picture is encoded twice. Default 256 MB. */
  readonly cacheBytes?: number
  /** Folder in which embeddings outlive the process; several processes may share it. Made if it is missing. Default: none. */
  readonly cacheDir?: string
  /** Keep there also what is computed of prompts up to their last picture: 30 kB (2B) to 150 kB (8B) a token. Default false. */
  readonly cachePrompts?: boolean
  /** Most bytes of that folder; the longest unused go first. Default 4 GB. */
  readonly cacheDirBytes?: number
  /** LoRA adapters that requests may use, and their scales where a request has no `lora` of its own. Default: none. */
  readonly lora?: readonly LoraAdapter[]
  /** Fetch pictures from private, loopback and link-local addresses too. Default false. */
  readonly allowPrivateAddresses?: boolean
  /** Time for fetching one remote picture, in ms. Default 30 000. */
  readonly imageTimeoutMs?: number
  /** The ffmpeg program, which reads videos; ffprobe lies beside it. Default: both from PATH. */
  readonly ffmpegPath?: string
  /** Stops downloading and loading. */
  readonly signal?: AbortSignal
  /** Loaded share, 0 to 1, in whole percents. */
  readonly onProgress?: (progress: number) => void
  /** Hears what llama.cpp logs: hundreds of lines a load, a few in between. Default: nobody does. */
  readonly onLog?: (line: LogLine) => void
  /** Hears of what is amiss and stops nothing, e.g. a `cacheDir` that cannot be written. Default: `process.emitWarning`. */
  readonly onWarning?: (warning: EngineWarning) => void
}

/** How to answer. Sampling defaults are those the generation was released with: `info.sampling`. */
export interface GenerateOptions<Schema extends OutputSchema | undefined = OutputSchema | undefined> {
  /** Most generated tokens. Default: as many as the context holds. */
  readonly maxTokens?: number
  /** 0 is greedy: always the likeliest token. */
  readonly temperature?: number
  /** Sample among the k likeliest; 0 all, 1 is greedy. */
  readonly topK?: number
  /** Sample among the likeliest that together have this probability, 0 to 1. */
  readonly topP?: number
  /** Leave out tokens less likely than this share of the likeliest, 0 to 1. */
  readonly minP?: number
  /** Divides the logits of tokens that prompt or answer contain already; 1 is off. */
  readonly repetitionPenalty?: number
  /** Subtracted from the logits of tokens that the answer contains already; 0 is off. */
  readonly presencePenalty?: number
  /** The same times their number so far; 0 is off. */
  readonly frequencyPenalty?: number
  /** Added to the logits of tokens, by id: `{ 1234: -100 }` is as good as never, 100 as always. Default: none. */
  readonly logitBias?: Readonly<Record<number, number>>
  /** Same seed, same text; among other requests only with `deterministic`. Default: a new one each time. */
  readonly seed?: number
  /** Among waiting requests the higher goes first; a whole number. Default 0. */
  readonly priority?: number
  /** Texts that end the answer; not part of it. */
  readonly stop?: string | readonly string[]
  /** GBNF grammar with a rule `root` that the answer has to follow, behind its thought. Default: none. */
  readonly grammar?: string
  /** The answer is JSON of this schema (zod 4 or JSON Schema): `value` of the result. Default: text. */
  readonly schema?: Schema
  /** Log-probability of every token; a number asks for so many best alternatives too. Default false. */
  readonly logprobs?: boolean | number
  /**
   * Most tokens that are guessed ahead and checked together, 0 to 16; 8 is a good number. The guess is what followed when
   * the latest tokens stood in prompt or answer before, so it pays where an answer repeats its prompt: extraction,
   * tables, rewriting. With `mtp` the model's own head guesses where nothing repeats. The text is that of the model either
   * way. Without effect with `deterministic`, and on models with a recurrent state (Qwen3.5) without `mtp`. Default 0.
   */
  readonly speculate?: number
  /** Do not stop at the end-of-turn token; for benchmarks. Default false. */
  readonly ignoreEos?: boolean
  /** "Picture 1: " before each picture, "Video 1: " before each video. Default false. */
  readonly addVisionId?: boolean
  /** 'allow': control tokens in the caller's texts count as such; prompt injection becomes possible. Default 'text'. */
  readonly specialTokens?: 'text' | 'allow'
  /** What the model may call: `tool()`s, or OpenAI's form. Default: nothing. */
  readonly tools?: ReadonlyArray<Tool | OpenAITool>
  /** Whether tools may or must be called. Default 'auto'. */
  readonly toolChoice?: ToolChoice
  /** Most tokens of the thought of a model that thinks; 0: no thought. Default: no limit. */
  readonly thinkingBudget?: number
  /** Which LoRA adapters of the model answer, and how strongly; `[]` none. Default: as the model was loaded. */
  readonly lora?: readonly LoraAdapter[]
  /** Further variables of the chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateVariables?: Readonly<Record<string, unknown>>
  /** Cancels the request at any point; the call then throws AbortError. */
  readonly signal?: AbortSignal
}

/** How to answer with tools. */
export interface RunOptions<
  Schema extends OutputSchema | undefined = OutputSchema | undefined,
> extends GenerateOptions<Schema> {
  /** Most answers; one that still calls tools then is an error. Default 10. */
  readonly maxSteps?: number
}

/** How to answer a turn of a chat. */
export interface TurnOptions<
  Schema extends OutputSchema | undefined = OutputSchema | undefined,
> extends RunOptions<Schema> {
  /** What becomes of a conversation that is too long for the context. Default 'error'. */
  readonly overflow?: OverflowPolicy
}

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
  onDownload: z
    .custom<(progress: PullProgress) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
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
  onProgress: z
    .custom<(progress: number) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  onLog: z
    .custom<(line: LogLine) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  onWarning: z
    .custom<(warning: EngineWarning) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
})

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
  priority: whole(-1_000_000, 1_000_000).optional(),
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
  schema: typeof loadSchema | typeof generateSchema | typeof runSchema | typeof turnSchema,
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
