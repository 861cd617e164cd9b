/** Thoughts and videos over HTTP, by the clients of the APIs' makers: the tiny Qwen3.5, which thinks. */
import { readFileSync } from 'node:fs'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { fixture } from '../program'
import { dataUrl, post, startServing } from './serving'
import type { Serving } from './serving'

const env = {
  QWENVL_MODEL: fixture('qwen3.5/model-f16.gguf'),
  QWENVL_MMPROJ: fixture('qwen3.5/mmproj-f16.gguf'),
}
let server: Serving
let openai: OpenAI
let anthropic: Anthropic
beforeAll(async () => {
  server = await startServing(['--model-name', 'tiny', '--context-size', '2048'], env)
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => server.stop())

const schema = {
  type: 'object',
  properties: { n: { enum: ['a', 'b'] } },
  required: ['n'],
  additionalProperties: false,
}
/** Random weights think without an end. */
const loud = { model: 'tiny', temperature: 1.5, top_k: 0, top_p: 1, seed: 3, thinking_budget: 8 }
const outOfTime = /Considering the limited time by the user, .* based on the thinking directly now\.$/
const question = [{ role: 'user' as const, content: 'A or b?' }]

describe('a thought', () => {
  const request = {
    ...loud,
    messages: question,
    max_completion_tokens: 400,
    response_format: { type: 'json_schema' as const, json_schema: { name: 'x', schema } },
  }

  test('is `reasoning_content` of the chat API, before the answer', async () => {
    const { choices, usage } = await openai.chat.completions.create(request)
    const { content, reasoning_content: thought } = choices[0]?.message as unknown as Record<string, string>
    expect(thought).toMatch(outOfTime)
    expect(schema.properties.n.enum).toContain((JSON.parse(content ?? '') as { n: string }).n)
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(8)

    const streamed = { content: '', reasoning_content: '' }
    for await (const { choices: each } of await openai.chat.completions.create({
      ...request,
      stream: true,
    })) {
      const delta = (each[0]?.delta ?? {}) as Partial<typeof streamed>
      if (delta.reasoning_content) expect(streamed.content).toBe('')
      streamed.content += delta.content ?? ''
      streamed.reasoning_content += delta.reasoning_content ?? ''
    }
    expect(streamed).toEqual({ content, reasoning_content: thought })
  })

  test('is sent back with the answer, and left out where none is asked for', async () => {
    const before = { role: 'assistant', content: 'A.', reasoning_content: 'Hm.' } as const
    const messages = [...question, before, { role: 'user', content: 'Sure?' } as const]
    const none = await openai.chat.completions.create({ ...request, messages, reasoning_effort: 'none' })
    expect(none.choices[0]?.message).not.toHaveProperty('reasoning_content')
    expect(none.usage?.completion_tokens_details?.reasoning_tokens).toBe(0)
  })

  test('is an item of the Responses API', async () => {
    const asked = {
      ...loud,
      input: 'A or b?',
      max_output_tokens: 400,
      text: { format: { type: 'json_schema' as const, name: 'x', schema } },
    }
    const whole = await openai.responses.create(asked)
    expect(whole.output).toMatchObject([
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: expect.stringMatching(outOfTime) }] },
      { type: 'message', content: [{ type: 'output_text', text: expect.stringContaining('"n"') }] },
    ])
    const types: string[] = []
    const stream = openai.responses.stream(asked)
    for await (const { type } of stream) if (types.at(-1) !== type) types.push(type)
    const item = (kind: string) => [
      'response.output_item.added',
      'response.content_part.added',
      `response.${kind}.delta`,
      `response.${kind}.done`,
      'response.content_part.done',
      'response.output_item.done',
    ]
    expect(types.slice(2, -1)).toEqual([...item('reasoning_text'), ...item('output_text')])
    expect((await stream.finalResponse()).output_text).toBe(whole.output_text)
    // All of it goes back as the input of the next turn.
    const next = await openai.responses.create({
      ...asked,
      input: [
        { role: 'user', content: 'A or b?' },
        ...(whole.output as OpenAI.Responses.ResponseInputItem[]),
        { role: 'user', content: 'Sure?' },
      ],
      reasoning: { effort: 'none' },
    })
    expect(next.output.map(({ type }) => type)).toEqual(['message'])
  })

  test('is a block of the Messages API, where `thinking` asks for it', async () => {
    const { thinking_budget: _, ...sampling } = loud
    const asked = {
      ...sampling,
      messages: question,
      max_tokens: 400,
      output_config: { format: { type: 'json_schema' as const, schema } },
    }
    const thinking = { type: 'enabled' as const, budget_tokens: 8 }
    const whole = await anthropic.messages.create({ ...asked, thinking })
    expect(whole.content).toMatchObject([
      { type: 'thinking', thinking: expect.stringMatching(outOfTime) },
      { type: 'text' },
    ])
    expect(whole.usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(8)
    const final = await anthropic.messages.stream({ ...asked, thinking }).finalMessage()
    expect(final.content).toMatchObject(whole.content.map(({ type }) => ({ type })))
    const plain = await anthropic.messages.create({
      ...asked,
      messages: [
        ...question,
        { role: 'assistant', content: whole.content },
        { role: 'user', content: 'Sure?' },
      ],
    })
    expect(plain.content.map(({ type }) => type)).toEqual(['text'])
  })
})

