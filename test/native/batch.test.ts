/** Many conversations at a time: results in order, each failure for itself, a signal for all of them. */
import { z } from 'zod'
import { AbortError, InvalidArgumentError, image, user } from '../../lib'
import type { BatchEntry, BatchItem, QwenVL } from '../../lib'
import { expectError } from '../support/errors'
import { picture } from '../support/fixtures'
import { essence, greedy, listeners, loadFixture } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ contextSize: 2048, deterministic: true })
})
afterAll(() => vl.dispose())

const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })
const long = { temperature: 0, ignoreEos: true }
const questions = Array.from({ length: 10 }, (_, n) => `Question ${n}: ${'why '.repeat(n % 4)}?`)
const entries: BatchEntry[] = questions.map((question, n) =>
  n % 3 === 0 ? [user(scene, question)] : question,
)
const indices = (items: readonly BatchItem[]) => items.map(({ index }) => index)

test('gives what each conversation gives alone, in order', async () => {
  const alone = []
  for (const entry of entries) alone.push(await vl.chat(entry as string, greedy))
  for (const concurrency of [1, 3, 100]) {
    const items = await vl.batch(entries, { ...greedy, concurrency })
    expect(items.map(({ result }) => result && essence(result))).toEqual(alone.map(essence))
    expect(indices(items)).toEqual(entries.map((_, index) => index))
  }
})

test('a conversation that fails has its error, and disturbs no other', async () => {
  const broken = [...entries]
  broken[2] = [user(image('/does/not/exist.png'), 'What?')]
  broken[5] = 'word '.repeat(5000)
  broken[7] = 7 as never
  const items = await vl.batch(broken, greedy)
  expect(items.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual(
    broken.map((_, n) => ({ 2: 'FILE_NOT_FOUND', 5: 'CONTEXT_OVERFLOW', 7: 'INVALID_ARGUMENT' })[n]),
  )
  const good = await vl.batch([...entries], greedy)
  for (const { index, result } of items)
    if (result) expect(essence(result)).toEqual(good[index]?.result && essence(good[index].result))
})

test.each([{ signal: 7 }, { maxTokens: 0 }, { nothing: 1 }])(
  'whose options are wrong: %j',
  async (options) => {
    const [bad, good] = await vl.batch([{ messages: 'x', options: options as never }, 'x'], { maxTokens: 2 })
    expect(bad?.error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(good?.result?.usage.completionTokens).toBe(2)
  },
)

test('may have options of its own', async () => {
  const items = await vl.batch(
    [
      { messages: 'one', options: { maxTokens: 3 } },
      { messages: 'two', options: { temprature: 1 } as never },
      { messages: 'three', options: { signal: AbortSignal.abort() } },
      'four',
    ],
    { ...greedy, maxTokens: 5 },
  )
  expect(items.map(({ result, error }) => result?.usage.completionTokens ?? error?.name)).toEqual([
    3,
    'InvalidArgumentError',
    'AbortError',
    5,
  ])
})

test('a schema types and checks every answer', async () => {
  const items = await vl.batch(['A', 'B'], { schema: z.object({ n: z.int().min(0).max(9) }) })
  for (const { result } of items) expect(result?.value.n).toEqual(expect.any(Number))
})

test('a loop gets results in order, as soon as they are there', async () => {
  const seen: number[] = []
  for await (const { index, result } of vl.batch(
    [{ messages: 'slow', options: { maxTokens: 400 } }, 'quick', 'quick too'],
    { ...greedy, maxTokens: 2 },
  )) {
    seen.push(index, result?.usage.completionTokens ?? NaN)
  }
  expect(seen).toEqual([0, 400, 1, 2, 2, 2])
})

/** Conversations without an end, and how many of them were taken. */
function endless() {
  const state = { taken: 0, closed: false }
  async function* conversations() {
    try {
      for (;;) yield `Number ${state.taken++}`
    } finally {
      state.closed = true
    }
  }
  return { state, conversations: conversations() }
}

/** One conversation, and then none for as long as the test lasts. */
async function* neverNext() {
  yield 'Hello'
  await new Promise(() => undefined)
}

test('what is answered does not wait for the next conversation', async () => {
  for await (const { index, result } of vl.batch(neverNext(), { ...greedy, concurrency: 2 })) {
    expect([index, result?.tokens.length]).toEqual([0, 16])
    break // which does not wait either
  }
  const signal = AbortSignal.timeout(100)
  await expectError(async () => vl.batch(neverNext(), { ...greedy, signal }), {
    type: AbortError,
    code: 'ABORTED',
    says: [],
  })
  expect(vl.stats().requests.active).toBe(0)
})

test('leaving the loop ends the rest; nothing more is taken', async () => {
  const { state, conversations } = endless()
  const seen: number[] = []
  for await (const { index } of vl.batch(conversations, { ...greedy, concurrency: 3 })) {
    seen.push(index)
    if (seen.length === 4) break
  }
  expect(seen).toEqual([0, 1, 2, 3])
  expect(state.closed).toBe(true)
  expect(state.taken).toBeLessThanOrEqual(4 + 3 * 8)
  expect(vl.stats().requests.active).toBe(0)
})

test('a reader that stops reading stops the batch', async () => {
  const { state, conversations } = endless()
  const reader = vl.batch(conversations, { ...greedy, concurrency: 2 })[Symbol.asyncIterator]()
  await reader.next()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(state.taken).toBeLessThanOrEqual(2 * 8 + 2)
  await reader.return(undefined)
})

test('a signal ends all of it', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const { state, conversations } = endless()
  const waiting = vl.batch(conversations, { ...long, signal }).then(
    () => 'done',
    (error: unknown) => error,
  )
  setTimeout(() => controller.abort(new Error('enough')), 30)
  expect(await waiting).toMatchObject({ name: 'AbortError', cause: { message: 'enough' } })
  expect(state.closed).toBe(true)
  expect(listeners(signal)).toBe(0)
  expect(vl.stats().requests.active).toBe(0)
  await expectError(async () => vl.batch(['x'], { signal }), { type: AbortError, code: 'ABORTED', says: [] })
})

test('what the conversations throw is thrown', async () => {
  async function* failing() {
    yield 'one'
    throw new Error('no more lines')
  }
  await expect(vl.batch(failing(), long)).rejects.toThrow('no more lines')
  expect(await vl.batch(failing(), long).catch((error: unknown) => (error as Error).message)).toBe(
    'no more lines',
  )
  const settled = jest.fn()
  expect(await vl.batch(['Hello'], { maxTokens: 1 }).finally(settled)).toHaveLength(1)
  expect(settled).toHaveBeenCalledTimes(1)
  expect(vl.stats().requests.active).toBe(0)
})

test('of nothing is nothing', async () => {
  expect(await vl.batch([])).toEqual([])
})

test('wrong arguments', async () => {
  const wrong = { type: InvalidArgumentError, code: 'INVALID_ARGUMENT' } as const
  for (const value of ['text', 7, null, undefined, {}])
    await expectError(async () => vl.batch(value as never), { ...wrong, says: ['`conversations`'] })
  for (const concurrency of [0, -1, 1.5, NaN, 'x'])
    await expectError(async () => vl.batch(['x'], { concurrency } as never), {
      ...wrong,
      says: ['`concurrency`'],
    })
  await expectError(async () => vl.batch(['x'], { temprature: 1 } as never), {
    ...wrong,
    says: ['`temprature`'],
  })
})
