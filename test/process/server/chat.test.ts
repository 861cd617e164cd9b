/** /v1/chat/completions of a running server, asked by OpenAI's own client. */
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import type {
  ChatCompletionChunk,
  ChatCompletionContentPart,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions'
import { z } from 'zod'
import { dataUrl, post, startServing } from './serving'
import type { Serving } from './serving'

let server: Serving
let client: OpenAI
beforeAll(async () => {
  server = await startServing(['--model-name', 'tiny', '--model-name', 'gpt-4o'])
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => server.stop())

const question: ChatCompletionMessageParam[] = [{ role: 'user', content: 'Say something.' }]
const short = { model: 'tiny', temperature: 0, max_completion_tokens: 8 } as const

/** A picture and how it is to be sized, as Qwen's own services take it. */
function picture(name: string, more: object = {}): ChatCompletionContentPart {
  return { type: 'image_url', image_url: { url: dataUrl(name) }, ...more }
}

function ask(request: Partial<ChatCompletionCreateParamsNonStreaming> = {}) {
  return client.chat.completions.create({ ...short, messages: question, ...request })
}

async function chunksOf(stream: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

describe('an answer', () => {
  test('is whole, or streamed: the same text, usage and end', async () => {
    const whole = await ask()
    const [choice] = whole.choices
    const chunks = await chunksOf(
      await client.chat.completions.create({
        ...short,
        messages: question,
        stream: true,
        stream_options: { include_usage: true },
      }),
    )

    expect(whole).toMatchObject({ object: 'chat.completion', model: 'tiny', choices: [{ index: 0 }] })
    expect(choice?.message).toMatchObject({ role: 'assistant', content: expect.stringMatching(/./) })
    expect(whole.usage).toMatchObject({
      completion_tokens: 8,
      total_tokens: (whole.usage?.prompt_tokens ?? 0) + 8,
    })
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' })
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    expect(text).toBe(choice?.message.content)
    const ends = chunks.flatMap(({ choices }) => choices.map((each) => each.finish_reason)).filter(Boolean)
    expect(ends).toEqual([choice?.finish_reason])
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 8 } })
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
  })

  test("goes through the client's own stream helper", async () => {
    const stream = client.chat.completions.stream({ ...short, messages: question })
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]?.message.content).toBe((await ask()).choices[0]?.message.content)
  })

  test('follows seed, stop and limits', async () => {
    const sampled = { temperature: 1, seed: 7, max_completion_tokens: 12 }
    const [first, second] = [await ask(sampled), await ask(sampled)]
    expect(second.choices[0]?.message.content).toBe(first.choices[0]?.message.content)

    const text = first.choices[0]?.message.content ?? ''
    const stop = text.slice(3, 5)
    const stopped = await ask({ ...sampled, stop: [stop] })
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: text.slice(0, text.indexOf(stop)) },
    })
    const limited = await ask({ max_completion_tokens: null, max_tokens: 3 })
    expect(limited.usage?.completion_tokens).toBe(3)
    expect(limited.choices[0]?.finish_reason).toBe('length')
  })

  test('has log-probabilities, with alternatives', async () => {
    const { choices } = await ask({ logprobs: true, top_logprobs: 3 })
    const content = choices[0]?.logprobs?.content ?? []
    expect(content).toHaveLength(8)
    for (const { token, logprob, bytes, top_logprobs: top } of content) {
      expect(top).toHaveLength(3)
      expect(top[0]?.logprob).toBe(logprob) // greedy
      expect(Buffer.from(bytes ?? []).toString()).toBe(token)
    }
  })

  test('the bytes of its tokens joined are the text, also where a token is a part of a character', async () => {
    const schema = { type: 'json_schema', json_schema: { name: 'dog', schema: { const: '🐕' } } } as const
    const { choices } = await ask({ response_format: schema, logprobs: true, max_completion_tokens: 20 })
    const content = choices[0]?.logprobs?.content ?? []
    expect(choices[0]).toMatchObject({ message: { content: '"🐕"' }, finish_reason: 'stop' })
    expect(Buffer.from(content.flatMap(({ bytes }) => bytes ?? [])).toString()).toBe('"🐕"')
    expect(content).toContainEqual(expect.objectContaining({ token: '\ufffd', bytes: [0xf0] }))
    expect(content.at(-1)).toMatchObject({ token: expect.stringMatching(/^<\|.*\|>$/), bytes: null }) // the end
  })
})

