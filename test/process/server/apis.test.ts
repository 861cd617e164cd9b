/** The other APIs of a running server, asked by the clients of their makers. */
import Anthropic from '@anthropic-ai/sdk'
import type { MessageCreateParamsNonStreaming } from '@anthropic-ai/sdk/resources/messages'
import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { z } from 'zod'
import { dataUrl, post, startServing } from './serving'
import type { Serving } from './serving'

let server: Serving
let openai: OpenAI
let anthropic: Anthropic
beforeAll(async () => {
  server = await startServing(['--model-name', 'tiny'])
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => server.stop())

const Colour = z.object({ colour: z.enum(['red', 'blue']), size: z.literal(3) })
const [, scene = ''] = dataUrl('scene.png').split(',')

describe('/v1/messages', () => {
  const short = { model: 'tiny', max_tokens: 8, temperature: 0 } as const
  const messages = [{ role: 'user' as const, content: 'Say something.' }]
  const ask = (request: Partial<MessageCreateParamsNonStreaming> = {}) =>
    anthropic.messages.create({ ...short, messages, ...request })

  test('an answer is whole, or streamed: the same', async () => {
    const whole = await ask({ system: 'Be brief.' })
    expect(whole).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'tiny',
      content: [{ type: 'text', text: expect.stringMatching(/./) }],
      stop_reason: 'max_tokens',
      stop_sequence: null,
      usage: { input_tokens: expect.any(Number), output_tokens: 8 },
    })
    const stream = anthropic.messages.stream({ ...short, messages, system: 'Be brief.' })
    const final = await stream.finalMessage()
    expect({ ...final, id: '', usage: {} }).toMatchObject({ ...whole, id: '', usage: {} })
    expect(final.usage.output_tokens).toBe(8)
  })

  test('a stop sequence is named', async () => {
    const [block] = (await ask({ max_tokens: 12 })).content
    const text = block?.type === 'text' ? block.text : ''
    const stop = text.slice(3, 5)
    const stopped = await ask({ max_tokens: 12, stop_sequences: ['never', stop] })
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: stop })
  })

  test('pictures are seen, those of tool results too', async () => {
    const picture = {
      type: 'image',
      source: { type: 'base64', media_type: 'image/png', data: scene },
    } as const
    const tokens = async (content: (typeof messages)[0]['content'] | object[]) => {
      const counted = { model: 'tiny', messages: [{ role: 'user', content }] }
      return (await anthropic.messages.countTokens(counted as never)).input_tokens
    }
    const text = { type: 'text', text: 'What is this?' }
    expect((await tokens([picture, text])) - (await tokens([text]))).toBe(70 + 2)
    expect(await tokens([{ ...picture, max_pixels: 4096, min_pixels: 1024 }, text])).toBeLessThan(
      (await tokens([text])) + 10,
    )

    const called = await ask({
      max_tokens: 1,
      messages: [
        ...messages,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'look', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: [picture] }] },
      ],
    })
    expect(called.usage.input_tokens).toBeGreaterThan(70)
  })

  test('tools are called, whole and streamed', async () => {
    const request = {
      ...short,
      max_tokens: 200,
      messages,
      tools: [{ name: 'paint', description: 'Paints.', input_schema: z.toJSONSchema(Colour) as never }],
      tool_choice: { type: 'tool' as const, name: 'paint' },
    }
    const whole = await anthropic.messages.create(request)
    expect(whole).toMatchObject({ stop_reason: 'tool_use', content: [{ type: 'tool_use', name: 'paint' }] })
    const inputOf = ({ content }: Anthropic.Message) =>
      content.map((each) => (each.type === 'tool_use' ? each.input : each))
    Colour.parse(inputOf(whole)[0])
    const final = await anthropic.messages.stream(request).finalMessage()
    expect(inputOf(final)).toEqual(inputOf(whole))
  })

  test('errors have the form of the API', async () => {
    await expect(ask({ model: 'nobody' })).rejects.toBeInstanceOf(Anthropic.NotFoundError)
    const { status, body } = await post(`${server.url}/v1/messages`, { messages })
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'max_tokens: `max_tokens` is missing: it has to be a whole number from 1.',
        },
      },
    })
    const document = [{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a' } }]
    const refused = ask({ messages: [{ role: 'user', content: document as never }] })
    await expect(refused).rejects.toBeInstanceOf(Anthropic.BadRequestError)
  })
})

