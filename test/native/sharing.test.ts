/** Requests that begin the same share what was computed of it: that takes no room and no right answer from anybody. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { answerMessage, user, video } from '../../lib'
import type { Message } from '../../lib'
import { noise } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const options = { ...greedy, repetitionPenalty: 1, presencePenalty: 0, logprobs: true }
const frame = (n: number, side: number) =>
  ({ data: noise(side, side, n), width: side, height: side, channels: 3 }) as const

test('more answers than the memory holds wait for each other and end', async () => {
  await using vl = await loadFixture({ contextSize: 512, parallel: 3 })
  const beginning = 'A beginning that all of them share. '.repeat(3)
  const long = { ...options, maxTokens: 250 }
  const answers = await Promise.all([1, 2, 3].map((n) => vl.chat(`${beginning}${n}?`, long)))
  for (const { usage } of answers) expect(usage.completionTokens).toBe(250)
})

// Sixteen frames a second: two pairs at one position in time.
test('a video that begins as another one does whose next frames are half computed', async () => {
  const load = () => loadFixture({ id: 'qwen2.5vl', contextSize: 2048, batchSize: 16 })
  await using busy = await load()
  const clip = (n: number) =>
    busy.embedVideo(
      video(
        [1, 2, n, n + 1].map((each) => frame(each, 616)),
        { sampleFps: 16 },
      ),
    )
  const [first, second] = [await clip(10), await clip(20)]
  const before = busy.chat([user(first, 'What?')], options)
  while (busy.stats().kv.used < first.tokens / 2) await nextTurn()
  const answer = await busy.chat([user(second, 'What?')], options)
  await before
  await using quiet = await load()
  const expected = await quiet.chat([user(second, 'What?')], options)
  expect(essence(answer)).toEqual(essence(expected))
  for (const [index, { logprob }] of (answer.logprobs ?? []).entries())
    expect(logprob).toBeCloseTo(expected.logprobs?.[index]?.logprob ?? NaN, 3)
})

test('`deterministic` takes over no batch that would have been longer', async () => {
  const load = () => loadFixture({ contextSize: 256, batchSize: 16, deterministic: true })
  await using used = await load()
  for (let length = 1; length <= 16; length++) {
    const short: Message[] = [user('x'.repeat(length))]
    const next = [...short, answerMessage(await used.chat(short, options)), user('And what is it now?')]
    const answer = await used.chat(next, options)
    expect(answer.usage.cachedTokens % 16).toBe(0)
    await using fresh = await load()
    expect(answer.logprobs).toEqual((await fresh.chat(next, options)).logprobs)
  }
})