describe('several answers', () => {
  /** Nearly even chances among four: what runs beside an answer changes the last bits of its numbers, but no choice. */
  const even = { temperature: 100, top_k: 4, max_completion_tokens: 4 }
  const several = { ...short, ...even, messages: question, n: 3, seed: 5 }
  const textsOf = ({ choices }: { choices: Array<{ index: number; message: { content: string | null } }> }) =>
    choices.map(({ index, message }) => [index, message.content])

  test('are of seeds one after the other', async () => {
    const whole = await client.chat.completions.create(several)
    const alone = await Promise.all([5, 6, 7].map((seed) => ask({ ...even, seed })))
    expect(textsOf(whole)).toEqual(alone.map(({ choices }, index) => [index, choices[0]?.message.content]))
    expect(new Set(textsOf(whole).map(([, text]) => text)).size).toBe(3)
    expect(whole.usage).toMatchObject({
      prompt_tokens: alone[0]?.usage?.prompt_tokens,
      completion_tokens: alone.reduce((sum, { usage }) => sum + (usage?.completion_tokens ?? 0), 0),
    })
  })

  test('come together in a stream', async () => {
    const content = [picture('scene.png'), { type: 'text', text: 'And?' } as const]
    const request = { ...several, messages: [{ role: 'user', content }] } satisfies typeof several
    const whole = await client.chat.completions.create(request)
    const final = await client.chat.completions.stream(request).finalChatCompletion()
    expect(textsOf(final)).toEqual(textsOf(whole))
    expect(final.choices.map((choice) => choice.finish_reason)).toEqual(
      whole.choices.map((choice) => choice.finish_reason),
    )
  })

  test('end together, if one of them cannot be', async () => {
    const request = { ...several, ignore_eos: true, stop: ['\u0000never'], max_completion_tokens: 2000 }
    const leave = new AbortController()
    const stream = await client.chat.completions.create(
      { ...request, stream: true },
      { signal: leave.signal },
    )
    for await (const _ of stream) break
    const running = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text()
      return Number(/^qwenvl_answers_running (\d+)$/m.exec(text)?.[1])
    }
    while ((await running()) > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })
})

test('logit_bias makes a token always, or never', async () => {
  const { body } = await post(`${server.url}/tokenize`, { content: 'dog' })
  const [dog = 0] = body['tokens'] as number[]
  const { body: detokenized } = await post(`${server.url}/detokenize`, { tokens: [dog] })
  const only = await ask({ logit_bias: { [dog]: 100 }, max_completion_tokens: 3 })
  expect(only.choices[0]?.message.content).toBe(String(detokenized['content']).repeat(3))

  const first = async (bias = {}) => {
    const { choices } = await ask({ logprobs: true, logit_bias: bias, max_completion_tokens: 1 })
    return choices[0]?.logprobs?.content?.[0]?.token ?? ''
  }
  const likeliest = await first()
  const ids = (await post(`${server.url}/tokenize`, { content: likeliest })).body['tokens'] as number[]
  expect(await first(Object.fromEntries(ids.map((id) => [id, -100])))).not.toBe(likeliest)
})

test('an answer is not cut inside a character', async () => {
  const grammar = {
    type: 'json_schema',
    json_schema: { name: 'x', schema: { const: '漢字漢字漢字' } },
  } as const
  for (let most = 1; most < 12; most++) {
    const request = { response_format: grammar, max_completion_tokens: most }
    const { choices } = await ask(request)
    expect('"漢字漢字漢字"'.startsWith(choices[0]?.message.content ?? '?')).toBe(true)
    const stream = client.chat.completions.stream({ ...short, messages: question, ...request })
    stream.on('error', () => undefined) // the client's parser: this JSON is cut off
    const text = (await chunksOf(stream).catch(() => [])).map(
      ({ choices: [one] }) => one?.delta.content ?? '',
    )
    expect(text.join('')).toBe(choices[0]?.message.content)
  }
})

describe('pictures', () => {
  const tokensOf = async (...parts: ChatCompletionContentPart[]) =>
    (await ask({ messages: [{ role: 'user', content: parts }], max_completion_tokens: 1 })).usage
      ?.prompt_tokens ?? 0

  test('are seen, in their size or in the size that is asked for', async () => {
    const text = { type: 'text', text: 'What is this?' } as const
    const [none, usual] = [await tokensOf(text), await tokensOf(picture('scene.png'), text)]
    const large = await tokensOf(picture('scene.png', { min_pixels: 200_000 }), text)
    const small = await tokensOf(picture('scene.png', { min_pixels: 1024, max_pixels: 4096 }), text)
    const exact = await tokensOf(picture('scene.png', { resized_height: 64, resized_width: 96 }), text)
    expect(usual).toBeGreaterThan(none)
    expect(large).toBeGreaterThan(usual)
    expect(small).toBeLessThan(usual)
    expect(exact - none).toBe(2 * 3 + 2) // 32 pixels a side for a token; its two ends
  })

  test('are told of: their sizes, and the times', async () => {
    const content = [picture('scene.png'), { type: 'text', text: 'And?' } as const]
    const answer = await ask({ messages: [{ role: 'user', content }] })
    expect(answer).toMatchObject({
      images: [{ original: { width: 211, height: 158 }, processed: { width: 320, height: 224 }, tokens: 70 }],
      timings: { prefill_ms: expect.any(Number), generate_ms: expect.any(Number) },
    })
  })

  test('of a tool are seen too', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } } as const
    const messages = (content: unknown) =>
      [
        ...question,
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content },
      ] as ChatCompletionMessageParam[]
    const without = await ask({ messages: messages('a photo') })
    const seen = await ask({ messages: messages([picture('scene.png')]) })
    expect(seen.usage?.prompt_tokens).toBeGreaterThan((without.usage?.prompt_tokens ?? 0) + 60)
  })
})

