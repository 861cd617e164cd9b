/**
 * 200 requests at once, a third of them bad or cancelled at random moments: the good ones are answered as in a quiet run, and
 * nothing is left behind. What is random follows a seed, which a failure names.
 */
import { image, user, video } from '../../lib'
import type { ContentPart, GenerateOptions, QwenVL } from '../../lib'
import { noise } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { essence, loadFixture } from '../support/model'
import { scoreDifference, scoresOf } from '../support/numbers'
import type { Scored } from '../support/numbers'
import { randomOf } from '../support/random'

const seed = 20261125
const count = 200

type Kind = 'text' | 'picture' | 'pictures' | 'video' | 'embedding' | 'chat'
type Fate = 'good' | 'bad' | 'aborted' | 'left' | 'unread'

interface Plan {
  readonly kind: Kind
  readonly fate: Fate
  readonly n: number
  readonly maxTokens: number
  /** When an aborted one is aborted, in ms; of whom a reader leaves: after so many parts. */
  readonly moment: number
}

function plans(): Plan[] {
  const { fraction, below, oneOf } = randomOf(seed)
  return Array.from({ length: count }, (_, n) => ({
    n,
    kind: oneOf<Kind>(['text', 'text', 'picture', 'pictures', 'video', 'embedding', 'chat']),
    fate:
      n % 3 === 0
        ? oneOf<Fate>(['bad', 'aborted', 'aborted', 'left'])
        : oneOf<Fate>(['good', 'good', 'good', 'unread']),
    maxTokens: 1 + below(12),
    moment: Math.floor(fraction() ** 2 * 4000),
  }))
}

const raw = (id: number, side: number) =>
  ({ data: noise(side, side, id), width: side, height: side, channels: 3 }) as const
/** Some pictures are asked about several times. */
const picture = (n: number) => image(raw(n % 40, 56 + 28 * (n % 3)))

function contentOf({ kind, n }: Plan): ReadonlyArray<string | ContentPart> {
  const shared =
    n % 2 === 0 ? 'A text that many requests begin with, so that they share what is computed of it. ' : ''
  const question = `${shared}Question ${n}: ${'why '.repeat(n % 9)}?`
  switch (kind) {
    case 'picture':
      return [picture(n), question]
    case 'pictures':
      return [picture(n), 'or', picture(n + 1), question]
    case 'video':
      return [video([n, n + 1, n + 2, n + 3].map((id) => raw(id, 56))), question]
    default:
      return [question]
  }
}

const badContents: ReadonlyArray<ReadonlyArray<string | ContentPart>> = [
  [image('/does/not/exist.png'), 'What?'],
  [image(Buffer.from('no picture')), 'What?'],
  [image(raw(1, 56), { maxPixels: 1, minPixels: 5 }), 'What?'],
  [image({ ...raw(1, 56), width: 57 }), 'What?'],
  ['word '.repeat(3000)],
  [video(['/does/not/exist.png', '/neither.png']), 'What?'],
]

/** What a request came to, without times. */
async function perform(
  vl: QwenVL,
  plan: Plan,
  quiet: boolean,
  asked: GenerateOptions = {},
): Promise<unknown> {
  const { kind, fate, n, moment } = plan
  const controller = new AbortController()
  const settings = {
    // Some sample: the seed decides, not the moment.
    ...(n % 5 === 0 ? { temperature: 1, seed: n } : { temperature: 0 }),
    ignoreEos: true,
    maxTokens: plan.maxTokens,
    ...asked,
    priority: n % 3,
    signal: controller.signal,
  }
  const content = fate === 'bad' ? (badContents[n % badContents.length] ?? []) : contentOf(plan)
  if (fate === 'aborted') setTimeout(() => controller.abort(), moment)
  if (kind === 'embedding' && fate !== 'bad') {
    const { data } = await vl.embedImage(picture(n), { signal: controller.signal })
    return data.reduce((sum, value, index) => sum + value * (1 + (index % 7)), 0)
  }
  if (kind === 'chat' && fate !== 'bad') {
    const { signal: _, ...defaults } = settings
    const chat = vl.createChat(defaults)
    const first = await chat.stream(content, { signal: controller.signal }).result
    const second = await chat.stream(`And ${n}?`, { signal: controller.signal }).result
    return [first, second].map(essence)
  }
  const stream = vl.stream([user(...content)], settings)
  if (fate === 'left') {
    let parts = 0
    for await (const _ of stream) if (parts++ >= moment % 6) break
    return 'left'
  }
  // Whom nobody reads for a while holds up nobody.
  if (fate === 'unread' && !quiet) await new Promise((resolve) => setTimeout(resolve, moment / 4))
  const result = await stream.result
  return { ...essence(result), scores: scoresOf(result) }
}

