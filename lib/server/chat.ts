/** POST /v1/chat/completions, as OpenAI's API has it. */
import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { FinishReason, GenerateOptions, StreamPart, TokenLogprob, ToolChoice } from '../index'
import { addPart, emptyAnswer, gather, imagesOf, timingsOf, withOneCall } from './answer'
import type { Answer } from './answer'
import { messageList, readMessages } from './conversation'
import { dataFrame, eventStream } from './events'
import { openaiError } from './failure'
import type { Failure } from './failure'
import type { Service } from './service'
import {
  answerFormat,
  choiceOfTool,
  given,
  ignored,
  jsonSchema,
  sampling,
  samplingOptions,
  toolList,
  unsupported,
} from './wire'

const choiceSchema = choiceOfTool(
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
)
const formatSchema = answerFormat({
  json_schema: z.object(
    { name: z.string({ error: 'a string' }).optional(), schema: jsonSchema },
    { error: 'an object with name and schema' },
  ),
})

const schema = z.strictObject({
  ...sampling,
  messages: messageList,
  max_tokens: given.count,
  max_completion_tokens: given.count,
  stop: given.texts,
  stream: given.flag,
  stream_options: z
    .object({ include_usage: given.flag }, { error: 'an object with include_usage' })
    .optional(),
  tools: toolList,
  tool_choice: choiceSchema.optional(),
  parallel_tool_calls: given.flag,
  response_format: formatSchema.optional(),
  logprobs: given.flag,
  top_logprobs: z
    .int({ error: 'a whole number from 0 to 20' })
    .min(0, { error: 'a whole number from 0 to 20' })
    .max(20, { error: 'a whole number from 0 to 20' })
    .optional(),
  n: z.literal(1, { error: '1: a request has one answer' }).optional(),
  reasoning_effort: z.string({ error: 'a string' }).optional(),
  ...unsupported('audio', 'functions', 'function_call', 'web_search_options'),
  logit_bias: z.record(z.string(), z.never(), { error: 'empty: it is not supported' }).optional(),
  modalities: z.array(z.literal('text'), { error: "['text']" }).optional(),
  ...ignored('metadata', 'moderation', 'prediction', 'prompt_cache_key', 'prompt_cache_options'),
  ...ignored('prompt_cache_retention', 'safety_identifier', 'service_tier', 'store', 'user', 'verbosity'),
})
type ChatRequest = z.infer<typeof schema>

export function addChat(app: Hono, service: Service): void {
  app.post('/v1/chat/completions', async (c) => {
    const request = await service.readBody(c, schema)
    service.checkName(request.model)
    const messages = await readMessages(request.messages, service.gate())
    const { work, parts: all } = service.answer(c, messages, optionsOf(request))
    const parts = request.parallel_tool_calls === false ? withOneCall(all) : all
    const head = new Head(service, request)
    if (request.stream)
      return eventStream(frames(head, parts, request.stream_options?.include_usage ?? false), form, work)
    try {
      return c.json(head.completion(await gather(parts)))
    } finally {
      work.end()
    }
  })
}

const form = { ping: ': ping\n\n', failure: (failure: Failure) => dataFrame(openaiError(failure)) }

function optionsOf(request: ChatRequest): GenerateOptions {
  const {
    stop,
    tools,
    response_format: format,
    logprobs,
    top_logprobs: top,
    reasoning_effort: effort,
  } = request
  const maxTokens = request.max_completion_tokens ?? request.max_tokens
  return {
    ...samplingOptions(request),
    ...(effort !== undefined && ['none', 'minimal'].includes(effort) && { thinkingBudget: 0 }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(stop !== undefined && { stop }),
    ...(tools !== undefined && { tools }),
    ...(request.tool_choice !== undefined && { toolChoice: choiceOf(request.tool_choice) }),
    ...(format?.type === 'json_object' && { schema: { type: 'object' } }),
    ...(format?.type === 'json_schema' && { schema: format.json_schema.schema }),
    ...(logprobs && { logprobs: top ?? true }),
  }
}

function choiceOf(choice: z.infer<typeof choiceSchema>): ToolChoice {
  return typeof choice === 'string' ? choice : { name: choice.function.name }
}

const finishReasons: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  'tool-calls': 'tool_calls',
  length: 'length',
  cancelled: 'stop',
}