describe('a video', () => {
  const clip = `data:video/mp4;base64,${readFileSync(fixture('video/clip.mp4'), 'base64')}`
  const frames = [0, 1, 2, 3].map((index) => {
    const file = readFileSync(fixture(`video/frame-${index}.png`), 'base64')
    return `data:image/png;base64,${file}`
  })
  const asked = { model: 'tiny', temperature: 0, max_tokens: 2, reasoning_effort: 'none' } as const
  const show = (...content: object[]) =>
    openai.chat.completions.create({
      ...asked,
      messages: [{ role: 'user', content: [...content, { type: 'text', text: 'What happens?' }] }],
    } as never)
  const videosOf = (answer: object) =>
    (answer as { videos: Array<{ frames: number; tokens: number; times: number[] }> }).videos

  test('is taken as a data: URL, and told of', async () => {
    const [video] = videosOf(await show({ type: 'video_url', video_url: { url: clip } }))
    expect(video).toMatchObject({ frames: expect.any(Number), original: { width: 128, height: 96 } })
    const [fewer] = videosOf(await show({ type: 'video_url', video_url: clip, nframes: 4 }))
    expect(fewer?.frames).toBe(4)
    expect(fewer?.times).toHaveLength(2)
  })

  test('or as its frames, in the form of the READMEs; beside pictures', async () => {
    const answer = await show(
      { type: 'image_url', image_url: { url: dataUrl('scene.png') } },
      { type: 'video', video: frames, fps: 2 },
    )
    expect(videosOf(answer)).toMatchObject([{ frames: 4 }])
    expect(answer).toMatchObject({ images: [{ original: { width: 211, height: 158 } }] })
  })

  test('is told of in a stream and in the Responses API too', async () => {
    const content = [{ type: 'video_url', video_url: { url: clip } }]
    const messages = [
      { role: 'user', content: content as never },
    ] satisfies OpenAI.ChatCompletionMessageParam[]
    const stream = await openai.chat.completions.create({ ...asked, messages, stream: true })
    const told: object[] = []
    for await (const chunk of stream) if ('videos' in chunk) told.push(...videosOf(chunk))
    const answer = await openai.responses.create({
      model: 'tiny',
      max_output_tokens: 2,
      reasoning: { effort: 'none' },
      input: [{ role: 'user', content }],
    } as never)
    expect(told).toMatchObject(videosOf(answer).map(({ frames, tokens }) => ({ frames, tokens })))
    expect(told).toHaveLength(1)
  })

  test('that is none is an error of the request', async () => {
    for (const url of ['data:video/mp4;base64,AAAA', dataUrl('scene.png'), 'data:video/mp4;base64,'])
      await expect(show({ type: 'video_url', video_url: { url } })).rejects.toMatchObject({
        status: 400,
        code: expect.stringMatching(/^(video|image)_/),
      })
    await expect(show({ type: 'video_url', video_url: { url: '/etc/hostname' } })).rejects.toMatchObject({
      status: 400,
      param: 'messages[0].content[0].video_url.url',
    })
  })

  test('needs ffmpeg on the machine of the server, and says so', async () => {
    const without = await startServing([], { ...env, PATH: '' })
    const content = [{ type: 'video_url', video_url: { url: clip } }]
    const answer = await post(`${without.url}/v1/chat/completions`, { messages: [{ role: 'user', content }] })
    expect(answer).toMatchObject({ status: 501, body: { error: { code: 'ffmpeg_not_found' } } })
    await without.stop()
  })
})
