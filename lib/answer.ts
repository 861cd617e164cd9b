/** One answer to a prompt: grammar, generation, and what was generated read as thought, text, calls, value. */
import { randomUUID } from 'node:crypto'
import type { PreparedPrompt, PromptMaker } from './conversation'
import type { ThoughtLimit } from './engine/binding'
import { schemaToGrammar } from './engine/engine'
import { OutputError, UnsupportedModelError } from './errors'
import { generate } from './generate'
import type { Generator, RawAnswer } from './generate'
import type { GenerateOptions } from './options'
import { answerGrammar } from './output/grammar'
import { JsonReader } from './output/json'
import { parameterKind } from './output/kinds'
import { AnswerReader } from './output/reader'
import type { AnswerPiece } from './output/reader'
import { readSchema } from './output/schema'
import type { JsonSchema, ReadSchema } from './output/schema'
import { callStops } from './output/toolcalls'
import type { NormalisedMessage } from './prompt/normalise'
import type { RenderOptions } from './prompt/template'
import type { GenerationResult, NewTokens, PushPart, StreamPart } from './stream'
import { checkCall, readTools } from './tools'
import type { ParsedToolCall, ReadTool } from './tools'

/** What answers are made with. */
export type Answerer = PromptMaker & Generator

/** An answer, and the message that it is in the conversation: exactly what was generated. */
export interface Answered {
  readonly result: GenerationResult
  readonly message: NormalisedMessage
}

/**
 * @param prompt Made with `renderOptions(settings)`.
 * @param settings As `checkGenerateOptions` lets them through.
 * @throws like `generate`; OutputError; UnsupportedModelError for a budget that cannot be kept
 */
export async function answer(
  maker: Answerer,
  prompt: PreparedPrompt,
  settings: GenerateOptions,
  push: PushPart,
  signal: AbortSignal,
): Promise<Answered> {
  const schema = settings.schema === undefined ? undefined : readSchema(settings.schema, 'schema')
  const tools = offeredTools(settings)
  const form = maker.generation.tools
  const inThought = /<think>\s*$/.test(prompt.text)
  const continues = prompt.text.endsWith('✿RETURN✿')
  const options = {
    ...settings,
    grammar: await grammarOf(settings, { inThought, schema, tools, form }),
    stop: [...stopsOf(settings), ...(tools.length > 0 ? callStops[form] : [])],
    thought: inThought ? await thoughtLimit(maker, settings) : undefined,
  }
  const kindOf = (name: string, parameter: string) =>
    parameterKind(tools.find((tool) => tool.name === name)?.schema?.json, parameter)
  const calls = tools.length > 0 ? { form, kindOf } : undefined
  const reading = new Reading(new AnswerReader({ inThought, calls, continues }), push, schema !== undefined)
  const raw = await generate(maker, prompt, options, reading.push, signal)
  const toolCalls = await Promise.all(reading.calls.map((call) => checkCall(call, tools)))
  const result: GenerationResult = {
    ...raw,
    text: reading.text,
    ...(reading.reasoning !== '' && { reasoning: reading.reasoning }),
    toolCalls,
    finishReason: raw.finishReason === 'stop' && toolCalls.length > 0 ? 'tool-calls' : raw.finishReason,
    value: undefined,
  }
  const value = schema && (await valueOf(result, schema))
  const message = messageOf(raw, { inThought: reading.inThought, continues, stop: options.stop })
  return { result: { ...result, value }, message }
}

/** What the template needs of the options. */
export function renderOptions(settings: GenerateOptions): RenderOptions {
  const { addVisionId, specialTokens, templateVariables, thinkingBudget } = settings
  const tools = offeredTools(settings)
  const variables = { ...(thinkingBudget === 0 && { enable_thinking: false }), ...templateVariables }
  return {
    ...(addVisionId !== undefined && { addVisionId }),
    ...(specialTokens && { specialTokens }),
    ...(tools.length > 0 && { tools: tools.map(({ definition }) => definition) }),
    variables,
  }
}

