/** Answers with tools: what the model calls is run and told to it, until it answers. */
import { answer } from './answer'
import type { Answerer } from './answer'
import type { PictureMemory } from './reading'
import { ToolError } from './errors'
import { abortable } from './media/abort'
import type { RunOptions, TurnOptions } from './options'
import type { Message } from './prompt/messages'
import { normaliseMessages } from './prompt/normalise'
import type { NormalisedMessage } from './prompt/normalise'
import { makeRoom } from './room'
import type { Evicted } from './room'
import type { GenerationResult, PushPart, StreamPart } from './stream'
import { answerMessage, readTools, toolResult } from './tools'
import type { ParsedToolCall, ReadTool } from './tools'

/** The last answer, and how it came to it. */
export interface RunResult<Value = unknown> extends GenerationResult<Value> {
  /** Every answer, the last included. */
  readonly steps: readonly GenerationResult[]
  /** What was said: answers and results of tools, to be appended to the conversation. */
  readonly messages: readonly Message[]
  /** What had to go because the conversation was too long for the context; missing if nothing had. */
  readonly evicted?: Evicted
}

export interface Ran {
  readonly result: RunResult
  /** The conversation with all that was said, exactly as it was generated. */
  readonly history: readonly NormalisedMessage[]
}

const defaultSteps = 10
/** Wrong calls in a row that the model is told of before they are an error. */
const forgivenCalls = 1

const noCredit = () => undefined

/**
 * Ends with the first answer that calls nothing, or calls a tool that has no `run`.
 * @throws ToolError TOOL_FAILED, TOOL_CALL_INVALID, TOOL_STEPS; and like `answer`
 */
export async function run(
  maker: Answerer,
  messages: readonly NormalisedMessage[],
  { maxSteps = defaultSteps, overflow = 'error', ...settings }: TurnOptions,
  push: PushPart,
  signal: AbortSignal,
  memory: PictureMemory = new WeakMap(),
): Promise<Ran> {
  const tools = readTools(settings.tools ?? [])
  let history = [...messages]
  let evicted: Evicted | undefined
  const steps: GenerationResult[] = []
  const said: Message[] = []
  let wrong = 0
  for (;;) {
    let finish: StreamPart | undefined
    const passOn: PushPart = (part, consumed) => {
      if (part.type === 'finish') finish = part
      else push(part, consumed)
    }
    const options = steps.length === 0 ? settings : onceForced(settings)
    const fitted = await makeRoom(maker, history, overflow, options, signal, memory)
    history = [...fitted.messages]
    if (fitted.evicted) {
      evicted = sumOf(evicted, fitted.evicted)
      push({ type: 'evicted', ...fitted.evicted }, noCredit)
    }
    const { result, message } = await answer(maker, fitted.prompt, options, passOn, signal)
    steps.push(result)
    history.push(message)
    said.push(answerMessage(result))
    if (finish?.type !== 'finish' || !continues(result, tools)) {
      if (finish) push(finish, noCredit)
      return { result: { ...result, steps, messages: said, ...(evicted && { evicted }) }, history }
    }
    push({ ...finish, type: 'step' }, noCredit)
    const problem = result.toolCalls.find((call) => call.problem !== undefined)
    wrong = problem ? wrong + 1 : 0
    if (problem && wrong > forgivenCalls) throw calledWrongly(problem, said)
    if (steps.length >= maxSteps) throw tooManySteps(maxSteps, said)
    const results = await Promise.all(
      result.toolCalls.map((call) => execute(call, tools, said, push, signal)),
    )
    for (const { spoken, normalised } of results) {
      said.push(spoken)
      history.push(normalised)
    }
  }
}

function sumOf(before: Evicted | undefined, { turns, images }: Evicted): Evicted {
  return { turns: turns + (before?.turns ?? 0), images: images + (before?.images ?? 0) }
}

/** A call that was asked for is there after the first step; to ask again would never end. */
function onceForced<Options extends Omit<RunOptions, 'maxSteps'>>(settings: Options): Options {
  return settings.toolChoice === 'none' ? settings : { ...settings, toolChoice: 'auto' }
}

function continues({ finishReason, toolCalls }: GenerationResult, tools: readonly ReadTool[]): boolean {
  const isOurs = ({ problem, name }: ParsedToolCall) =>
    problem !== undefined || tools.some((tool) => tool.name === name && tool.run)
  return finishReason === 'tool-calls' && toolCalls.every(isOurs)
}

interface ToolAnswer {
  readonly spoken: Message
  readonly normalised: NormalisedMessage
}

/** @throws ToolError TOOL_FAILED, AbortError */
async function execute(
  call: ParsedToolCall,
  tools: readonly ReadTool[],
  said: readonly Message[],
  push: PushPart,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  if (call.problem !== undefined) {
    push({ type: 'tool-result', call, output: undefined }, noCredit)
    return toolAnswer(call, { error: { code: 'INVALID_CALL', message: call.problem } })
  }
  const tool = tools.find(({ name }) => name === call.name)
  const started = Promise.resolve().then(() => tool?.run?.(call.input, { call, signal }))
  try {
    const output = await abortable(started, signal)
    const told = toolAnswer(call, output)
    push({ type: 'tool-result', call, output }, noCredit)
    return told
  } catch (cause) {
    if (signal.aborted) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ToolError('TOOL_FAILED', `The tool '${call.name}' failed: ${reason}`, {
      cause,
      details: { call, messages: said },
    })
  }
}

/** @throws what cannot be told: no JSON, no valid content part */
function toolAnswer(call: ParsedToolCall, output: unknown): ToolAnswer {
  const spoken = toolResult(call, output)
  const [normalised] = normaliseMessages([spoken])
  if (!normalised) throw new TypeError('a message became none')
  return { spoken, normalised }
}

function calledWrongly(call: ParsedToolCall, said: readonly Message[]): ToolError {
  return new ToolError(
    'TOOL_CALL_INVALID',
    `The model calls '${call.name}' wrongly, also after it was told why: ${call.problem ?? ''} ` +
      "Simplify the tool's schema, describe it better, or force the call by `toolChoice`.",
    { details: { call, messages: said } },
  )
}

function tooManySteps(maxSteps: number, said: readonly Message[]): ToolError {
  return new ToolError(
    'TOOL_STEPS',
    `The model still calls tools in its answer number ${maxSteps}. Raise \`maxSteps\`, or go on from \`details.messages\`.`,
    { details: { maxSteps, messages: said } },
  )
}
