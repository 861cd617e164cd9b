/** POST /v1/chat/completions, as OpenAI's API has it. */
import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { z } from 'zod'
import type { FinishReason, GenerateOptions, QwenVL, TokenLogprob, ToolChoice } from '../index'
import { addPart, emptyAnswer, gather, mediaOf, timingsOf, together, withOneCall } from './answer'
import type { Answer, PartOf } from './answer'
import { messageList, readMessages } from './conversation'
import { dataFrame, eventStream } from './events'
import { openaiError } from './failure'
import type { Failure } from './failure'
import { namedLogprobs } from './logprobs'
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
  whole,
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

const biased = 'a number from -100 to 100'
const biases = `an object of token ids, each with ${biased}`

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
  top_logprobs: whole(0, 20),
  logit_bias: z
    .record(
      z.string(),
      z.number({ error: biased }).min(-100, { error: biased }).max(100, { error: biased }),
      {
        error: biases,
      },
    )
    .refine((given) => Object.keys(given).every((id) => /^\d{1,9}$/.test(id)), { error: biases })
    .optional(),
  n: whole(1, 16),
  reasoning_effort: z.string({ error: 'a string' }).optional(),
  ...unsupported('audio', 'functions', 'function_call', 'web_search_options'),
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
    const options = optionsOf(service.model, request)
    const all = Array.from({ length: request.n ?? 1 }, (_, index) => ofChoice(options, index))
    const { work, answers } = service.answers(c, messages, all)
    const choices = request.parallel_tool_calls === false ? answers.map(withOneCall) : answers
    const head = new Head(service, request)
    if (request.stream) {
      const usage = request.stream_options?.include_usage ?? false
      return eventStream(frames(head, together(choices), usage), form, work)
    }
    try {
      return c.json(head.completion(await Promise.all(choices.map(gather))))
    } finally {
      work.end()
    }
  })
}

const form = { ping: ': ping\n\n', failure: (failure: Failure) => dataFrame(openaiError(failure)) }

/** Of several answers each has a seed of its own. */
function ofChoice(options: GenerateOptions, index: number): GenerateOptions {
  const { seed } = options
  return seed === undefined ? options : { ...options, seed: (seed + index) % 2 ** 32 }
}

function optionsOf(model: QwenVL, request: ChatRequest): GenerateOptions {
  const {
    stop,
    tools,
    response_format: format,
    logprobs,
    top_logprobs: top,
    reasoning_effort: effort,
    logit_bias: logitBias,
  } = request
  const maxTokens = request.max_completion_tokens ?? request.max_tokens
  return {
    ...samplingOptions(model, request),
    ...(effort !== undefined && ['none', 'minimal'].includes(effort) && { thinkingBudget: 0 }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(stop !== undefined && { stop }),
    ...(logitBias && { logitBias }),
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

  completion(answers: readonly Answer[]) {
    return {
      ...this.#fields('chat.completion'),
      choices: answers.map((answer, index) => ({
        index,
        message: messageOf(answer),
        logprobs: this.#logprobsOf(answer.logprobs),
        finish_reason: finishReasons[answer.finishReason],
      })),
      usage: usageOf(answers),
      ...(answers[0] && extrasOf(answers[0])),
    }
  }

  chunk(
    index: number,
    delta: object,
    logprobs: readonly TokenLogprob[] = [],
    finishReason: FinishReason | null = null,
  ) {
    return {
      ...this.#fields('chat.completion.chunk'),
      choices: [
        {
          index,
          delta,
          logprobs: this.#logprobsOf(logprobs),
          finish_reason: finishReason && finishReasons[finishReason],
        },
      ],
    }
  }

  usage(answers: readonly Answer[]) {
    return { ...this.#fields('chat.completion.chunk'), choices: [], usage: usageOf(answers) }
  }

  #fields(object: string) {
    return { id: this.#id, object, created: this.#created, model: this.#service.name }
  }

  #logprobsOf(entries: readonly TokenLogprob[]) {
    if (!this.#logprobs) return null
    return { content: namedLogprobs(this.#service.model, entries), refusal: null }
  }
}

/** The answers as events. The first chunk of each tells of pictures and videos too, the last one of the times. */
async function* frames(
  head: Head,
  parts: AsyncIterable<PartOf>,
  includeUsage: boolean,
): AsyncGenerator<string, void, undefined> {
  const usage = includeUsage ? { usage: null } : {}
  const answers: Answer[] = []
  const begun = new Set<number>()
  for await (const { index, part } of parts) {
    const answer = (answers[index] ??= emptyAnswer())
    const frame = (...chunk: Parameters<Head['chunk']>) => dataFrame({ ...head.chunk(...chunk), ...usage })
    const isNewCall = part.type === 'tool-call' && answer.calls[part.index] === undefined
    addPart(answer, part)
    if (part.type === 'image' || part.type === 'video') continue
    if (!begun.has(index)) {
      begun.add(index)
      const first = head.chunk(index, { role: 'assistant', content: '' })
      yield dataFrame({ ...first, ...usage, ...mediaOf(answer) })
    }
    if (part.type === 'text' && (part.text !== '' || part.logprobs))
      yield frame(index, { content: part.text }, part.logprobs)
    if (part.type === 'reasoning' && part.text !== '') yield frame(index, { reasoning_content: part.text })
    if (part.type === 'tool-call' && (isNewCall || part.delta !== '')) {
      const { index: place, id, name, delta } = part
      const call = isNewCall
        ? { index: place, id, type: 'function', function: { name, arguments: delta } }
        : { index: place, function: { arguments: delta } }
      yield frame(index, { tool_calls: [call] })
    }
    if (part.type === 'finish') {
      const last = head.chunk(index, {}, [], part.finishReason)
      yield dataFrame({ ...last, ...usage, ...timingsOf(answer) })
    }
  }
  if (includeUsage) yield dataFrame(head.usage(answers))
  yield 'data: [DONE]\n\n'
}

function messageOf({ text, reasoning, calls }: Answer) {
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls.map(callOf) }),
  }
}

function callOf({ id, name, arguments: given }: Answer['calls'][number]) {
  return { id, type: 'function', function: { name, arguments: given } }
}

/** Several answers have one prompt. */
function usageOf(answers: readonly Answer[]) {
  const sum = (count: (answer: Answer) => number) =>
    answers.reduce((total, answer) => total + count(answer), 0)
  const { promptTokens = 0, cachedTokens = 0 } = answers[0]?.usage ?? {}
  const completionTokens = sum(({ usage }) => usage.completionTokens)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: sum(({ reasoningTokens }) => reasoningTokens) },
  }
}

/** What OpenAI's objects have no words for. */
function extrasOf(answer: Answer) {
  return { ...mediaOf(answer), ...timingsOf(answer) }
}