function offeredTools({ tools = [], toolChoice }: GenerateOptions): ReadTool[] {
  return toolChoice === 'none' ? [] : readTools(tools)
}

function stopsOf({ stop = [] }: GenerateOptions): readonly string[] {
  return typeof stop === 'string' ? [stop] : stop
}

interface Wanted {
  readonly inThought: boolean
  readonly schema: ReadSchema | undefined
  readonly tools: readonly ReadTool[]
  readonly form: Answerer['generation']['tools']
}

/** Calls are held to their schemas where they have to come, and where else only JSON of `schema` may; not in free text. */
async function grammarOf(
  { grammar, toolChoice = 'auto' }: GenerateOptions,
  { inThought, schema, tools, form }: Wanted,
): Promise<string> {
  const forced = typeof toolChoice === 'object' ? toolChoice.name : undefined
  const must = forced !== undefined || toolChoice === 'required'
  const called = tools.filter(({ name }) => forced === undefined || name === forced)
  const constrained = must || schema !== undefined
  return answerGrammar(
    {
      inThought,
      ...(!must && { grammar, schema }),
      ...(constrained &&
        called.length > 0 && { calls: { form, tools: called, single: forced !== undefined } }),
    },
    convertSchema,
  )
}

const converted = new Map<string, Promise<string>>()

/** The same schema comes with every request. */
function convertSchema(schema: JsonSchema): Promise<string> {
  const text = JSON.stringify(schema)
  const known = converted.get(text)
  if (known) return known
  if (converted.size >= 100) converted.clear()
  const grammar = schemaToGrammar(text)
  converted.set(text, grammar)
  return grammar
}

/** The sentence that Qwen's technical report of Qwen3 ends a thought with. */
const outOfTime =
  '\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.'

/** @throws UnsupportedModelError */
async function thoughtLimit(
  { engine }: Answerer,
  { thinkingBudget: budget }: GenerateOptions,
): Promise<ThoughtLimit | undefined> {
  if (budget === undefined) return undefined
  const [end, ...more] = await engine.tokenize('</think>', true)
  if (end === undefined || more.length > 0) {
    throw new UnsupportedModelError(
      'UNSUPPORTED_MODEL',
      'This model has no token that ends a thought, so `thinkingBudget` cannot be kept. Leave it out.',
    )
  }
  const closing = await engine.tokenize(`${budget > 0 ? outOfTime : ''}\n</think>\n\n`, true)
  return { budget, end, closing }
}

/** Reads the text of an answer while it is generated, and passes it on as what it is. */
class Reading {
  readonly #reader: AnswerReader
  readonly #push: PushPart
  readonly #json: JsonReader | undefined
  readonly #calls: Array<Pick<ParsedToolCall, 'id' | 'name' | 'arguments' | 'problem'>> = []
  /** Tokens of a call that gave no news yet. */
  #held: NewTokens | undefined
  readonly #texts = { text: [] as string[], reasoning: [] as string[] }

  constructor(reader: AnswerReader, push: PushPart, isJson: boolean) {
    this.#reader = reader
    this.#push = push
    this.#json = isJson ? new JsonReader() : undefined
  }

  get text(): string {
    return this.#texts.text.join('')
  }

  get reasoning(): string {
    return this.#texts.reasoning.join('')
  }

  get calls(): readonly Pick<ParsedToolCall, 'id' | 'name' | 'arguments' | 'problem'>[] {
    return this.#calls
  }

  /** The answer has not come to the end of its thought. */
  get inThought(): boolean {
    return this.#reader.current === 'reasoning'
  }

  readonly push: PushPart = (part, consumed) => {
    if (part.type === 'text') {
      this.#pass(this.#reader.push(part.text), part, consumed)
    } else if (part.type === 'finish') {
      this.#pass(this.#reader.end(), nothing, noCredit)
      const isCall = part.finishReason === 'stop' && this.#calls.length > 0
      this.#push(isCall ? { ...part, finishReason: 'tool-calls' } : part, consumed)
    } else {
      this.#push(part, consumed)
    }
  }

