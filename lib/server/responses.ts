/** POST /v1/responses, as OpenAI's API has it. Answers are not kept: each request brings its conversation. */
import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { GenerateOptions, QwenVL, StreamPart, ToolChoice } from '../index'
import { addPart, emptyAnswer, gather, mediaOf, timingsOf, withOneCall } from './answer'
import type { Answer } from './answer'
import { eventStream, namedFrame } from './events'
import type { ServerEvent } from './events'
import { failureOf } from './failure'
import type { Failure } from './failure'
import { inputItems, messagesOf } from './items'
import { namedLogprobs } from './logprobs'
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
  whole,
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

const conversation = {
  input: inputItems,
  instructions: given.text,
  tools: z.array(toolSchema, { error: 'an array of tools' }).optional(),
  tool_choice: choiceSchema.optional(),
  parallel_tool_calls: given.flag,
  text: z.object({ format: formatSchema.optional() }, { error: 'an object with a format' }).optional(),
  reasoning: z.object({ effort: z.string().nullish() }, { error: 'an object with effort' }).optional(),
  ...unsupported('previous_response_id', 'conversation'),
  ...ignored('truncation'),
}
const schema = z.strictObject({
  ...sampling,
  ...conversation,
  max_output_tokens: given.count,
  stream: given.flag,
  include: z.array(z.string(), { error: 'an array of strings' }).optional(),
  top_logprobs: whole(0, 20),
  ...unsupported('prompt', 'background', 'max_tool_calls'),
  ...ignored('store', 'metadata', 'user', 'service_tier', 'safety_identifier'),
  ...ignored('prompt_cache_key', 'prompt_cache_retention', 'stream_options', 'moderation'),
})
type ResponseRequest = z.infer<typeof schema>
const countSchema = z.strictObject({ model: given.text, ...conversation, ...ignored('personality') })

export function addResponses(app: Hono, service: Service): void {
  app.post('/v1/responses', async (c) => {
    const request = await service.readBody(c, schema)
    service.checkName(request.model)
    const messages = await messagesOf(request.input, request.instructions, service.gate())
    const { work, parts: all } = service.answer(c, messages, optionsOf(service.model, request))
    const parts = request.parallel_tool_calls === false ? withOneCall(all) : all
    const head = new Head(service, request)
    if (request.stream) return eventStream(frames(service.model, head, parts), form, work)
    try {
      const answer = await gather(parts)
      return c.json(head.response(answer, outputOf(answer, namedLogprobs(service.model, answer.logprobs))))
    } finally {
      work.end()
    }
  })
  app.post('/v1/responses/input_tokens', async (c) => {
    const { model, input, instructions, tools } = await service.readBody(c, countSchema)
    service.checkName(model)
    const messages = await messagesOf(input, instructions, service.gate())
    const tokens = await service.during(c, (signal) =>
      service.model.countTokens(messages, { ...(tools && { tools }), signal }),
    )
    return c.json({ object: 'response.input_tokens', input_tokens: tokens })
  })
}

const form = {
  ping: ': ping\n\n',
  failure: ({ code, message, param }: Failure) => namedFrame({ type: 'error', code, message, param }),
}

function optionsOf(model: QwenVL, request: ResponseRequest): GenerateOptions {
  const { tools, tool_choice: choice, text, max_output_tokens: maxTokens } = request
  const toolChoice: ToolChoice | undefined =
    choice === undefined || typeof choice === 'string' ? choice : { name: choice.name }
  const format = text?.format
  return {
    ...samplingOptions(model, request),
    ...(['none', 'minimal'].includes(request.reasoning?.effort ?? '') && { thinkingBudget: 0 }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(tools && { tools }),
    ...(toolChoice && { toolChoice }),
    ...(format?.type === 'json_object' && { schema: { type: 'object' } }),
    ...(format?.type === 'json_schema' && { schema: format.schema }),
    ...(wantsLogprobs(request) && { logprobs: request.top_logprobs ?? true }),
  }
}

function wantsLogprobs({ include = [], top_logprobs: top }: ResponseRequest): boolean {
  return top !== undefined || include.includes('message.output_text.logprobs')
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
      ...mediaOf(answer),
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
      top_logprobs: this.#request.top_logprobs ?? 0,
      truncation: 'disabled',
      metadata: {},
    }
  }
}

/** The answer as numbered events. */
async function* frames(
  model: QwenVL,
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
      const logprobs = part.type === 'text' ? namedLogprobs(model, part.logprobs ?? []) : []
      for (const event of output.add(part, logprobs)) yield frame(event)
    }
  } catch (error) {
    if (!begun) throw error
    const { code, message } = failureOf(error)
    const response = { ...head.begun(), status: 'failed', error: { code: code ?? 'server_error', message } }
    yield frame({ type: 'response.failed', response })
    return
  }
  for (const event of output.end(answer)) yield frame(event)
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
