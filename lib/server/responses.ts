/** POST /v1/responses, as OpenAI's API has it. Answers are not kept: each request brings its conversation. */
import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { GenerateOptions, StreamPart, ToolChoice } from '../index'
import { addPart, emptyAnswer, gather, imagesOf, timingsOf, withOneCall } from './answer'
import type { Answer } from './answer'
import { eventStream, namedFrame } from './events'
import type { ServerEvent } from './events'
import { failureOf } from './failure'
import type { Failure } from './failure'
import { inputItems, messagesOf } from './items'
import { OutputEvents, outputOf } from './output'
import type { Service } from './service'
import {
  answerFormat,
  given,
  ignored,
  jsonSchema,
  sampling,
  samplingOptions,
  choiceOfTool,
  toolOf,
  unsupported,
} from './wire'

const toolSchema = z
  .object(
    {
      type: z.literal('function', { error: "'function': this server has no tools of its own" }),
      name: z.string({ error: 'a string' }),
      description: z.string({ error: 'a string' }).nullish(),
      parameters: jsonSchema.nullish(),
    },
    { error: 'a function' },
  )
  .transform(({ name, description, parameters }) => toolOf(name, description, parameters))

const choiceSchema = choiceOfTool(z.object({ type: z.literal('function'), name: z.string() }))
const formatSchema = answerFormat({ schema: jsonSchema })

const schema = z.strictObject({
  ...sampling,
  input: inputItems,
  instructions: given.text,
  max_output_tokens: given.count,
  stream: given.flag,
  tools: z.array(toolSchema, { error: 'an array of tools' }).optional(),
  tool_choice: choiceSchema.optional(),
  parallel_tool_calls: given.flag,
  text: z.object({ format: formatSchema.optional() }, { error: 'an object with a format' }).optional(),
  reasoning: z.object({ effort: z.string().nullish() }, { error: 'an object with effort' }).optional(),
  ...unsupported(
    'previous_response_id',
    'conversation',
    'prompt',
    'background',
    'max_tool_calls',
    'top_logprobs',
  ),
  ...ignored('store', 'metadata', 'include', 'truncation', 'user', 'service_tier', 'safety_identifier'),
  ...ignored('prompt_cache_key', 'prompt_cache_retention', 'stream_options', 'moderation'),
})
type ResponseRequest = z.infer<typeof schema>

export function addResponses(app: Hono, service: Service): void {
  app.post('/v1/responses', async (c) => {
    const request = await service.readBody(c, schema)
    service.checkName(request.model)
    const messages = await messagesOf(request.input, request.instructions, service.gate())
    const { work, parts: all } = service.answer(c, messages, optionsOf(request))
    const parts = request.parallel_tool_calls === false ? withOneCall(all) : all
    const head = new Head(service, request)
    if (request.stream) return eventStream(frames(head, parts), form, work)
    try {
      const answer = await gather(parts)
      return c.json(head.response(answer, outputOf(answer)))
    } finally {
      work.end()
    }
  })
}

const form = {
  ping: ': ping\n\n',
  failure: ({ code, message, param }: Failure) => namedFrame({ type: 'error', code, message, param }),
}

function optionsOf(request: ResponseRequest): GenerateOptions {
  const { tools, tool_choice: choice, text, max_output_tokens: maxTokens } = request
  const toolChoice: ToolChoice | undefined =
    choice === undefined || typeof choice === 'string' ? choice : { name: choice.name }
  const format = text?.format
  return {
    ...samplingOptions(request),
    ...(['none', 'minimal'].includes(request.reasoning?.effort ?? '') && { thinkingBudget: 0 }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(tools && { tools }),
    ...(toolChoice && { toolChoice }),
    ...(format?.type === 'json_object' && { schema: { type: 'object' } }),
    ...(format?.type === 'json_schema' && { schema: format.schema }),
  }
}

/** The object that is the answer, at its beginning and at its end. */
class Head {
  readonly #service: Service
  readonly #request: ResponseRequest
  readonly #id = `resp_${randomUUID().replaceAll('-', '')}`
  readonly #created = Math.floor(Date.now() / 1000)

  constructor(service: Service, request: ResponseRequest) {
    this.#service = service
    this.#request = request
  }

  begun() {
    return { ...this.#fields('in_progress'), output: [], usage: null }
  }

  response(answer: Answer, output: readonly object[]) {
    const cut = answer.finishReason === 'length'
    return {
      ...this.#fields(cut ? 'incomplete' : 'completed'),
      ...(cut && { incomplete_details: { reason: 'max_output_tokens' } }),
      output,
      usage: usageOf(answer),
      ...(answer.images.length > 0 && imagesOf(answer.images)),
      ...timingsOf(answer),
    }
  }

  #fields(status: string) {
    const { instructions, max_output_tokens: most, temperature, top_p: topP, text } = this.#request
    const { sampling } = this.#service.model.info
    return {
      id: this.#id,
      object: 'response',
      created_at: this.#created,
      status,
      error: null,
      incomplete_details: null,
      instructions: instructions ?? null,
      max_output_tokens: most ?? null,
      model: this.#service.name,
      parallel_tool_calls: this.#request.parallel_tool_calls ?? true,
      previous_response_id: null,
      store: false,
      temperature: temperature ?? sampling.temperature,
      top_p: topP ?? sampling.topP,
      text: { format: text?.format ?? { type: 'text' } },
      tool_choice: this.#request.tool_choice ?? 'auto',
      tools: (this.#request.tools ?? []).map((tool) => ({
        type: 'function',
        ...tool.function,
        strict: false,
      })),
      truncation: 'disabled',
      metadata: {},
    }
  }
}

/** The answer as numbered events. */
async function* frames(
  head: Head,
  parts: AsyncIterable<StreamPart>,
): AsyncGenerator<string, void, undefined> {
  let number = 0
  const frame = (event: ServerEvent) => namedFrame({ ...event, sequence_number: number++ })
  const answer = emptyAnswer()
  const output = new OutputEvents()
  let begun = false
  try {
    for await (const part of parts) {
      addPart(answer, part)
      if (!begun) {
        yield frame({ type: 'response.created', response: head.begun() })
        yield frame({ type: 'response.in_progress', response: head.begun() })
      }
      begun = true
      for (const event of output.add(part)) yield frame(event)
    }
  } catch (error) {
    if (!begun) throw error
    const { code, message } = failureOf(error)
    const response = { ...head.begun(), status: 'failed', error: { code: code ?? 'server_error', message } }
    yield frame({ type: 'response.failed', response })
    return
  }
  for (const event of output.end()) yield frame(event)
  const response = head.response(answer, output.items)
  const type = response.status === 'completed' ? 'response.completed' : 'response.incomplete'
  yield frame({ type, response })
}

function usageOf({ usage, reasoningTokens }: Answer) {
  const { promptTokens, cachedTokens, completionTokens } = usage
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  }
}
