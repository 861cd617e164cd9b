/** POST /v1/messages, as Anthropic's API has it, and its count of tokens. */
import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { FinishReason, GenerateOptions, QwenVL, StreamPart, ToolChoice } from '../index'
import { addPart, emptyAnswer, gather, withOneCall } from './answer'
import type { Answer } from './answer'
import { blockList, conversationOf, systemBlocks } from './blocks'
import { eventStream, namedFrame } from './events'
import { anthropicError } from './failure'
import type { Failure } from './failure'
import type { Service } from './service'
import { given, ignored, jsonSchema, sampling, samplingOptions, toolOf, unsupported } from './wire'

const toolSchema = z
  .object(
    {
      type: z.literal('custom', { error: "'custom'" }).nullish(),
      name: z.string({ error: 'a string' }),
      description: z.string({ error: 'a string' }).optional(),
      input_schema: jsonSchema.optional(),
    },
    { error: 'a tool: { name, input_schema }' },
  )
  .transform(({ name, description, input_schema: parameters }) => toolOf(name, description, parameters))

const choiceSchema = z.object(
  {
    type: z.enum(['auto', 'any', 'tool', 'none'], { error: "'auto', 'any', 'tool' or 'none'" }),
    name: given.text,
    disable_parallel_tool_use: given.flag,
  },
  { error: 'an object with a type' },
)

const formatSchema = z.object(
  {
    type: z.literal('json_schema', { error: "'json_schema'" }),
    schema: jsonSchema,
  },
  { error: 'an object with type and schema' },
)

const conversation = {
  system: systemBlocks,
  messages: blockList,
  tools: z.array(toolSchema, { error: 'an array of tools' }).optional(),
  tool_choice: choiceSchema.optional(),
  thinking: z
    .object(
      {
        type: z.enum(['enabled', 'disabled', 'adaptive'], { error: "'enabled', 'disabled' or 'adaptive'" }),
        budget_tokens: given.count,
      },
      { error: 'an object with a type' },
    )
    .optional(),
  output_config: z
    .object({ format: formatSchema.nullish() }, { error: 'an object with a format' })
    .optional(),
  ...ignored('cache_control', 'context_management', 'speed', 'user_profile_id', 'workspace_id'),
}
const schema = z.strictObject({
  ...sampling,
  ...conversation,
  max_tokens: z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' }),
  stop_sequences: z
    .array(z.string().min(1), { error: 'an array of texts, none empty' })
    .max(16, { error: 'at most 16 texts' })
    .optional(),
  stream: given.flag,
  ...unsupported('container', 'mcp_servers'),
  ...ignored('metadata', 'service_tier', 'inference_geo', 'diagnostics'),
})
type MessageRequest = z.infer<typeof schema>
const countSchema = z.strictObject({ model: given.text, ...conversation, ...unsupported('mcp_servers') })

export function addMessages(app: Hono, service: Service): void {
  app.post('/v1/messages', async (c) => {
    const request = await service.readBody(c, schema)
    service.checkName(request.model)
    const messages = await conversationOf(request, service.gate())
    const { work, parts: all } = service.answer(c, messages, optionsOf(service.model, request))
    const parts = request.tool_choice?.disable_parallel_tool_use ? withOneCall(all) : all
    const head = new Head(service, request)
    if (request.stream) return eventStream(frames(head, parts), form, work)
    try {
      const answer = await gather(parts)
      return c.json({ ...head.message(contentOf(answer)), ...head.end(answer) })
    } finally {
      work.end()
    }
  })
  app.post('/v1/messages/count_tokens', async (c) => {
    const request = await service.readBody(c, countSchema)
    service.checkName(request.model)
    const messages = await conversationOf(request, service.gate())
    const tokens = await service.during(c, (signal) =>
      service.model.countTokens(messages, { ...toolOptions(request), signal }),
    )
    return c.json({ input_tokens: tokens })
  })
}

const form = {
  ping: namedFrame({ type: 'ping' }),
  failure: (failure: Failure) => namedFrame(anthropicError(failure)),
}

/** As this API has it, a model thinks where it is told so. */
function optionsOf(model: QwenVL, request: MessageRequest): GenerateOptions {
  const { thinking, stop_sequences: stop = [], output_config: output } = request
  const budget = thinking === undefined || thinking.type === 'disabled' ? 0 : thinking.budget_tokens
  return {
    ...(budget !== undefined && { thinkingBudget: budget }),
    ...samplingOptions(model, request),
    ...toolOptions(request),
    maxTokens: request.max_tokens,
    ...(stop.length > 0 && { stop }),
    ...(output?.format && { schema: output.format.schema }),
  }
}