const options = {
  contextSize: 768,
  batchSize: 64,
  parallel: 4,
  maxQueue: count,
  deterministic: true,
  stepMs: 5,
} as const

test('the good among many bad requests are answered as in a quiet run', async () => {
  const all = plans()
  const good = all.filter(({ fate }) => fate === 'good' || fate === 'unread')
  expect(good.length).toBeLessThan((count * 2) / 3 + 1)
  const expected = new Map<number, unknown>()
  await using quiet = await loadFixture(options)
  for (const plan of good) expected.set(plan.n, await perform(quiet, plan, true))

  await using busy = await loadFixture(options)
  const outcomes = await Promise.allSettled(all.map((plan) => perform(busy, plan, false)))
  const wrong = all.flatMap((plan) => {
    const outcome = outcomes[plan.n]
    const told = outcome?.status === 'fulfilled' ? outcome.value : (outcome?.reason as { code?: string }).code
    switch (plan.fate) {
      case 'good':
      case 'unread': {
        const same = JSON.stringify(told) === JSON.stringify(expected.get(plan.n))
        return same ? [] : [{ seed, plan, told, expected: expected.get(plan.n) }]
      }
      case 'bad': // by an error of ours
        return typeof told === 'string' && /^[A-Z_]+$/.test(told) ? [] : [{ seed, plan, told }]
      case 'aborted': // or it was faster
        return outcome?.status === 'fulfilled' || told === 'ABORTED' ? [] : [{ seed, plan, told }]
      case 'left':
        return outcome?.status === 'fulfilled' ? [] : [{ seed, plan, told }]
    }
  })
  expect(wrong).toEqual([])

  const ended = (fate: Fate, status: string) =>
    all.filter((plan) => plan.fate === fate && outcomes[plan.n]?.status === status).length
  expect(ended('aborted', 'rejected')).toBeGreaterThan(5)
  expect(ended('bad', 'rejected')).toBeGreaterThan(5)
  expect(busy.stats().requests).toMatchObject({ active: 0, waiting: 0, refused: 0 })

  // And afterwards as before.
  for (const plan of good.slice(0, 10))
    expect(JSON.stringify(await perform(busy, plan, true))).toBe(JSON.stringify(expected.get(plan.n)))
}, 180_000)

describe.each<FixtureId>(['qwen2vl', 'qwen3.5'])('%s', (id) => {
  test('computed together, the good ones have the numbers of a quiet run, but for rounding', async () => {
    const all = plans()
      .filter(({ kind, fate }) => fate !== 'unread' && kind !== 'chat')
      .slice(0, 60)
    const together = { ...options, id, deterministic: false, contextSize: 2048, batchSize: 16 }
    const asked = { temperature: 0, repetitionPenalty: 1, presencePenalty: 0, logprobs: true }
    await using busy = await loadFixture(together)
    const outcomes = await Promise.allSettled(all.map((plan) => perform(busy, plan, false, asked)))
    await using quiet = await loadFixture(together)
    for (const [index, plan] of all.entries()) {
      if (plan.fate !== 'good') continue
      const outcome = outcomes[index]
      expect({ plan, status: outcome?.status }).toEqual({ plan, status: 'fulfilled' })
      const [told = [], expected = []] = [outcome, { value: await perform(quiet, plan, true, asked) }].map(
        numbersOf,
      )
      const difference = scoreDifference(told, expected)
      expect({ plan, difference, isSmall: difference < 0.01 }).toMatchObject({ isSmall: true })
    }
    expect(busy.stats().requests).toMatchObject({ active: 0, waiting: 0, refused: 0 })
  })
})

/** Log-probabilities of the tokens of an answer; of an embedding its sum. */
function numbersOf(outcome: object | undefined): readonly Scored[] {
  const value = outcome && 'value' in outcome ? outcome.value : undefined
  return typeof value === 'number' ? [[0, value]] : (value as { scores: readonly Scored[] }).scores
}