/** What all objects of an answer begin with. */
class Head {
  readonly #service: Service
  readonly #logprobs: boolean
  readonly #id = `chatcmpl-${randomUUID()}`
  readonly #created = Math.floor(Date.now() / 1000)

  constructor(service: Service, { logprobs = false }: ChatRequest) {
    this.#service = service
    this.#logprobs = logprobs
  }

  completion(answer: Answer) {
    const { text, reasoning, calls, finishReason } = answer
    const message = {
      role: 'assistant',
      content: text === '' && calls.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(calls.length > 0 && { tool_calls: calls.map(callOf) }),
    }
    return {
      ...this.#fields('chat.completion'),
      choices: [
        {
          index: 0,
          message,
          logprobs: this.#logprobsOf(answer.logprobs),
          finish_reason: finishReasons[finishReason],
        },
      ],
      usage: usageOf(answer),
      ...extrasOf(answer),
    }
  }

  chunk(delta: object, logprobs: readonly TokenLogprob[] = [], finishReason: FinishReason | null = null) {
    return {
      ...this.#fields('chat.completion.chunk'),
      choices: [
        {
          index: 0,
          delta,
          logprobs: this.#logprobsOf(logprobs),
          finish_reason: finishReason && finishReasons[finishReason],
        },
      ],
    }
  }

  usage(answer: Answer) {
    return { ...this.#fields('chat.completion.chunk'), choices: [], usage: usageOf(answer) }
  }

  #fields(object: string) {
    return { id: this.#id, object, created: this.#created, model: this.#service.name }
  }

  #logprobsOf(entries: readonly TokenLogprob[]) {
    if (!this.#logprobs) return null
    const { model } = this.#service
    const named = ({ token, logprob }: { readonly token: number; readonly logprob: number }) => {
      const text = model.detokenize(Int32Array.of(token))
      // A piece of a character has no text of its own.
      return { token: text, logprob, bytes: text.includes('\ufffd') ? null : [...Buffer.from(text)] }
    }
    return {
      content: entries.map((entry) => ({ ...named(entry), top_logprobs: entry.top.map(named) })),
      refusal: null,
    }
  }
}

/** The answer as events. The first chunk tells of the pictures too, the last one of the times. */
async function* frames(
  head: Head,
  parts: AsyncIterable<StreamPart>,
  includeUsage: boolean,
): AsyncGenerator<string, void, undefined> {
  const answer = emptyAnswer()
  const usage = includeUsage ? { usage: null } : {}
  const frame = (...chunk: Parameters<Head['chunk']>) => dataFrame({ ...head.chunk(...chunk), ...usage })
  let begun = false
  for await (const part of parts) {
    const isNewCall = part.type === 'tool-call' && answer.calls[part.index] === undefined
    addPart(answer, part)
    if (part.type === 'image' || part.type === 'video') continue
    if (!begun) {
      begun = true
      const first = head.chunk({ role: 'assistant', content: '' })
      yield dataFrame({ ...first, ...usage, ...(answer.images.length > 0 && imagesOf(answer.images)) })
    }
    if (part.type === 'text' && (part.text !== '' || part.logprobs))
      yield frame({ content: part.text }, part.logprobs)
    if (part.type === 'reasoning' && part.text !== '') yield frame({ reasoning_content: part.text })
    if (part.type === 'tool-call' && (isNewCall || part.delta !== '')) {
      const { index, id, name, delta } = part
      const call = isNewCall
        ? { index, id, type: 'function', function: { name, arguments: delta } }
        : { index, function: { arguments: delta } }
      yield frame({ tool_calls: [call] })
    }
  }
  const last = head.chunk({}, [], answer.finishReason)
  yield dataFrame({ ...last, ...usage, ...(answer.timings && timingsOf(answer)) })
  if (includeUsage) yield dataFrame(head.usage(answer))
  yield 'data: [DONE]\n\n'
}

function callOf({ id, name, arguments: given }: Answer['calls'][number]) {
  return { id, type: 'function', function: { name, arguments: given } }
}

function usageOf({ usage, reasoningTokens }: Answer) {
  const { promptTokens, cachedTokens, completionTokens } = usage
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  }
}

/** What OpenAI's objects have no words for. */
function extrasOf(answer: Answer) {
  return { ...(answer.images.length > 0 && imagesOf(answer.images)), ...timingsOf(answer) }
}
