/** Reading: at one's own pace, in several ways, many requests at a time, with a free event loop. */
import { image, user } from '../../lib'
import type { QwenVL, StreamPart } from '../../lib'
import { Engine } from '../../lib/engine/engine'
import { bare, noise, pair } from '../support/fixtures'
import { collect, essence, greedy, loadFixture, textOf } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ contextSize: 4096 })
})
afterAll(() => vl.dispose())

const many = { ...greedy, maxTokens: 600 }
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a reader that stops', () => {
  test('is waited for, and misses nothing', async () => {
    const expected = await vl.chat('Hello', many)
    const stream = vl.stream('Hello', many)
    let ended = false
    void stream.settled.then(() => (ended = true))
    const iterator = stream[Symbol.asyncIterator]()
    const parts: StreamPart[] = []
    const read = async () => {
      const { value } = await iterator.next()
      if (value) parts.push(value)
    }
    for (let i = 0; i < 10; i++) await read()
    await pause(1000) // 600 tokens take less
    expect(ended).toBe(false)
    while (parts.at(-1)?.type !== 'finish') await read()
    expect(textOf(parts)).toBe(expected.text)
    expect(essence(await stream.result)).toEqual(essence(expected))
  })

  test('is waited for after 256 events, to the event', async () => {
    const engine = await Engine.open({ ...pair(), ...bare })
    let texts = 0
    let wake: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      const request = engine.submit(
        {
          kind: 'generate',
          priority: 0,
          segments: [{ tokens: Int32Array.of(1, 2, 3), position: 0 }],
          position: 3,
          maxTokens: 400,
          stopTokens: new Int32Array(),
          stop: [],
          logprobs: -1,
          padToken: -1,
          adapters: new Float32Array(),
          temperature: 0,
          topK: 0,
          topP: 1,
          minP: 0,
          repetitionPenalty: 1,
          presencePenalty: 0,
          frequencyPenalty: 0,
          biasedTokens: new Int32Array(),
          biases: new Float32Array(),
          seed: 0,
          grammar: '',
          speculate: 0,
        },
        (event) => {
          if (event.type === 'text' && ++texts === 256) wake()
          if (event.type === 'end') resolve()
        },
      )
      wake = () => setTimeout(() => { const before = texts; request.acknowledge(10); setTimeout(() => { expect([before, texts]).toEqual([256, 266]); request.acknowledge(256) }, 300) }, 300) // prettier-ignore
    })
    await ended
    expect(texts).toBe(400)
    await engine.close()
  })

  test('holds up no other request', async () => {
    const unread = vl.stream('Hello', many)
    const unread2 = vl.stream('Hello again', many)
    expect((await vl.chat('And me', greedy)).tokens).toHaveLength(16)
    expect(textOf(await collect(unread2))).toBe((await vl.chat('Hello again', many)).text)
    expect(textOf(await collect(unread))).toBe((await vl.chat('Hello', many)).text)
  })

  test('asking for the result takes the brake off', async () => {
    const stream = vl.stream('Hello', many)
    await pause(300)
    expect((await stream.result).usage.completionTokens).toBe(600)
  })
})

describe('ways to read', () => {
  test('a stream can be read once', async () => {
    const stream = vl.stream('Hello', greedy)
    await collect(stream)
    expect(() => stream[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'STREAM_CONSUMED' }))
    await expect(collect(stream)).rejects.toMatchObject({ code: 'STREAM_CONSUMED' })
    expect((await stream.result).tokens).toHaveLength(16)
  })

  test('several next() at once get a part each, in order', async () => {
    const stream = vl.stream('Hello', greedy)
    const iterator = stream[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 20 }, () => iterator.next()))
    const parts = results.flatMap(({ value }) => value ?? [])
    expect(textOf(parts)).toBe((await stream.result).text)
    expect(parts.at(-1)?.type).toBe('finish')
    expect(results.slice(parts.length).every(({ done }) => done)).toBe(true)
  })

  test('as a web stream', async () => {
    const stream = vl.stream('Hello', greedy)
    const parts: StreamPart[] = []
    const reader = stream.toReadableStream().getReader()
    for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value)
    expect(textOf(parts)).toBe((await stream.result).text)
    expect(parts.at(-1)?.type).toBe('finish')
  })

  test('cancelling the web stream cancels the request', async () => {
    const stream = vl.stream('Hello', many)
    const reader = stream.toReadableStream().getReader()
    await reader.read()
    await reader.cancel()
    expect((await stream.result).finishReason).toBe('cancelled')
  })

  test('an error reaches every kind of reader', async () => {
    const broken = () => vl.stream([user(image('/does/not/exist.png'))], greedy)
    const wanted = { name: 'ImageError' }
    await expect(collect(broken())).rejects.toMatchObject(wanted)
    await expect(broken().result).rejects.toMatchObject(wanted)
    await expect(broken().text()).rejects.toMatchObject(wanted)
    await expect(broken().toReadableStream().getReader().read()).rejects.toMatchObject(wanted)
    broken() // nobody reads: no unhandled rejection
    await pause(50)
  })
})

describe('many requests', () => {
  test('twenty at once are all answered, each as if alone', async () => {
    const prompts = Array.from({ length: 20 }, (_, i) => `Question ${i * 37}: ${'why '.repeat(i % 7)}?`)
    const together = await Promise.all(prompts.map((prompt) => vl.chat(prompt, greedy)))
    for (const [i, prompt] of prompts.entries()) {
      expect(essence(together[i] ?? (await vl.chat('')))).toEqual(essence(await vl.chat(prompt, greedy)))
    }
  })

  test('of all kinds', async () => {
    const shown = image({ data: noise(112, 112), width: 112, height: 112, channels: 3 })
    const [chat, counted, embedded, streamed, inspected] = await Promise.all([
      vl.chat([user(shown, 'What?')], greedy),
      vl.countTokens([user(shown, 'What?')]),
      vl.embedImage(shown),
      collect(vl.stream('Hello', greedy)),
      vl.inspect([user(shown, 'What?')]),
    ])
    expect(counted).toBe(chat.usage.promptTokens)
    expect(inspected.tokens).toHaveLength(counted)
    expect(embedded.tokens).toBe(16)
    expect(streamed.at(-1)?.type).toBe('finish')
  })
})

describe('the event loop', () => {
  /** Turns of the loop while `work` runs. */
  async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
    let turns = 0
    let running = true
    const turn = () => {
      turns++
      if (running) setImmediate(turn)
    }
    setImmediate(turn)
    await work()
    running = false
    return turns
  }
  const large = image({ data: noise(784, 784), width: 784, height: 784, channels: 3 })

  test('turns while a model loads, encodes and generates', async () => {
    expect(await turnsDuring(async () => (await loadFixture()).dispose())).toBeGreaterThan(10)
    expect(await turnsDuring(() => vl.embedImage(large))).toBeGreaterThan(10)
    expect(await turnsDuring(() => vl.chat('Hello', many))).toBeGreaterThan(10)
  })
})