function toolOptions({ tools, tool_choice: choice }: Pick<MessageRequest, 'tools' | 'tool_choice'>) {
  const choices = { auto: 'auto', any: 'required', none: 'none' } as const
  const toolChoice: ToolChoice | undefined =
    choice && (choice.type === 'tool' ? { name: choice.name ?? '' } : choices[choice.type])
  return { ...(tools && { tools }), ...(toolChoice && { toolChoice }) }
}

type Block =
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: unknown }

function contentOf({ text, reasoning, calls }: Answer): Block[] {
  return [
    ...(reasoning === '' ? [] : [{ type: 'thinking', thinking: reasoning, signature: '' } as const]),
    ...(text === '' ? [] : [{ type: 'text', text } as const]),
    ...calls.map(
      ({ id, name, arguments: json }) => ({ type: 'tool_use', id, name, input: parsed(json) }) as const,
    ),
  ]
}

/** Of a call that was cut off there may be no JSON. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return {}
  }
}

const stopReasons: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  'tool-calls': 'tool_use',
  length: 'max_tokens',
  cancelled: 'end_turn',
}

/** What an answer begins and ends with. */
class Head {
  readonly #service: Service
  readonly #stops: readonly string[]
  readonly #id = `msg_${randomUUID().replaceAll('-', '')}`

  constructor(service: Service, { stop_sequences: stops = [] }: MessageRequest) {
    this.#service = service
    this.#stops = stops
  }

  message(content: readonly Block[]) {
    return {
      id: this.#id,
      type: 'message',
      role: 'assistant',
      model: this.#service.name,
      content,
      stop_reason: null,
      stop_sequence: null,
      container: null,
      usage: { input_tokens: 0, output_tokens: 0 },
    }
  }

  end(answer: Answer) {
    const { promptTokens, cachedTokens, completionTokens } = answer.usage
    const stop = answer.finishReason === 'stop' ? this.#stopOf(answer) : undefined
    return {
      stop_reason: stop === undefined ? stopReasons[answer.finishReason] : 'stop_sequence',
      stop_sequence: stop ?? null,
      stop_details: null,
      usage: {
        input_tokens: promptTokens - cachedTokens,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: cachedTokens,
        output_tokens: completionTokens,
        output_tokens_details: { thinking_tokens: answer.reasoningTokens },
      },
    }
  }

  /** The text that ended the answer is none of it, but its tokens were generated. */
  #stopOf({ tokens }: Answer): string | undefined {
    if (this.#stops.length === 0) return undefined
    const text = this.#service.model.detokenize(Int32Array.from(tokens))
    return this.#stops.find((stop) => text.includes(stop))
  }
}

/** The answer as events: blocks one after the other, each begun, written and ended. */
async function* frames(
  head: Head,
  parts: AsyncIterable<StreamPart>,
): AsyncGenerator<string, void, undefined> {
  const answer = emptyAnswer()
  let index = -1
  let open: string | undefined
  let begun = false
  for await (const part of parts) {
    addPart(answer, part)
    if (!begun) yield namedFrame({ type: 'message_start', message: head.message([]) })
    begun = true
    const written = writtenBy(part)
    if (!written) continue
    const { block, key, delta } = written
    if (open !== key) {
      if (open !== undefined) yield namedFrame({ type: 'content_block_stop', index })
      open = key
      index++
      yield namedFrame({ type: 'content_block_start', index, content_block: block })
    }
    if (delta) yield namedFrame({ type: 'content_block_delta', index, delta })
  }
  if (open !== undefined) yield namedFrame({ type: 'content_block_stop', index })
  const { usage, ...delta } = head.end(answer)
  yield namedFrame({ type: 'message_delta', delta, usage })
  yield namedFrame({ type: 'message_stop' })
}

/** The block that a part belongs to, and what it adds. */
function writtenBy(part: StreamPart): { block: Block; key: string; delta: object | undefined } | undefined {
  switch (part.type) {
    case 'text':
      if (part.text === '') return undefined
      return {
        block: { type: 'text', text: '' },
        key: 'text',
        delta: { type: 'text_delta', text: part.text },
      }
    case 'reasoning':
      if (part.text === '') return undefined
      return {
        block: { type: 'thinking', thinking: '', signature: '' },
        key: 'thinking',
        delta: { type: 'thinking_delta', thinking: part.text },
      }
    case 'tool-call': {
      const { id, name, delta: json } = part
      const delta = json === '' ? undefined : { type: 'input_json_delta', partial_json: json }
      return { block: { type: 'tool_use', id, name, input: {} }, key: id, delta }
    }
    default:
      return undefined
  }
}
