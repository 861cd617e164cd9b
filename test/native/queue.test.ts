/** The queue is bounded: what comes beyond is refused at once, by an error that a server can tell from others. */
import { QueueFullError, image, user } from '../../lib'
import type { QwenVL } from '../../lib'
import { expectError } from '../support/errors'
import { noise } from '../support/fixtures'
import { greedy, loadFixture } from '../support/model'

const long = { temperature: 0, ignoreEos: true, maxTokens: 400 }
const full = { type: QueueFullError, code: 'QUEUE_FULL', says: ['`maxQueue`', 'batch()'] } as const
const pixels = { data: noise(56, 56), width: 56, height: 56, channels: 3 } as const

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ parallel: 2, maxQueue: 1 })
})
afterAll(() => vl.dispose())

test('a request beyond `parallel` and `maxQueue` is refused; the others answer', async () => {
  const before = vl.stats().requests
  const running = ['one', 'two', 'three'].map((text) => vl.stream(text, long))
  await expectError(() => vl.chat('four', greedy), full)
  await expectError(() => vl.run('four', greedy), full)
  await expectError(() => vl.createChat(greedy).send('four'), full)
  await expectError(() => vl.embedImage(image(pixels)), full)
  expect(vl.stats().requests).toMatchObject({ active: 3, refused: before.refused + 4 })
  await vl.countTokens('measuring is no request')
  for (const { result } of running) expect((await result).usage.completionTokens).toBe(400)
  expect((await vl.chat('four', greedy)).tokens).toHaveLength(16)
})

test('whoever ends makes room: by an error, by a signal, by leaving', async () => {
  const controller = new AbortController()
  const failing = vl.chat([user(image('/does/not/exist.png'))]).catch(() => undefined)
  const aborted = vl.chat('one', { ...long, signal: controller.signal }).catch(() => undefined)
  const left = vl.stream('two', long)
  await expectError(() => vl.chat('three', greedy), full)
  left.cancel()
  controller.abort()
  await Promise.all([failing, aborted, left.result])
  expect(vl.stats().requests.active).toBe(0)
  const again = await Promise.all(['one', 'two', 'three'].map((text) => vl.chat(text, greedy)))
  expect(again.map(({ tokens }) => tokens.length)).toEqual([16, 16, 16])
})

test('turns of a chat that wait for each other are one request at a time', async () => {
  const chat = vl.createChat(greedy)
  const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => chat.send(`Turn ${n}`)))
  expect(answers).toHaveLength(6)
})

test('a batch waits where the queue is full', async () => {
  const refused = vl.stats().requests.refused
  const running = ['one', 'two', 'three'].map((text) => vl.chat(text, long))
  const items = await vl.batch(
    Array.from({ length: 12 }, (_, n) => `Question ${n}`),
    { ...greedy, concurrency: 20 },
  )
  expect(items.map(({ error }) => error)).toEqual(Array.from({ length: 12 }))
  expect(vl.stats().requests.refused).toBe(refused)
  await Promise.all(running)
})

test('a batch that waits hears its signal', async () => {
  const running = ['one', 'two', 'three'].map((text) => vl.chat(text, long))
  const controller = new AbortController()
  const batch = vl.batch(['four'], { ...greedy, signal: controller.signal })
  const outcome = batch.then(String, (error: unknown) => (error as Error).name)
  controller.abort()
  expect(await outcome).toBe('AbortError')
  await Promise.all(running)
})

test('maxQueue: 0 takes as many as are computed at the same time', async () => {
  await using strict = await loadFixture({ parallel: 1, maxQueue: 0 })
  const running = strict.stream('one', long)
  await expectError(() => strict.chat('two', greedy), full)
  await running.result
  expect((await strict.chat('two', greedy)).tokens).toHaveLength(16)
})
