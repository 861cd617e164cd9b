/** Tools that a model may call: what a caller writes, checked; and a model's calls, checked by the tools' schemas. */
import { invalidArgument } from './errors'
import { readSchema } from './output/schema'
import type { JsonSchema, OutputSchema, ReadSchema, ValueOf } from './output/schema'
import type { ContentPart, Message } from './prompt/messages'
import type { FunctionTool } from './prompt/tools'
import { isContentPart } from './prompt/normalise'
import type { GenerationResult } from './stream'

/** What a tool gives back, or a promise of it: a text, content parts (pictures too), or any value, shown as JSON. */
export type ToolOutput = unknown

/** What a tool's `run` is told besides its arguments. */
export interface ToolContext {
  readonly call: ParsedToolCall
  /** Fires when the request is cancelled. */
  readonly signal: AbortSignal
}

/** A tool that a model may call; see `tool()`. */
export interface Tool {
  /** Letters, digits, `_`, `-`, `.`; unique among the tools. */
  readonly name: string
  /** What it does and when to call it: the model reads it. */
  readonly description?: string
  /** Schema of the arguments, an object: zod, or JSON Schema. Default: it takes none. */
  readonly parameters?: OutputSchema
  /** What the model is shown as `parameters`, for one that was trained on other words. Default: `parameters`. */
  readonly shown?: JsonSchema
  /** Makes of checked arguments what `run` gets and `call.input` is. Throwing tells the model that the call is wrong. */
  readonly convert?: (args: never) => unknown
  /** Does it. Without it calls are the caller's to answer. */
  readonly run?: (args: never, context: ToolContext) => ToolOutput
}

/** A tool with handlers whose types follow from its schema. */
export interface ToolDefinition<S extends OutputSchema | undefined, Input> extends Omit<
  Tool,
  'parameters' | 'convert' | 'run'
> {
  readonly parameters?: S
  readonly convert?: (args: ValueOf<S>) => Input
  readonly run?: (args: Input, context: ToolContext) => ToolOutput
}

/** A tool as OpenAI's API writes it. */
export interface OpenAITool {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string
    readonly parameters?: JsonSchema
  }
}

/** Which tools may be called: any or none as the model likes; none; at least one; this one. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string }

/** A call of a tool in an answer. */
export interface ParsedToolCall {
  /** Unique; `toolResult()` repeats it. */
  readonly id: string
  readonly name: string
  /** As the model wrote them; of a wrong call what could be read. */
  readonly arguments: Readonly<Record<string, unknown>>
  /** Checked and converted: what `run` gets. Undefined for a wrong call. */
  readonly input?: unknown
  /** What is wrong with the call: unknown tool, broken JSON, arguments against the schema. */
  readonly problem?: string
}

/** A tool that was read. */
export interface ReadTool {
  readonly name: string
  readonly definition: FunctionTool
  readonly schema: ReadSchema | undefined
  readonly convert: ((args: unknown) => unknown) | undefined
  readonly run: ((args: unknown, context: ToolContext) => unknown) | undefined
}

/** Types the handlers of a tool by its schema; otherwise the object as it is. */
export function tool<S extends OutputSchema | undefined = undefined, Input = ValueOf<S>>(
  definition: ToolDefinition<S, Input>,
): Tool {
  return definition as Tool
}

/** The answer to a call, for the next request of a conversation. @throws TypeError for what JSON cannot say */
export function toolResult(call: Pick<ParsedToolCall, 'id' | 'name'>, output: ToolOutput): Message {
  return { role: 'tool', content: contentOf(output), tool_call_id: call.id, name: call.name }
}

/** An answer, for the next request of a conversation: its text, thought and calls. */
export function answerMessage({ text, reasoning, toolCalls }: GenerationResult): Message {
  const calls = toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: given },
  }))
  return {
    role: 'assistant',
    content: text,
    ...(reasoning !== undefined && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

/** @throws InvalidArgumentError naming the place, e.g. `tools[0].parameters.properties.city` */
export function readTools(tools: ReadonlyArray<Tool | OpenAITool>): ReadTool[] {
  const names = new Set<string>()
  return tools.map((given, index) => {
    const path = `tools[${index}]`
    const read = readTool(given, path)
    if (names.has(read.name)) throw invalidArgument(`${path}.name`, 'unique among the tools', read.name)
    names.add(read.name)
    return read
  })
}

function readTool(given: unknown, path: string): ReadTool {
  if (!isRecord(given)) throw invalidArgument(path, 'a tool: { name, description, parameters, run }', given)
  const isOpenAI = 'function' in given
  const at = isOpenAI ? `${path}.function` : path
  const fields = isOpenAI ? given.function : given
  if (!isRecord(fields)) throw invalidArgument(at, 'an object with a name', fields)
  const { name, description, parameters, shown, convert, run } = fields
  if (typeof name !== 'string' || !/^[\w.-]{1,128}$/.test(name))
    throw invalidArgument(`${at}.name`, 'up to 128 letters, digits, `_`, `-` or `.`', name)
  if (description !== undefined && typeof description !== 'string')
    throw invalidArgument(`${at}.description`, 'a string', description)
  if (shown !== undefined && !isRecord(shown)) throw invalidArgument(`${at}.shown`, 'a JSON Schema', shown)
  const schema = parameters == null ? undefined : readSchema(parameters, `${at}.parameters`)
  return {
    name,
    definition: isOpenAI
      ? (given as unknown as FunctionTool)
      : definitionOf(name, description, shown ?? schema?.json),
    schema,
    convert: handler(convert, `${at}.convert`),
    run: handler(run, `${at}.run`),
  }
}

function definitionOf(
  name: string,
  description: string | undefined,
  parameters: JsonSchema = { type: 'object', properties: {} },
) {
  return {
    type: 'function',
    function: { name, ...(description !== undefined && { description }), parameters },
  } as const
}

function handler(value: unknown, path: string): ((...args: unknown[]) => unknown) | undefined {
  if (value === undefined || typeof value === 'function')
    return value as ((...args: unknown[]) => unknown) | undefined
  throw invalidArgument(path, 'a function', value)
}

/** A call as it was read, checked by its tool. */
export async function checkCall(
  call: Pick<ParsedToolCall, 'id' | 'name' | 'arguments' | 'problem'>,
  tools: readonly ReadTool[],
): Promise<ParsedToolCall> {
  if (call.problem !== undefined) return call
  const called = tools.find(({ name }) => name === call.name)
  if (!called) {
    const known = tools.map(({ name }) => name).join(', ')
    return { ...call, problem: `There is no tool '${call.name}'. The tools are: ${known}.` }
  }
  const checked = await called.schema?.check(call.arguments)
  if (checked?.success === false) return { ...call, problem: `Wrong arguments: ${checked.problem}.` }
  const value = checked ? checked.value : call.arguments
  try {
    return { ...call, input: called.convert ? called.convert(value) : value }
  } catch (cause) {
    return { ...call, problem: `Wrong arguments: ${cause instanceof Error ? cause.message : String(cause)}` }
  }
}

function contentOf(output: ToolOutput): string | ReadonlyArray<string | ContentPart> {
  if (output === undefined) return ''
  if (typeof output === 'string') return output
  if (isContentPart(output)) return [output]
  const isContent = (part: unknown): part is string | ContentPart =>
    typeof part === 'string' || isContentPart(part)
  if (Array.isArray(output) && output.every(isContent) && output.some(isContentPart)) return output
  const json = JSON.stringify(output) as string | undefined
  if (json === undefined) throw new TypeError(`a ${typeof output} cannot be shown to a model`)
  return json
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
