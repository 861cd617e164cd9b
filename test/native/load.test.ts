/** A model's life: load, abort, several at once, dispose. */
import { AbortError, QwenVL, image, user } from '../../lib'
import { noise, pair, small } from '../support/fixtures'
import { essence, greedy, listeners, loadFixture } from '../support/model'

const raw = { data: noise(56, 56), width: 56, height: 56, channels: 3 } as const

describe('load', () => {
  test('knows the model', async () => {
    await using vl = await loadFixture()
    expect(vl.info).toMatchObject({
      generation: 'qwen2vl',
      generationName: 'Qwen2-VL',
      contextSize: 512,
      trainContextSize: 4096,
      embeddingWidth: 64,
      threads: 1,
      image: { factor: 28 },
    })
    expect(vl.info.modelBytes).toBe(vl.info.parameters * 4)
    expect(vl.info.decoder).not.toBe('')
    expect(vl.info.encoder).not.toBe('')
  })

  test.each(['qwen2.5vl', 'qwen3vl'] as const)('tells %s by its files', async (id) => {
    await using vl = await loadFixture({ id })
    expect(vl.info.generation).toBe(id)
  })

  test('without a projector it is a text model', async () => {
    await using vl = await QwenVL.load({ model: pair().model, ...small })
    expect(vl.info.encoder).toBeUndefined()
    expect((await vl.chat('Hello', greedy)).tokens).toHaveLength(16)
  })

  test('reports progress in rising whole percents up to 1', async () => {
    const seen: number[] = []
    await using _ = await loadFixture({ onProgress: (progress) => seen.push(progress) })
    expect(seen.at(-1)).toBe(1)
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
    for (const progress of seen) expect(progress * 100).toBeCloseTo(Math.round(progress * 100), 9)
  })

  test('several models at once do not disturb each other', async () => {
    const alone = await loadFixture()
    const expected = await alone.chat('Hello', greedy)
    await alone.dispose()
    const models = await Promise.all([loadFixture(), loadFixture(), loadFixture({ id: 'qwen3vl' })])
    const answers = await Promise.all(models.map((vl) => vl.chat('Hello', greedy)))
    expect(answers.slice(0, 2).map(essence)).toEqual([essence(expected), essence(expected)])
    expect(answers[2]?.tokens).not.toEqual(expected.tokens)
    await Promise.all(models.map((vl) => vl.dispose()))
  })
})

describe('abort of loading', () => {
  test('before it starts', async () => {
    const reason = new Error('too late')
    await expect(loadFixture({ signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORTED',
      cause: reason,
    })
  })

  test.each([0, 1, 2, 5, 10, 20])('%i ms after the start', async (delay) => {
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const loading = loadFixture({ signal: controller.signal }).then(
      (vl) => vl.dispose().then(() => 'loaded'),
      (error: unknown) => error,
    )
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
    controller.abort(reason)
    const outcome = await loading
    // It may have been ready before.
    if (outcome !== 'loaded') expect(outcome).toMatchObject({ code: 'ABORTED', cause: reason })
    expect(listeners(controller.signal)).toBe(0)
  })

  test('from within progress', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        loadFixture({ signal: controller.signal, onProgress: () => controller.abort(reason) }),
      ),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') await outcome.value.dispose()
      else expect(outcome.reason).toMatchObject({ name: 'AbortError', cause: reason })
    }
    expect(listeners(controller.signal)).toBe(0)
    await using vl = await loadFixture()
    expect((await vl.chat('Hello', greedy)).tokens).toHaveLength(16)
  })

  test('a signal that fires later does nothing', async () => {
    const controller = new AbortController()
    await using vl = await loadFixture({ signal: controller.signal })
    expect(listeners(controller.signal)).toBe(0)
    controller.abort()
    expect((await vl.chat('Hello', greedy)).tokens).toHaveLength(16)
  })
})

describe('dispose', () => {
  test('twice, and at the same time', async () => {
    const vl = await loadFixture()
    await Promise.all([vl.dispose(), vl.dispose()])
    await vl.dispose()
  })

  test('afterwards every method says so', async () => {
    const vl = await loadFixture()
    const chat = vl.createChat()
    const kept = await vl.embedImage(image(raw))
    await vl.dispose()
    const disposed = {
      name: 'QwenVLError',
      code: 'DISPOSED',
      message: expect.stringContaining('QwenVL.load()'),
    }
    await expect(vl.chat('Hello')).rejects.toMatchObject(disposed)
    await expect(vl.stream('Hello').result).rejects.toMatchObject(disposed)
    await expect(vl.stream('Hello')[Symbol.asyncIterator]().next()).rejects.toMatchObject(disposed)
    await expect(chat.send('Hello')).rejects.toMatchObject(disposed)
    await expect(vl.createChat().send('Hello')).rejects.toMatchObject(disposed)
    await expect(vl.embedImage(image(raw))).rejects.toMatchObject(disposed)
    await expect(vl.chat([user(kept, 'Hello')])).rejects.toMatchObject(disposed)
    await expect(vl.countTokens('Hello')).rejects.toMatchObject(disposed)
    await expect(vl.inspect('Hello')).rejects.toMatchObject(disposed)
    expect(vl.info.contextSize).toBe(512)
  })

  test('during generation ends running and waiting requests', async () => {
    const vl = await loadFixture({ contextSize: 4096 })
    const running = vl.stream('Hello', { ...greedy, maxTokens: 4000 })
    await running[Symbol.asyncIterator]().next()
    const waiting = [vl.chat('one', greedy), vl.chat([user(image(raw))], greedy), vl.embedImage(image(raw))]
    const outcomes = Promise.allSettled([running.result, ...waiting])
    await vl.dispose()
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DISPOSED' } })
    }
  })

  test('an error that came from a signal stays AbortError', async () => {
    const vl = await loadFixture({ contextSize: 4096 })
    const controller = new AbortController()
    const stream = vl.stream('Hello', { ...greedy, maxTokens: 4000, signal: controller.signal })
    await stream[Symbol.asyncIterator]().next()
    controller.abort()
    await vl.dispose()
    const error = await stream.result.catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(AbortError)
  })
})