describe('/v1/responses', () => {
  const short = { model: 'tiny', max_output_tokens: 8, temperature: 0, input: 'Say something.' } as const

  test('an answer is whole, or streamed: the same', async () => {
    const whole = await openai.responses.create({ ...short, instructions: 'Be brief.' })
    expect(whole).toMatchObject({
      object: 'response',
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'message', status: 'incomplete' }],
      usage: { output_tokens: 8 },
    })
    expect(whole.output_text).not.toBe('')

    const events: ResponseStreamEvent[] = []
    const stream = openai.responses.stream({ ...short, instructions: 'Be brief.' })
    for await (const event of stream) events.push(event)
    const final = await stream.finalResponse()
    expect(final.output_text).toBe(whole.output_text)
    expect(final.output).toMatchObject([{ type: 'message', status: 'incomplete' }])
    expect(final.usage?.total_tokens).toBe(whole.usage?.total_tokens)
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index))
    expect(events.map(({ type }) => type).filter((type) => !type.endsWith('.delta'))).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ])
  })

  test('pictures, forms and tools', async () => {
    const seen = await openai.responses.create({
      ...short,
      input: [
        { role: 'user', content: [{ type: 'input_image', image_url: dataUrl('scene.png'), detail: 'auto' }] },
      ],
    })
    expect(seen.usage?.input_tokens).toBeGreaterThan(70)
    expect(seen).toMatchObject({ images: [{ tokens: 70 }] })

    const format = zodTextFormat(Colour, 'colour')
    const parsed = await openai.responses.parse({ ...short, max_output_tokens: 100, text: { format } })
    Colour.parse(parsed.output_parsed)

    const tool = {
      type: 'function',
      name: 'paint',
      parameters: z.toJSONSchema(Colour),
      strict: false,
    } as const
    const request = { ...short, max_output_tokens: 200, tools: [tool], tool_choice: 'required' as const }
    const called = await openai.responses.create(request)
    const [call] = called.output
    expect(call).toMatchObject({ type: 'function_call', name: 'paint', status: 'completed' })
    const streamed = await openai.responses.stream(request).finalResponse()
    expect(streamed.output).toMatchObject([{ type: 'function_call', name: 'paint' }])

    const next = await openai.responses.create({
      ...short,
      input: [
        { role: 'user', content: 'Paint.' },
        { type: 'function_call', call_id: 'c1', name: 'paint', arguments: '{"colour":"red","size":3}' },
        { type: 'function_call_output', call_id: 'c1', output: 'done' },
      ],
    })
    expect(next.output_text).not.toBe('')
  })

  test('log-probabilities are those of the text, whole and streamed', async () => {
    const request = {
      ...short,
      include: ['message.output_text.logprobs' as const],
      top_logprobs: 2,
      max_output_tokens: 12,
    }
    const logprobsOf = ({ output }: OpenAI.Responses.Response) =>
      output.flatMap((item) =>
        item.type === 'message'
          ? item.content.flatMap((part) => (part.type === 'output_text' ? (part.logprobs ?? []) : []))
          : [],
      )
    const whole = logprobsOf(await openai.responses.create(request))
    expect(whole).toHaveLength(12)
    for (const { token, logprob, bytes, top_logprobs: top } of whole) {
      expect(top).toHaveLength(2)
      expect(top[0]?.logprob).toBe(logprob) // greedy
      expect(Buffer.from(bytes ?? []).toString()).toBe(token)
    }
    const streamed: unknown[] = []
    const stream = openai.responses.stream(request)
    for await (const event of stream)
      if (event.type === 'response.output_text.delta') streamed.push(...event.logprobs)
    const closeTo = whole.map((entry) => ({ ...entry, logprob: expect.closeTo(entry.logprob, 2) }))
    expect(logprobsOf(await stream.finalResponse())).toMatchObject(
      closeTo.map(({ token, logprob }) => ({ token, logprob })),
    )
    expect(streamed).toMatchObject(
      closeTo.slice(0, streamed.length).map(({ token, logprob }) => ({ token, logprob })),
    )
    expect(streamed.length).toBeGreaterThan(6)
    const [without] = (await openai.responses.create(short)).output
    expect(without).toMatchObject({ content: [{ logprobs: [] }] })
  })

  test("the bytes of the text's tokens joined are the text, also where a token is a part of a character", async () => {
    const stream = openai.responses.stream({
      ...short,
      text: { format: { type: 'json_schema', name: 'dog', schema: { const: '🐕' } } },
      include: ['message.output_text.logprobs'],
      max_output_tokens: 20,
    })
    const bytes: number[] = []
    for await (const event of stream)
      if (event.type === 'response.output_text.done')
        for (const entry of event.logprobs) bytes.push(...((entry as { bytes?: number[] }).bytes ?? []))
    expect((await stream.finalResponse()).output_text).toBe('"🐕"')
    expect(Buffer.from(bytes).toString()).toBe('"🐕"')
  })

  test('tokens are counted before', async () => {
    const content = [{ type: 'input_image', image_url: dataUrl('scene.png'), detail: 'auto' } as const]
    const input = [{ role: 'user' as const, content }]
    const counted = await openai.responses.inputTokens.count({ model: 'tiny', input, instructions: 'Look.' })
    const { usage } = await openai.responses.create({ ...short, input, instructions: 'Look.' })
    expect(counted).toEqual({ object: 'response.input_tokens', input_tokens: usage?.input_tokens })
  })

  test('answers are not kept', async () => {
    const asked = openai.responses.create({ ...short, previous_response_id: 'resp_1' })
    await expect(asked).rejects.toMatchObject({ status: 400, param: 'previous_response_id' })
  })
})

