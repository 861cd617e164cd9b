/** The AI SDK's own functions on a model of this package. Its weights are random: what it says is enforced, or compared. */
/* eslint-disable @typescript-eslint/no-deprecated -- generateObject is on its way out in `ai` 6, and what most programs call */
import { readFileSync } from 'node:fs'
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai'
import { z } from 'zod'
import { user } from '../../lib'
import type { QwenVL } from '../../lib'
import { qwenvl } from '../../lib/adapters/aisdk'
import { picture } from '../support/fixtures'
import { loadFixture } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })
  vl = await loadFixture({ id: 'qwen3vl', contextSize: 2048 })
})
afterAll(() => vl.dispose())

const greedy = { temperature: 0, maxOutputTokens: 12 }
const loud = { temperature: 1.5, topK: 0, topP: 1, seed: 3, maxOutputTokens: 400 }
const scene = readFileSync(picture('scene.png'))
const providerOptions = { qwenvl: { maxPixels: 32 * 32 * 16 } }
const asked = [
  {
    role: 'user' as const,
    content: [
      { type: 'image' as const, image: scene, providerOptions },
      { type: 'text' as const, text: 'What is this?' },
    ],
  },
]
/** The same question to the library. */
const own = () =>
  vl.chat([user({ type: 'image', image: scene, maxPixels: 32 * 32 * 16 }, 'What is this?')], {
    temperature: 0,
    maxTokens: 12,
  })

test('generateText sees pictures, and tells usage, timings and sizes', async () => {
  const { text, usage, finishReason, providerMetadata, warnings } = await generateText({
    model: qwenvl(vl),
    messages: asked,
    ...greedy,
  })
  const expected = await own()
  expect(text).toBe(expected.text)
  expect(finishReason).toBe(expected.finishReason)
  expect(usage).toMatchObject({
    inputTokens: expected.usage.promptTokens,
    outputTokens: expected.usage.completionTokens,
  })
  expect(providerMetadata?.['qwenvl']).toMatchObject({
    timings: { generateMs: expect.any(Number) },
    images: [{ processed: expected.images[0]?.processed, original: expected.images[0]?.original }],
  })
  expect(warnings).toEqual([])
})

test('streamText gives the same text in pieces', async () => {
  const { textStream, finishReason, usage } = streamText({ model: qwenvl(vl), messages: asked, ...greedy })
  const pieces: string[] = []
  for await (const piece of textStream) pieces.push(piece)
  const expected = await own()
  expect(pieces.length).toBeGreaterThan(1)
  expect(pieces.join('')).toBe(expected.text)
  expect(await finishReason).toBe(expected.finishReason)
  expect((await usage).outputTokens).toBe(expected.usage.completionTokens)
})

test('system messages, several turns and data URLs reach the model', async () => {
  const url = `data:image/png;base64,${scene.toString('base64')}`
  const { usage } = await generateText({
    model: qwenvl(vl),
    system: 'Be brief.',
    messages: [
      { role: 'user', content: [{ type: 'image', image: url, providerOptions }] },
      { role: 'assistant', content: 'A scene.' },
      { role: 'user', content: 'And now?' },
    ],
    ...greedy,
  })
  const expected = await vl.countTokens([
    { role: 'system', content: 'Be brief.' },
    user({ type: 'image', image: scene, maxPixels: 32 * 32 * 16 }),
    { role: 'assistant', content: 'A scene.' },
    user('And now?'),
  ])
  expect(usage.inputTokens).toBe(expected)
})

const Found = z.object({ kind: z.enum(['dog', 'cat']), count: z.int().min(1).max(9) })

test('generateObject gives a value of the schema', async () => {
  const { object } = await generateObject({ model: qwenvl(vl), schema: Found, messages: asked, ...loud })
  expect(Found.parse(object)).toEqual(object)
})

test('streamObject gives it in parts', async () => {
  const { partialObjectStream, object } = streamObject({
    model: qwenvl(vl),
    schema: Found,
    messages: asked,
    ...loud,
  })
  const parts: unknown[] = []
  for await (const part of partialObjectStream) parts.push(part)
  expect(parts.at(-1)).toEqual(await object)
  expect(Found.parse(await object)).toEqual(await object)
})

test("an object that was cut off is the AI SDK's error, with the text", async () => {
  const cut = generateObject({
    model: qwenvl(vl),
    schema: Found,
    messages: asked,
    ...loud,
    maxOutputTokens: 3,
  })
  await expect(cut).rejects.toMatchObject({ name: 'AI_NoObjectGeneratedError', finishReason: 'length' })
})

