/**
 * Tools, end to end in each form. A model of random weights is made to call by `toolChoice`, which a grammar enforces; what
 * it says then is text, or another call that a grammar enforces.
 */
import { z } from 'zod'
import { ToolError, answerMessage, image, system, tool, toolResult, user } from '../../lib'
import type { GenerationResult, Message, QwenVL, StreamPart } from '../../lib'
import type { FixtureId } from '../support/fixtures'
import { picture } from '../support/fixtures'
import { collect, loadFixture } from '../support/model'

const loud = { temperature: 1.5, topK: 0, topP: 1, seed: 3, maxTokens: 400, thinkingBudget: 0 }
const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })

const Weather = z.object({
  unit: z.enum(['c', 'f']).describe('of the temperature'),
  days: z.int().min(1).max(5),
  dry: z.boolean().optional(),
})
type WeatherCall = z.infer<typeof Weather>

/** A tool that remembers how it was called. */
function weather(output: (call: WeatherCall) => unknown = ({ days }) => ({ days, temperature: 20 })) {
  const calls: WeatherCall[] = []
  const get = tool({
    name: 'get_weather',
    description: 'Tells the weather.',
    parameters: Weather,
    run: (call, { signal }) => {
      expect(signal.aborted).toBe(false)
      calls.push(call)
      return output(call)
    },
  })
  return { get, calls }
}

const forms: FixtureId[] = ['qwen2vl', 'qwen2.5vl', 'qwen3vl', 'qwen3.5']

describe.each(forms)('%s', (id) => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id, contextSize: 2048 })
  })
  afterAll(() => vl.dispose())

  test('calls what it has to, is told, and answers', async () => {
    const { get, calls } = weather()
    const { steps, messages, text, toolCalls } = await vl.run('Weather?', {
      ...loud,
      maxTokens: 220,
      tools: [get],
      toolChoice: { name: 'get_weather' },
    })
    expect(calls).toHaveLength(1)
    expect(Weather.parse(calls[0])).toEqual(calls[0])
    expect(steps).toHaveLength(2)
    expect(steps[0]?.finishReason).toBe('tool-calls')
    expect(toolCalls).toEqual([])
    const [call] = steps[0]?.toolCalls ?? []
    expect(call).toMatchObject({ name: 'get_weather', arguments: calls[0], input: calls[0] })
    expect(messages).toEqual([
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: call?.id, type: 'function', function: { name: 'get_weather', arguments: calls[0] } },
        ],
      },
      {
        role: 'tool',
        tool_call_id: call?.id,
        name: 'get_weather',
        content: JSON.stringify({ days: calls[0]?.days, temperature: 20 }),
      },
      { role: 'assistant', content: text },
    ])
  })

  test('what was said goes into the next request, and most of it is known already', async () => {
    const { get } = weather()
    const tools = [get]
    const { messages } = await vl.run('Weather?', {
      ...loud,
      maxTokens: 220,
      tools,
      toolChoice: { name: 'get_weather' },
    })
    const prompt = await vl.inspect([user('Weather?'), ...messages.slice(0, -1)], { tools })
    expect(prompt.text).toContain('"temperature":20')
    expect(prompt.text.indexOf('get_weather')).toBeLessThan(prompt.text.indexOf('"temperature":20'))
    const next = await vl.chat([user('Weather?'), ...messages, user('Sure?')], {
      ...loud,
      maxTokens: 5,
      tools,
    })
    expect(next.usage.cachedTokens).toBeGreaterThan(0)
  })

  test('the deltas of a call are its arguments', async () => {
    const { get } = weather()
    const stream = vl.stream([system('Be brief.'), user(scene, 'Weather?')], {
      ...loud,
      tools: [get],
      toolChoice: 'required',
    })
    const parts = await collect(stream)
    const { toolCalls, text, finishReason } = await stream.result
    expect({ text, finishReason }).toEqual({ text: '', finishReason: 'tool-calls' })
    expect(toolCalls.length).toBeGreaterThan(0)
    for (const [index, call] of toolCalls.entries()) {
      const own = parts.filter((part) => part.type === 'tool-call').filter((part) => part.index === index)
      expect(JSON.parse(own.map(({ delta }) => delta).join(''))).toEqual(call.arguments)
      expect(new Set(own.map((part) => part.id))).toEqual(new Set([call.id]))
      expect(own.map(({ done }) => done)).toEqual(own.map((_, place) => place === own.length - 1))
    }
    expect(new Set(toolCalls.map((call) => call.id)).size).toBe(toolCalls.length)
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: 'tool-calls' })
  })

  test('a result with a picture is seen', async () => {
    const { get } = weather(() => ['The map:', scene])
    const { images, steps } = await vl.run('Weather?', {
      ...loud,
      maxTokens: 220,
      tools: [get],
      toolChoice: { name: 'get_weather' },
    })
    expect(steps[0]?.images).toHaveLength(0)
    expect(images).toHaveLength(1)
    expect(images[0]?.tokens).toBeGreaterThan(0)
  })

  test('arguments that are null stand in the history', async () => {
    const history: Message[] = [
      user('Weather?'),
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'a',
            function: { name: 'get_weather', arguments: { unit: null, days: 3, dry: { in: null } } },
          },
          { id: 'b', function: { name: 'get_weather', arguments: '{"unit": null}' } },
        ],
      },
      toolResult({ id: 'a', name: 'get_weather' }, null),
      toolResult({ id: 'b', name: 'get_weather' }, 'none'),
    ]
    const { text } = await vl.inspect(history, { tools: [weather().get] })
    expect(text.match(/null/g)?.length).toBeGreaterThanOrEqual(3)
    expect(text).not.toMatch(/undefined|None\b(?!.)/)
  })

  test('a chat runs its tools, and keeps them in mind', async () => {
    const { get, calls } = weather()
    const chat = vl.createChat({ ...loud, maxTokens: 220, tools: [get], toolChoice: { name: 'get_weather' } })
    const { steps } = await chat.send('Weather?')
    expect([calls.length, steps.length, chat.length]).toEqual([1, 2, 4])
    const again = await chat.send('And now?')
    expect([calls.length, chat.length]).toEqual([2, 8])
    expect(again.steps[0]?.usage.cachedTokens).toBeGreaterThan(20)
  })

  test('a chat takes the results of calls that its caller answers', async () => {
    const { run: _, ...get } = weather().get
    const settings = { ...loud, maxTokens: 220, tools: [get] }
    const chat = vl.createChat(settings)
    const asked = await chat.stream('Weather?', { toolChoice: { name: 'get_weather' } }).result
    expect(asked.finishReason).toBe('tool-calls')
    const results = (output: string) => asked.toolCalls.map((call) => toolResult(call, output))
    const other = await chat.fork().send(...results('rain, rain and more rain all day long'))
    const answer = await chat.send(...results('rain'))
    expect(chat.length).toBe(4)
    expect(answer.usage.promptTokens).toBeGreaterThan(asked.usage.promptTokens)
    expect(other.usage.promptTokens).toBeGreaterThan(answer.usage.promptTokens + 5)
  })
})