describe('/v1/embeddings', () => {
  const url = dataUrl('scene.png')

  test('a picture is a vector of length 1, the same for the same picture', async () => {
    const { data, usage } = await openai.embeddings.create({
      model: 'tiny',
      input: [url, dataUrl('wide.png'), url],
    })
    const [one = [], other = [], again = []] = data.map(({ embedding }) => embedding)
    const likeness = (a: number[], b: number[]) =>
      a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
    expect(likeness(one, one)).toBeCloseTo(1, 5)
    expect(again).toEqual(one)
    expect(likeness(one, other)).toBeLessThan(0.9999)
    expect(usage.total_tokens).toBeGreaterThan(2 * 70)

    const floats = await openai.embeddings.create({ model: 'tiny', input: url, encoding_format: 'float' })
    expect(floats.data[0]?.embedding).toEqual(one)
  })

  test('or all its rows; a text is refused', async () => {
    const { body } = await post(`${server.url}/v1/embeddings`, {
      input: { image_url: { url } },
      pooling: 'none',
    })
    const [{ embedding }] = body['data'] as [{ embedding: number[][] }]
    expect(embedding).toHaveLength(70)
    await expect(openai.embeddings.create({ model: 'tiny', input: 'a dog' })).rejects.toMatchObject({
      status: 400,
      param: 'input[0]',
    })
  })
})

test("/v1/models also has the form of Anthropic's client", async () => {
  const page = await anthropic.models.list()
  expect(page.data).toMatchObject([{ type: 'model', id: 'tiny', display_name: 'tiny' }])
  expect(page.hasNextPage()).toBe(false)
  expect(Date.parse((await anthropic.models.retrieve('tiny')).created_at)).toBeGreaterThan(1.7e12)
})

test('/tokenize and /detokenize', async () => {
  const text = 'A dog, un chien, 一只狗. <|im_end|>'
  const { body } = await post(`${server.url}/tokenize`, { content: text })
  expect(body).toMatchObject({ count: (body['tokens'] as number[]).length, max_model_len: 4096 })
  expect(await post(`${server.url}/detokenize`, { tokens: body['tokens'] })).toMatchObject({
    body: { content: text },
  })

  const messages = [{ role: 'user', content: [{ type: 'image_url', image_url: dataUrl('scene.png') }] }]
  const counted = await post(`${server.url}/tokenize`, { messages })
  expect(counted.body['count']).toBeGreaterThan(70)
})

test('/metrics counts', async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  const value = (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1])
  expect(value('qwenvl_completion_tokens_total')).toBeGreaterThan(20)
  expect(value('qwenvl_requests_total{path="/v1/messages",status="404"}')).toBe(1)
  expect(value('qwenvl_images_total{source="encoder"}')).toBeGreaterThan(0)
  expect(value('qwenvl_requests_running')).toBe(0)
  expect(value('qwenvl_first_token_seconds_count')).toBeGreaterThan(5)
})
