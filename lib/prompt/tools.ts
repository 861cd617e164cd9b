/**
 * Tools for templates that know none: definitions, calls and results as the text that the generation was trained on.
 * For templates that know them: arguments as these templates can print them.
 */
import { invalidArgument } from '../errors'
import type { ToolForm } from '../generations'
import type { ToolCall } from './messages'
import type { NormalisedMessage, NormalisedPart } from './normalise'

/** A tool as OpenAI's API writes it, which is what the templates print. */
export interface FunctionTool {
  readonly type: 'function'
  readonly function: {
    readonly name: string
    readonly description?: string
    readonly parameters?: { readonly [keyword: string]: unknown }
  }
}

export interface ToolConversation {
  readonly messages: readonly NormalisedMessage[]
  /** The last message is an answer that is to be gone on with. */
  readonly continues: boolean
}

/** A conversation as a template prints it that knows no tools. @throws InvalidArgumentError */
export function spellTools(
  messages: readonly NormalisedMessage[],
  tools: readonly FunctionTool[],
  form: ToolForm,
): ToolConversation {
  const spelled = form === 'qwen-agent' ? agentTurns(messages) : taggedTurns(messages, form)
  const [first, ...rest] = spelled
  const continues = form === 'qwen-agent' && messages.at(-1)?.role === 'tool'
  if (tools.length === 0) return { messages: spelled, continues }
  const instructions = instructionsOf(tools, form)
  if (first?.role !== 'system')
    return { messages: [{ role: 'system', parts: [text(instructions)] }, ...spelled], continues }
  const parts =
    form === 'xml'
      ? [text(`${instructions}\n\n`), ...first.parts]
      : [...first.parts, text(`\n\n${instructions}`)]
  return { messages: [withParts(first, parts), ...rest], continues }
}

/**
 * Calls with arguments that the form's templates can print. Those of the XML form take arguments apart, and the Jinja
 * engine has no text for null.
 * @throws InvalidArgumentError
 */
export function printableCalls(messages: readonly NormalisedMessage[], form: ToolForm): NormalisedMessage[] {
  if (form !== 'xml') return [...messages]
  return messages.map((message) => {
    if (!message.toolCalls) return message
    const toolCalls = message.toolCalls.map((call) => ({
      ...call,
      function: { ...call.function, arguments: withoutNull(argumentsOf(call)) },
    }))
    return { ...message, toolCalls }
  })
}

/** Hermes and XML: calls in the answer, results in the user's turn. */
function taggedTurns(messages: readonly NormalisedMessage[], form: 'hermes' | 'xml'): NormalisedMessage[] {
  const turns: NormalisedMessage[] = []
  for (const message of messages) {
    const last = turns.at(-1)
    if (message.role === 'tool') {
      const result = [text('<tool_response>\n'), ...message.parts, text('\n</tool_response>')]
      if (last?.role === 'user') turns.splice(-1, 1, withParts(last, [...last.parts, text('\n'), ...result]))
      else turns.push({ role: 'user', parts: result })
    } else if (message.toolCalls) {
      const calls = message.toolCalls.map((call) => (form === 'hermes' ? hermesCall(call) : xmlCall(call)))
      const separator = message.parts.length > 0 ? '\n' : ''
      turns.push(withParts(message, [...message.parts, text(separator + calls.join('\n'))]))
    } else {
      turns.push(message)
    }
  }
  return turns
}

/** Qwen-Agent: calls and results in one answer, which goes on behind the last result. */
function agentTurns(messages: readonly NormalisedMessage[]): NormalisedMessage[] {
  const turns: NormalisedMessage[] = []
  for (const [index, message] of messages.entries()) {
    const last = turns.at(-1)
    const { role } = message
    if (role === 'tool') {
      const result = [text('\n✿RESULT✿: '), ...message.parts]
      const next = messages[index + 1]
      // The colon is the model's: it may be one token with what follows.
      const exit =
        next?.role === 'tool' ? [] : [text(next?.role === 'assistant' ? '\n✿RETURN✿: ' : '\n✿RETURN✿')]
      if (last?.role !== 'assistant') {
        throw invalidArgument(`messages[${index}]`, 'after the answer that calls the tool', message)
      }
      turns.splice(-1, 1, withParts(last, [...last.parts, ...result, ...exit]))
    } else if (role === 'assistant') {
      const calls = (message.toolCalls ?? []).map(agentCall).join('\n')
      const resumes = last?.role === 'assistant'
      const separator = calls !== '' && (message.parts.length > 0 || resumes) ? '\n' : ''
      const parts = [...message.parts, ...(calls === '' ? [] : [text(separator + calls)])]
      if (resumes) turns.splice(-1, 1, withParts(last, [...last.parts, ...parts]))
      else turns.push(withParts(message, parts, message.toolCalls === undefined))
    } else {
      turns.push(message)
    }
  }
  return turns
}

function instructionsOf(tools: readonly FunctionTool[], form: ToolForm): string {
  if (form === 'qwen-agent') return agentInstructions(tools)
  const list = tools.map(pythonJson).join('\n')
  return form === 'hermes'
    ? `# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
${list}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`
    : `# Tools

You have access to the following functions:

<tools>
${list}
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within <tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls
</IMPORTANT>`
}

function agentInstructions(tools: readonly FunctionTool[]): string {
  const descriptions = tools.map(({ function: { name, description = '', parameters = {} } }) => {
    const line = `${name}: ${description} Parameters: ${pythonJson(parameters)} Format the arguments as a JSON object.`
    return `### ${name}\n\n${line}`
  })
  const names = tools.map((tool) => tool.function.name).join(',')
  return `# Tools

## You have access to the following tools:

${descriptions.join('\n\n')}

## When you need to call a tool, please insert the following command in your reply, which can be called zero or multiple times according to your needs:

✿FUNCTION✿: The tool to use, should be one of [${names}]
✿ARGS✿: The input of the tool
✿RESULT✿: Tool results
✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)`
}

function hermesCall({ function: { name, arguments: given } }: ToolCall): string {
  const json = typeof given === 'string' ? given : pythonJson(given)
  return `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${json}}\n</tool_call>`
}

function xmlCall(call: ToolCall): string {
  const parameters = Object.entries(argumentsOf(call)).map(([name, value]) => {
    return `<parameter=${name}>\n${typeof value === 'string' ? value : pythonJson(value)}\n</parameter>\n`
  })
  return `<tool_call>\n<function=${call.function.name}>\n${parameters.join('')}</function>\n</tool_call>`
}

function agentCall({ function: { name, arguments: given } }: ToolCall): string {
  const json = typeof given === 'string' ? given : pythonJson(given)
  return `✿FUNCTION✿: ${name}\n✿ARGS✿: ${json}`
}

function argumentsOf({ function: { name, arguments: given } }: ToolCall): Readonly<Record<string, unknown>> {
  if (typeof given !== 'string') return given
  let value: unknown
  try {
    value = JSON.parse(given)
  } catch {
    // told below
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw invalidArgument(`arguments of ${name}`, 'an object or its JSON text', given)
}

function withoutNull(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value ?? 'null']))
}

/** JSON with the spaces of Python's `json.dumps`, which the models were trained on. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}: ${pythonJson(inner)}`).join(', ')}}`
}

/** @param keepTokens The text is the same, and so are the ids that were generated for it. */
function withParts(
  message: NormalisedMessage,
  parts: readonly NormalisedPart[],
  keepTokens = false,
): NormalisedMessage {
  const { role, tokens } = message
  return { role, parts, ...(keepTokens && tokens && { tokens }) }
}

function text(value: string): NormalisedPart {
  return { type: 'text', text: value }
}