describe('a run', () => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id: 'qwen3vl', contextSize: 4096 })
  })
  afterAll(() => vl.dispose())
  const forced = { ...loud, maxTokens: 220, toolChoice: { name: 'get_weather' } } as const
  /** Only calls fit this grammar: a loop that goes on and on. */
  const always = (call: string) => ({ ...loud, grammar: `root ::= "<tool_call>\\n${call}\\n</tool_call>"` })
  const good = String.raw`{\"name\": \"get_weather\", \"arguments\": {\"unit\": \"c\", \"days\": 2}}`
  const failure = (request: Promise<unknown>) => request.then(String, (reason: unknown) => reason)

  test('is streamed: answers, steps and results in their order', async () => {
    const stream = vl.runStream('Weather?', { ...forced, tools: [weather().get] })
    const parts: StreamPart[] = await collect(stream)
    const order = parts
      .filter((part) => part.type !== 'text' || part.text !== '')
      .map(({ type }) => type)
      .filter((type, index, all) => type !== all[index - 1])
    expect(order).toEqual(['tool-call', 'step', 'tool-result', 'text', 'finish'])
    expect(parts.find((part) => part.type === 'tool-result')).toMatchObject({
      call: { name: 'get_weather' },
      output: { temperature: 20 },
    })
  })

  test('ends with a call whose answer is the caller’s', async () => {
    const { run: _, ...silent } = weather().get
    const result = await vl.run('Weather?', { ...forced, tools: [silent] })
    expect(result).toMatchObject({
      finishReason: 'tool-calls',
      steps: [{}],
      messages: [{ role: 'assistant' }],
    })
    const [call] = result.toolCalls
    if (!call) throw new Error('no call')
    const answered = [user('Weather?'), answerMessage(result), toolResult(call, { temperature: 3 })]
    expect((await vl.inspect(answered, { tools: [silent] })).text).toContain(
      '<tool_response>\n{"temperature":3}\n</tool_response>',
    )
  })

  test('without an end is an error after maxSteps, with all that was said', async () => {
    const { get, calls } = weather()
    const error = await failure(vl.run('Weather?', { ...always(good), tools: [get], maxSteps: 3 }))
    expect(error).toBeInstanceOf(ToolError)
    expect(error).toMatchObject({ code: 'TOOL_STEPS', details: { maxSteps: 3 } })
    expect(calls).toHaveLength(2)
    const { messages } = (error as ToolError).details as { messages: Message[] }
    expect(messages.map(({ role }) => role)).toEqual(['assistant', 'tool', 'assistant', 'tool', 'assistant'])
  })

  test.each([
    ['an unknown tool', good.replace('get_weather', 'get_time'), /no tool 'get_time'.*get_weather/],
    ['arguments against the schema', good.replace('2', '9'), /days: /],
    ['broken JSON', good.replace('2', '}'), /no valid JSON/],
  ])('tells the model of %s once, then gives up', async (_, call, problem) => {
    const { get, calls } = weather()
    const stream = vl.runStream('Weather?', { ...always(call), tools: [get] })
    const results: StreamPart[] = []
    const error = await failure(
      (async () => {
        for await (const part of stream) if (part.type === 'tool-result') results.push(part)
      })(),
    )
    expect(error).toMatchObject({
      code: 'TOOL_CALL_INVALID',
      message: expect.stringMatching(problem) as string,
      details: {
        messages: [
          { role: 'assistant' },
          {
            role: 'tool',
            content: expect.stringMatching(/^\{"error":\{"code":"INVALID_CALL","message":/) as string,
          },
          { role: 'assistant' },
        ],
      },
    })
    expect(results).toMatchObject([
      { output: undefined, call: { problem: expect.stringMatching(problem) as string } },
    ])
    expect(calls).toEqual([])
  })

  test('converts arguments; what converting refuses is a wrong call', async () => {
    const seen: unknown[] = []
    const convert = tool({
      name: 'get_weather',
      parameters: Weather,
      convert: ({ days }) => ({ hours: days * 24 }),
      run: ({ hours }) => void seen.push(hours),
    })
    await vl.run('Weather?', { ...forced, tools: [convert] })
    expect(seen).toEqual([expect.any(Number)])
    const refuse = tool({
      ...convert,
      parameters: Weather,
      convert: () => {
        throw new Error('not on Mondays')
      },
    })
    const error = await failure(vl.run('Weather?', { ...always(good), tools: [refuse] }))
    expect(error).toMatchObject({
      code: 'TOOL_CALL_INVALID',
      message: expect.stringMatching(/Mondays/) as string,
    })
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no network')
      },
      /no network/,
    ],
    ['rejects', async () => Promise.reject(new Error('no network')), /no network/],
    ['gives what JSON cannot say', () => 1n, /BigInt/],
    ['gives a picture that is none', () => [{ type: 'image', image: 7 }], /picture/],
  ])('fails with a tool that %s, and the next request works', async (_, output, message) => {
    const error = await failure(vl.run('Weather?', { ...forced, tools: [weather(output).get] }))
    expect(error).toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(message) as string,
      details: { call: { name: 'get_weather' }, messages: [{ role: 'assistant' }] },
    })
    expect((await vl.chat('x', { grammar: 'root ::= "a"' })).text).toBe('a')
  })

  test('is cancelled in a tool that never ends', async () => {
    const abort = new AbortController()
    const { get } = weather(() => {
      setImmediate(() => abort.abort())
      return new Promise(() => undefined)
    })
    await expect(vl.run('Weather?', { ...forced, tools: [get], signal: abort.signal })).rejects.toMatchObject(
      {
        name: 'AbortError',
      },
    )
    const hangs = weather(() => new Promise(() => undefined))
    const stream = vl.runStream('Weather?', { ...forced, tools: [hangs.get] })
    for await (const part of stream) if (part.type === 'step') break
    const left: GenerationResult = await stream.result
    expect(left.finishReason).toBe('cancelled')
  })

  test('ends in JSON of a schema, with calls on the way', async () => {
    const { get, calls } = weather()
    const schema = z.object({ sure: z.boolean() })
    for (const seed of [1, 2]) {
      const { value } = await vl.run('Weather?', { ...loud, seed, tools: [get], schema, maxSteps: 20 })
      expect(schema.parse(value)).toEqual(value)
    }
    for (const call of calls) expect(Weather.parse(call)).toEqual(call)
  })

  test('with tools that may not be called shows none', async () => {
    const { text } = await vl.inspect('Weather?', { tools: [weather().get], toolChoice: 'none' })
    expect(text).not.toContain('get_weather')
  })
})

