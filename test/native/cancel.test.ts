/** Cancelling at any moment: the error tells why, nothing is left behind, the next request is as if nothing had been. */
import { image, user } from '../../lib'
import type { GenerateOptions, MessagesInput, QwenVL } from '../../lib'
import { noise } from '../support/fixtures'
import { essence, greedy, listeners, loadFixture } from '../support/model'

let vl: QwenVL
let quiet: ReturnType<typeof essence>
beforeAll(async () => {
  vl = await loadFixture({ contextSize: 8192, batchSize: 64 })
  quiet = essence(await vl.chat('Is all well?', greedy))
})
afterAll(() => vl.dispose())
afterEach(async () => {
  expect(essence(await vl.chat('Is all well?', greedy))).toEqual(quiet)
})

const long = { temperature: 0, ignoreEos: true }
/** Takes a few hundred milliseconds in the encoder. */
const large = image({ data: noise(784, 784), width: 784, height: 784, channels: 3 })
/** Takes a while to be read, but not to be encoded. */
const wide = { data: noise(3000, 2000), width: 3000, height: 2000, channels: 3 } as const
/** Takes a while to be computed. */
const longText = 'word '.repeat(1000)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Expects that a request whose signal fires `when` it likes ends as it should. */
async function expectAborted(
  messages: MessagesInput,
  when: (stream: ReturnType<QwenVL['stream']>) => Promise<unknown>,
  options: GenerateOptions = long,
) {
  const controller = new AbortController()
  const reason = new Error('no longer needed')
  const stream = vl.stream(messages, { ...options, signal: controller.signal })
  await when(stream)
  controller.abort(reason)
  await expect(stream.result).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: reason })
  expect(listeners(controller.signal)).toBe(0)
}

describe('a signal', () => {
  test('that has fired already', async () => {
    const signal = AbortSignal.abort(new Error('before'))
    await expect(vl.chat('Hello', { signal })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: signal.reason,
    })
    await expect(vl.embedImage(large, { signal })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: signal.reason,
    })
    await expect(vl.countTokens([user(large)], { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(listeners(signal)).toBe(0)
  })

  test('in the tick of the call', () => expectAborted('Hello', async () => undefined))

  test('in the queue: at once, while the request before it goes on', async () => {
    const running = vl.stream('Hello', { ...long, maxTokens: 300 })
    const reader = running[Symbol.asyncIterator]()
    await reader.next()
    await expectAborted('and me', () => pause(5))
    expect((await running.result).usage.completionTokens).toBe(300)
  })

  test('while a picture is decoded', () =>
    expectAborted([user(image(wide, { maxPixels: 28 * 28 * 16 }), 'What?')], () => pause(1)))

  test('while the prompt is computed', () =>
    expectAborted(
      [user(image({ data: noise(56, 56), width: 56, height: 56, channels: 3 }), longText)],
      (stream) =>
        // The picture stands before the text.
        stream[Symbol.asyncIterator]().next(),
    ))

  test('while the answer is generated', () =>
    expectAborted('Hello', async (stream) => {
      const iterator = stream[Symbol.asyncIterator]()
      for (let i = 0; i < 5; i++) await iterator.next()
    }))

  test('while nobody reads the answer', () =>
    expectAborted('Hello', async (stream) => {
      await stream[Symbol.asyncIterator]().next()
      await pause(400)
    }))

  test.each([0, 1, 3, 10, 30, 60, 100, 200, 400])('%i ms into a request with a large picture', (delay) =>
    expectAborted([user(large, longText)], () => pause(delay)),
  )

  test.each([0, 1, 10, 50, 100, 200])('%i ms into embedImage', async (delay) => {
    const controller = new AbortController()
    const reason = new Error('no longer needed')
    const embedding = vl.embedImage(large, { signal: controller.signal })
    const outcome = embedding.then(
      () => 'done',
      (error: unknown) => error,
    )
    await pause(delay)
    controller.abort(reason)
    const error = await outcome
    if (error !== 'done') expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: reason })
    expect(listeners(controller.signal)).toBe(0)
  })

  test('a timeout is a reason too', async () => {
    const signal = AbortSignal.timeout(20)
    const error = await vl
      .chat([user(large, longText)], { ...long, signal })
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ name: 'AbortError', cause: { name: 'TimeoutError' } })
  })

  test('that never fires leaves no listener', async () => {
    const { signal } = new AbortController()
    await vl.chat('Hello', { ...greedy, signal })
    await vl.embedImage(image({ data: noise(56, 56), width: 56, height: 56, channels: 3 }), { signal })
    await vl.chat([user(image('/does/not/exist.png'))], { signal }).catch(() => undefined)
    expect(listeners(signal)).toBe(0)
  })

  test('of many requests ends all of them', async () => {
    const controller = new AbortController()
    const requests = Array.from({ length: 12 }, (_, i) =>
      i % 3 === 0
        ? vl.embedImage(large, { signal: controller.signal })
        : vl.chat('Hello', { ...long, signal: controller.signal }),
    )
    const outcomes = Promise.allSettled(requests)
    await pause(30)
    expect(listeners(controller.signal)).toBe(1) // Node warns of more than ten
    controller.abort()
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } })
    expect(listeners(controller.signal)).toBe(0)
  })
})

describe('leaving', () => {
  test('the loop early ends the request without an error', async () => {
    const stream = vl.stream('Hello', long)
    let seen = 0
    for await (const part of stream) if (part.type === 'text' && ++seen === 3) break
    const { finishReason, usage, text } = await stream.result
    expect(finishReason).toBe('cancelled')
    expect(usage.completionTokens).toBeGreaterThanOrEqual(3)
    expect(usage.completionTokens).toBeLessThan(3000)
    expect(text).not.toBe('')
  })

  test('the loop by an error keeps that error', async () => {
    const stream = vl.stream('Hello', long)
    const loop = async () => {
      for await (const _ of stream) throw new Error('mine')
    }
    await expect(loop()).rejects.toThrow('mine')
    expect((await stream.result).finishReason).toBe('cancelled')
  })

  test('cancel() ends the parts with a finish', async () => {
    const stream = vl.stream('Hello', long)
    const parts = []
    for await (const part of stream) {
      parts.push(part)
      if (parts.length === 3) stream.cancel()
    }
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: 'cancelled' })
    stream.cancel()
  })

  test('cancel() before anything happened', async () => {
    const stream = vl.stream('Hello', long)
    stream.cancel()
    const parts = []
    for await (const part of stream) parts.push(part)
    expect(parts).toMatchObject([
      { type: 'finish', finishReason: 'cancelled', usage: { completionTokens: 0 } },
    ])
    expect(await stream.result).toMatchObject({ text: '', finishReason: 'cancelled' })
  })

  test('cancel() after the end changes nothing', async () => {
    const stream = vl.stream('Hello', greedy)
    const { finishReason } = await stream.result
    stream.cancel()
    expect(finishReason).toBe('length')
    expect((await stream.result).finishReason).toBe('length')
  })

  test('a stream without ever reading it', async () => {
    vl.stream('Hello', long).cancel()
  })
})