describe('tools', () => {
  const Day = z.object({ day: z.enum(['Saturday', 'Sunday']) })

  test('are called with checked arguments, and their pictures are seen', async () => {
    const calls: unknown[] = []
    const look = tool({
      description: 'Looks at the shop.',
      inputSchema: Day,
      execute: (input) => {
        calls.push(input)
        return scene.toString('base64')
      },
      toModelOutput: ({ output }) => ({
        type: 'content',
        value: [{ type: 'image-data', data: output, mediaType: 'image/png', providerOptions }],
      }),
    })
    const { steps } = await generateText({
      model: qwenvl(vl),
      prompt: 'Is it open?',
      tools: { look },
      toolChoice: 'required',
      stopWhen: stepCountIs(2),
      ...loud,
    })
    expect(steps).toHaveLength(2)
    expect(steps[0]?.finishReason).toBe('tool-calls')
    expect(calls.map((call) => Day.parse(call))).toEqual(calls)
    expect(steps[1]?.providerMetadata?.['qwenvl']).toMatchObject({ images: [expect.anything()] })
  })

  test('are streamed: the arguments come in pieces', async () => {
    const { fullStream } = streamText({
      model: qwenvl(vl),
      prompt: 'Is it open?',
      tools: { look: tool({ inputSchema: Day }) },
      toolChoice: { type: 'tool', toolName: 'look' },
      ...loud,
    })
    let written = ''
    let called: unknown
    for await (const part of fullStream) {
      if (part.type === 'tool-input-delta') written += part.delta
      if (part.type === 'tool-call') called = part.input
    }
    expect(JSON.parse(written)).toEqual(called)
    expect(Day.parse(called)).toEqual(called)
  })
})

test('thoughts come apart from the text', async () => {
  const thinker = await loadFixture({ id: 'qwen3.5', contextSize: 1024 })
  const { reasoningText, text, usage } = await generateText({
    model: qwenvl(thinker),
    prompt: 'What?',
    ...loud,
    providerOptions: { qwenvl: { thinkingBudget: 8, grammar: 'root ::= "yes" | "no"' } },
  })
  expect(text).toMatch(/^(yes|no)$/)
  expect(reasoningText).toMatch(/thinking/)
  expect(usage.outputTokenDetails.reasoningTokens).toBeGreaterThanOrEqual(8)
  await thinker.dispose()
})

describe('what goes wrong', () => {
  test('is told by the errors of this package', async () => {
    const broken = generateText({
      model: qwenvl(vl),
      messages: [{ role: 'user', content: [{ type: 'image', image: Buffer.from('no picture') }] }],
    })
    await expect(broken).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })

    const sound = { type: 'file' as const, data: Buffer.from('x'), mediaType: 'audio/wav' }
    const heard = generateText({ model: qwenvl(vl), messages: [{ role: 'user', content: [sound] }] })
    await expect(heard).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/picture or video/),
    })

    const odd = generateText({
      model: qwenvl(vl),
      prompt: 'Hello',
      providerOptions: { qwenvl: { tempo: 1 } },
    })
    await expect(odd).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/`tempo`/),
    })
  })

  test('is told to onError of a stream', async () => {
    const errors: unknown[] = []
    const answer = streamText({
      model: qwenvl(vl),
      messages: [{ role: 'user', content: [{ type: 'image', image: Buffer.from('no picture') }] }],
      onError: ({ error }) => void errors.push(error),
    })
    await answer.consumeStream()
    expect(errors).toMatchObject([{ code: 'IMAGE_CORRUPT' }])
  })

  test('does not happen to the next request after one was aborted', async () => {
    const abort = new AbortController()
    const { textStream } = streamText({
      model: qwenvl(vl),
      prompt: 'Count to a million.',
      maxOutputTokens: 1500,
      abortSignal: abort.signal,
      providerOptions: { qwenvl: { ignoreEos: true } },
    })
    let pieces = 0
    for await (const _ of textStream) if (++pieces === 2) abort.abort()
    expect(pieces).toBeLessThan(1000)
    expect((await generateText({ model: qwenvl(vl), messages: asked, ...greedy })).text).toBe(
      (await own()).text,
    )
  })

  test('tools of providers are not there, and a warning says so', async () => {
    const { warnings } = await generateText({
      model: qwenvl(vl),
      prompt: 'Hello',
      tools: {
        search: { type: 'provider', id: 'openai.web_search', args: {}, inputSchema: z.object({}) } as never,
      },
      ...greedy,
    })
    expect(warnings).toMatchObject([
      { type: 'unsupported', feature: expect.stringContaining('openai.web_search') },
    ])
  })
})