describe('form', () => {
  const Colour = z.object({ colour: z.enum(['red', 'blue']), size: z.literal(3) })

  test('json_schema holds the answer to it', async () => {
    const response_format = zodResponseFormat(Colour, 'colour')
    const parsed = await client.chat.completions.parse({
      ...short,
      messages: question,
      max_completion_tokens: 100,
      response_format,
    })
    expect(Colour.parse(parsed.choices[0]?.message.parsed)).toEqual(parsed.choices[0]?.message.parsed)

    const cut = await ask({ response_format, max_completion_tokens: 3 })
    expect(cut.choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: expect.any(String) },
    })
  })

  test('tools are called, whole and streamed', async () => {
    const request = {
      ...short,
      messages: question,
      max_completion_tokens: 200,
      tools: [
        {
          type: 'function',
          function: { name: 'paint', description: 'Paints.', parameters: z.toJSONSchema(Colour) },
        },
      ],
      tool_choice: { type: 'function', function: { name: 'paint' } },
    } satisfies ChatCompletionCreateParamsNonStreaming
    const [choice] = (await client.chat.completions.create(request)).choices
    expect(choice?.finish_reason).toBe('tool_calls')
    const calls = choice?.message.tool_calls ?? []
    expect(calls).toMatchObject([{ type: 'function', id: expect.any(String), function: { name: 'paint' } }])
    const given = calls[0]?.type === 'function' ? calls[0].function.arguments : ''
    Colour.parse(JSON.parse(given))

    const final = await client.chat.completions.stream(request).finalChatCompletion()
    expect(final.choices[0]?.message.tool_calls).toMatchObject([
      { function: { name: 'paint', arguments: given } },
    ])
  })
})

describe('GET /v1/models', () => {
  test('tells the names, by each of which the model is asked', async () => {
    const names: string[] = []
    for await (const { id } of client.models.list()) names.push(id)
    expect(names).toEqual(['tiny', 'gpt-4o'])
    expect(await client.models.retrieve('gpt-4o')).toMatchObject({ generation: 'qwen3vl', vision: true })
    await expect(ask({ model: 'gpt-4o' })).resolves.toMatchObject({ model: 'tiny' })
  })
})

describe('errors', () => {
  test.each([
    ['an unknown model', { model: 'nobody' }, 404, 'model_not_found', 'model'],
    ['an unknown field', { foo: 1 }, 400, 'unknown_parameter', 'foo'],
    ['nothing asked', { messages: undefined }, 400, 'missing_required_parameter', 'messages'],
    ['no messages', { messages: [] }, 400, 'invalid_value', 'messages'],
    ['a wrong role', { messages: [{ role: 'x', content: 'a' }] }, 400, 'invalid_value', 'messages[0].role'],
    ['a wrong number', { temperature: 'warm' }, 400, 'invalid_value', 'temperature'],
    ['too many answers', { n: 1000 }, 400, 'invalid_value', 'n'],
    ['a bias of no token', { logit_bias: { a: 1 } }, 400, 'invalid_value', 'logit_bias'],
    ['a bias of an unknown token', { logit_bias: { 999999: 1 } }, 400, 'invalid_value', null],
    ['an unknown adapter', { lora: [{ id: 0 }] }, 400, 'invalid_value', 'lora[0].id'],
    ['a path', withImage('/etc/hostname'), 400, 'invalid_value', 'messages[0].content[0].image_url.url'],
    [
      'a file',
      withImage('file:///etc/hostname'),
      400,
      'file_refused',
      'messages[0].content[0].image_url.url',
    ],
    ['no picture', withImage('data:text/plain,hello'), 400, 'image_corrupt', null],
    ['a private address', withImage('http://127.0.0.1:1/a.png'), 400, 'image_address_refused', null],
    [
      'too long a prompt',
      { messages: [{ role: 'user', content: 'word '.repeat(20_000) }] },
      400,
      'context_length_exceeded',
      null,
    ],
  ])('%s', async (_, request, status, code, param) => {
    for (const stream of [false, true]) {
      const asked = client.chat.completions.create({
        ...short,
        messages: question,
        ...request,
        stream,
      } as never)
      await expect(asked).rejects.toMatchObject({ status, code, param, type: 'invalid_request_error' })
    }
  })

  function withImage(url: string) {
    return { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] }
  }
})
