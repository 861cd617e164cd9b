/** Thoughts of a model that thinks, with random weights: they are told apart from the answer, and end at their budget. */
import { z } from 'zod'
import { image, user } from '../../lib'
import type { QwenVL } from '../../lib'
import { picture } from '../support/fixtures'
import { collect, loadFixture } from '../support/model'

const scene = image(picture('scene.png'), { maxPixels: 32 * 32 * 16 })
const loud = { temperature: 1.5, topK: 0, topP: 1, seed: 3 }
const outOfTime = /Considering the limited time by the user, .* based on the thinking directly now\.$/

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ id: 'qwen3.5', contextSize: 1024 })
})
afterAll(() => vl.dispose())

test('a thought that does not end is no answer', async () => {
  const { text, reasoning, finishReason } = await vl.chat([user(scene, 'What?')], { ...loud, maxTokens: 12 })
  expect({ text, finishReason }).toEqual({ text: '', finishReason: 'length' })
  expect(reasoning).not.toBe('')
})

test('at its budget it is ended, and the answer follows', async () => {
  const stream = vl.stream([user(scene, 'What?')], {
    ...loud,
    thinkingBudget: 8,
    maxTokens: 400,
    grammar: 'root ::= "yes" | "no"',
  })
  const parts = await collect(stream)
  const { text, reasoning, finishReason, tokens } = await stream.result
  expect({ text, finishReason }).toEqual({ text: expect.stringMatching(/^(yes|no)$/), finishReason: 'stop' })
  expect(reasoning).toMatch(outOfTime)
  const join = (type: string) =>
    parts
      .map((part) =>
        (part.type === 'text' || part.type === 'reasoning') && part.type === type ? part.text : '',
      )
      .join('')
  expect([join('reasoning'), join('text')]).toEqual([reasoning, text])
  const order = parts.map(({ type }) => type)
  expect(order.indexOf('text')).toBeGreaterThan(order.lastIndexOf('reasoning'))
  const ids = parts.flatMap((part) =>
    'tokens' in part && typeof part.tokens === 'object' ? part.tokens : [],
  )
  expect(ids.slice(0, tokens.length)).toEqual([...tokens])
})

test('no budget, no thought', async () => {
  const { text, reasoning } = await vl.chat('x', { ...loud, thinkingBudget: 0, grammar: 'root ::= "yes"' })
  expect({ text, reasoning }).toEqual({ text: 'yes', reasoning: undefined })
})

test('a schema holds for the answer, not for the thought', async () => {
  const schema = z.object({ n: z.enum(['a', 'b']) })
  const { value, reasoning } = await vl.chat('x', { ...loud, thinkingBudget: 6, maxTokens: 400, schema })
  expect(schema.parse(value)).toEqual(value)
  expect(reasoning).toMatch(outOfTime)
})

test('a chat goes on behind an answer with a thought', async () => {
  const chat = vl.createChat({ ...loud, thinkingBudget: 4, maxTokens: 400, grammar: 'root ::= "yes" | "no"' })
  const first = await chat.send('A?')
  const second = await chat.send('B?')
  expect(first.text).toMatch(/^(yes|no)$/)
  expect(second.text).toMatch(/^(yes|no)$/)
  expect(second.usage.cachedTokens).toBeGreaterThan(0)
})

test('a model that does not think has no thought to end', async () => {
  const plain = await loadFixture({ id: 'qwen3vl' })
  const { text, reasoning } = await plain.chat('x', { thinkingBudget: 3, grammar: 'root ::= "yes"' })
  expect({ text, reasoning }).toEqual({ text: 'yes', reasoning: undefined })
  await plain.dispose()
})
