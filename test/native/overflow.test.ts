/** Chats that grow longer than the context: an error, or room is made, and the result says what had to go. */
import { ContextOverflowError, InvalidArgumentError, image, tool } from '../../lib'
import type { ChatOptions, QwenVL } from '../../lib'
import { expectError } from '../support/errors'
import { noise } from '../support/fixtures'
import { collect, greedy, loadFixture } from '../support/model'

const contextSize = 512
/** What a prompt may take beside an answer of 16 tokens. */
const room = contextSize - greedy.maxTokens

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ contextSize })
})
afterAll(() => vl.dispose())

const words = (count: number) => 'word '.repeat(count)
const picture = (seed: number, side: number) =>
  image({ data: noise(side, side, seed), width: side, height: side, channels: 3 })
const overflow = { type: ContextOverflowError, code: 'CONTEXT_OVERFLOW' } as const

/** Says the same until the context must be full. */
async function talk(options: ChatOptions, turns: number, text = words(8)) {
  const chat = vl.createChat({ ...greedy, ...options })
  const answers = []
  for (let n = 0; n < turns; n++) answers.push(await chat.send(`${n}: ${text}`))
  return { chat, answers }
}

describe("'error'", () => {
  test('is the default; the chat is as it was before the turn', async () => {
    const { chat } = await talk({ system: 'Be brief.' }, 3)
    await expectError(() => chat.send(words(600)), { ...overflow, says: ['contextSize'] })
    expect(chat.length).toBe(7)
    expect((await chat.send('Still there?')).evicted).toBeUndefined()
  })
})

describe("'dropOldestTurns'", () => {
  test('leaves out the oldest turns, never the system message, and says how many', async () => {
    const { chat, answers } = await talk({ system: 'Be brief.', overflow: 'dropOldestTurns' }, 30)
    const evicting = answers.filter(({ evicted }) => evicted)
    expect(evicting.length).toBeGreaterThan(1)
    // Not every turn: what is left is brought well below what fits.
    expect(evicting.length).toBeLessThan(15)
    for (const { usage, evicted } of answers) {
      expect(usage.promptTokens).toBeLessThanOrEqual(room)
      if (evicted) {
        expect(evicted).toEqual({ turns: expect.any(Number), images: 0 })
        expect(usage.promptTokens).toBeLessThanOrEqual(0.75 * room)
      }
    }
    const dropped = answers.reduce((sum, { evicted }) => sum + (evicted?.turns ?? 0), 0)
    expect(chat.length).toBe(1 + 2 * (30 - dropped))
  })

  test('answers as a chat does that never had those turns', async () => {
    const { chat, answers } = await talk({ system: 'Be brief.', overflow: 'dropOldestTurns' }, 30)
    const last = answers.findLastIndex(({ evicted }) => evicted)
    const answer = answers[last]
    const kept =
      last - answers.slice(0, last + 1).reduce((sum, { evicted }) => sum + (evicted?.turns ?? 0), 0)
    const shorter = vl.createChat({
      ...greedy,
      messages: [
        { role: 'system', content: 'Be brief.' },
        ...answers.slice(last - kept, last).flatMap(({ text, tokens }, n) => [
          { role: 'user' as const, content: `${last - kept + n}: ${words(8)}` },
          { role: 'assistant' as const, content: text, tokens },
        ]),
      ],
    })
    const same = await shorter.send(`${last}: ${words(8)}`)
    expect(same.usage.promptTokens).toBe(answer?.usage.promptTokens)
    expect(same.text).toBe(answer?.text)
    expect(chat.length).toBeGreaterThan(1)
  })

  test('a turn that does not fit alone is an error', async () => {
    const { chat } = await talk({ overflow: 'dropOldestTurns' }, 3)
    await expectError(() => chat.send(words(600)), { ...overflow, says: ['last turn', 'contextSize'] })
    expect(chat.length).toBe(6)
    await chat.send('Still there?')
  })

  test('the stream tells it before the answer', async () => {
    const { chat } = await talk({ overflow: 'dropOldestTurns' }, 3, words(20))
    const parts = await collect(chat.stream(words(90)))
    expect(parts[0]).toMatchObject({ type: 'evicted', images: 0 })
    expect(parts.at(-1)).toMatchObject({ type: 'finish' })
  })

  test('of a turn that calls tools nothing is left out', async () => {
    const look = tool({ name: 'look', description: 'Looks.', run: () => words(20) })
    await using larger = await loadFixture({ contextSize: 1024 })
    const chat = larger.createChat({ ...greedy, overflow: 'dropOldestTurns' })
    for (let n = 0; n < 5; n++) await chat.send(`${n}: ${words(50)}`)
    const options = { tools: [look], toolChoice: { name: 'look' }, ignoreEos: false, maxTokens: 60 } as const
    const { steps, usage, evicted } = await chat.stream('Look!', options).result
    expect(evicted?.turns).toBeGreaterThan(0)
    expect(steps.length).toBeGreaterThan(1)
    expect(usage.promptTokens).toBeLessThan(1024)
  })

  test('may be asked for in one turn', async () => {
    const { chat } = await talk({}, 3, words(20))
    await expectError(() => chat.send(words(90)), { ...overflow, says: [] })
    const { evicted } = await chat.stream(words(90), { overflow: 'dropOldestTurns' }).result
    expect(evicted?.turns).toBeGreaterThan(0)
  })
})

describe("'shrinkImages'", () => {
  test('shows earlier pictures smaller, the oldest first; reports keep the size of the original', async () => {
    const chat = vl.createChat({ ...greedy, overflow: 'shrinkImages' })
    const sizes = []
    for (let seed = 1; seed <= 6; seed++) sizes.push(await chat.send(picture(seed, 28 * 12), 'What is it?'))
    for (const { usage } of sizes) expect(usage.promptTokens).toBeLessThanOrEqual(room)
    const last = sizes.at(-1)
    expect(last?.images).toHaveLength(6)
    expect(last?.images.map(({ original }) => original)).toEqual(
      Array.from({ length: 6 }, () => ({ width: 28 * 12, height: 28 * 12 })),
    )
    const tokens = last?.images.map((each) => each.tokens) ?? []
    expect(tokens.at(-1)).toBe(144)
    expect([...tokens].sort((a, b) => a - b)).toEqual(tokens)
    expect(tokens[0]).toBeLessThan(144)
    const evicted = sizes.flatMap((each) => (each.evicted ? [each.evicted] : []))
    expect(evicted.length).toBeGreaterThan(0)
    for (const each of evicted) expect(each).toEqual({ turns: 0, images: expect.any(Number) })
    expect(chat.length).toBe(12)
  })

  test('is an error where no picture is left to shrink', async () => {
    const { chat } = await talk({ overflow: 'shrinkImages' }, 3, words(20))
    await expectError(() => chat.send(words(90)), { ...overflow, says: ['pictures'] })
    await expectError(() => chat.send(picture(9, 28 * 24), 'What is it?'), { ...overflow, says: [] })
    expect(chat.length).toBe(6)
  })
})

test('a wrong policy', async () => {
  const wrong = { type: InvalidArgumentError, code: 'INVALID_ARGUMENT', says: ['`overflow`'] } as const
  await expectError(() => vl.createChat({ overflow: 'forget' as never }), wrong)
  await expectError(() => vl.createChat().stream('x', { overflow: true as never }), wrong)
  await expectError(() => vl.chat('x', { overflow: 'error' } as never), wrong)
})