describe('refused:', () => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id: 'qwen3vl' })
  })
  afterAll(() => vl.dispose())

  test.each<[string, object, RegExp]>([
    ['a tool that is none', { tools: [7] }, /`tools\[0\]`/],
    ['no name', { tools: [{}] }, /`tools\[0\]\.name`/],
    ['a name with a space', { tools: [{ name: 'a b' }] }, /`tools\[0\]\.name`/],
    ['two of one name', { tools: [{ name: 'a' }, { name: 'a' }] }, /`tools\[1\]\.name` to be unique/],
    ['a wrong schema', { tools: [{ name: 'a', parameters: { type: 'foo' } }] }, /tools\[0\]\.parameters/],
    ['a run that is none', { tools: [{ name: 'a', run: 7 }] }, /`tools\[0\]\.run` to be a function/],
    ['OpenAI without a function', { tools: [{ type: 'function', function: 7 }] }, /`tools\[0\]\.function`/],
    ['a choice of no tool', { tools: [{ name: 'a' }], toolChoice: { name: 'b' } }, /`toolChoice\.name`/],
    ['a call without tools', { toolChoice: 'required' }, /`tools`/],
    ['no steps', { maxSteps: 0 }, /`maxSteps`/],
  ])('%s', async (_, options, message) => {
    await expect(vl.run('x', options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    })
  })
})