  /** The last part gives the credit of what was generated. */
  #pass(pieces: readonly AnswerPiece[], fresh: NewTokens, consumed: () => void): void {
    let tokens = this.#held ? joined(this.#held, fresh) : fresh
    this.#held = undefined
    const parts: StreamPart[] = []
    for (const piece of pieces) {
      this.#addPart(parts, piece, tokens)
      tokens = nothing
    }
    if (parts.length === 0 && tokens !== nothing) {
      const { current } = this.#reader
      if (current === 'call') this.#held = tokens
      else parts.push(textPart(current, '', tokens))
    }
    const last = parts.pop()
    for (const part of parts) this.#push(part, noCredit)
    if (last) this.#push(last, consumed)
    else consumed()
  }

  #addPart(parts: StreamPart[], piece: AnswerPiece, fresh: NewTokens): void {
    if (piece.type === 'tool-call') {
      const { index, name, arguments: given, problem } = piece
      const id = this.#calls[index]?.id ?? `call_${randomUUID().replaceAll('-', '')}`
      this.#calls[index] = { id, name, arguments: given, ...(problem !== undefined && { problem }) }
      parts.push({ ...piece, id, ...newTokens(fresh) })
      return
    }
    this.#texts[piece.type].push(piece.text)
    parts.push(textPart(piece.type, piece.text, fresh))
    if (piece.type !== 'text' || !this.#json) return
    this.#json.push(piece.text)
    if (this.#json.take() !== '') parts.push({ type: 'object', value: this.#json.value })
  }
}

const nothing: NewTokens = { tokens: Object.freeze<number[]>([]) }
const noCredit = () => undefined

/** One object a token, and no copies: the event loop may have no core of its own. */
function textPart(type: 'text' | 'reasoning', text: string, { tokens, logprobs }: NewTokens): StreamPart {
  return logprobs ? { type, text, tokens, logprobs } : { type, text, tokens }
}

/** Of a part that holds more than them. */
function newTokens({ tokens, logprobs }: NewTokens): NewTokens {
  return { tokens, ...(logprobs && { logprobs }) }
}

function joined(held: NewTokens, fresh: NewTokens): NewTokens {
  const logprobs = [...(held.logprobs ?? []), ...(fresh.logprobs ?? [])]
  return { tokens: [...held.tokens, ...fresh.tokens], ...(logprobs.length > 0 && { logprobs }) }
}

/** @throws OutputError */
async function valueOf(result: GenerationResult, schema: ReadSchema): Promise<unknown> {
  const { text, finishReason } = result
  if (finishReason === 'cancelled' || finishReason === 'tool-calls') return undefined
  const failed = (code: 'OUTPUT_TRUNCATED' | 'OUTPUT_INVALID', message: string) =>
    new OutputError(code, message, { details: { text, result } })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw finishReason === 'length'
      ? failed(
          'OUTPUT_TRUNCATED',
          'The answer was cut off before its JSON was whole. Raise `maxTokens` or `contextSize`.',
        )
      : failed(
          'OUTPUT_INVALID',
          'The answer is no JSON: a stop string ended it, or it had to be no longer than that.',
        )
  }
  const checked = await schema.check(value)
  if (checked.success) return checked.value
  throw failed(
    'OUTPUT_INVALID',
    `The answer is against what its schema asks for beyond the grammar: ${checked.problem}. Ask again, or loosen it.`,
  )
}

/** Its ids stand for exactly its text, unless a stop string cut the text or it goes on with an earlier one. */
function messageOf(
  { text, tokens, finishReason }: RawAnswer,
  { inThought, continues, stop }: { inThought: boolean; continues: boolean; stop: readonly string[] },
): NormalisedMessage {
  if (inThought) return { role: 'assistant', parts: [], reasoning: text }
  const exact = !continues && (stop.length === 0 || finishReason === 'length')
  const own = continues ? text.replace(/^: ?/, '') : text
  return { role: 'assistant', parts: [{ type: 'text', text: own }], ...(exact && { tokens }) }
}
