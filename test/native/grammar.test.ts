/** Grammars: whatever a model of random weights wants to say, the answer follows the rules. */
import { groundingGrammar, image, parseGrounding, user } from '../../lib'
import type { QwenVL } from '../../lib'
import { picture } from '../support/fixtures'
import { loadFixture } from '../support/model'

const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })
const greedy = { temperature: 0, maxTokens: 200 }

describe('an answer', () => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id: 'qwen3vl' })
  })
  afterAll(() => vl.dispose())

  test.each([
    ['one of two words', 'root ::= "yes" | "no"', /^(yes|no)$/],
    ['a number', 'root ::= [1-9] [0-9]{3}', /^[1-9]\d{3}$/],
    ['letters of several bytes', 'root ::= "是" | "不是，" [一二三]', /^(是|不是，[一二三])$/],
    [
      'rules of rules',
      'root ::= "[" pair ("," pair){2} "]"\npair ::= [a-f] ":" [0-9]',
      /^\[[a-f]:\d(,[a-f]:\d){2}\]$/,
    ],
    ['nothing', 'root ::= ""', /^$/],
  ])('%s', async (_, grammar, expected) => {
    for (const sampling of [{ temperature: 0 }, { temperature: 2, topK: 0, topP: 1, seed: 3 }]) {
      const { text, finishReason } = await vl.chat([user(scene, 'What?')], {
        ...greedy,
        ...sampling,
        grammar,
      })
      expect({ text, finishReason }).toEqual({ text: expect.stringMatching(expected), finishReason: 'stop' })
    }
  })

  test('ends where the grammar ends, even if ends are ignored', async () => {
    const { text, finishReason } = await vl.chat('What?', {
      ...greedy,
      grammar: 'root ::= "ab"',
      ignoreEos: true,
    })
    expect({ text, finishReason }).toEqual({ text: 'ab', finishReason: 'stop' })
  })

  test('the number of tokens bounds it all the same', async () => {
    const { text, finishReason } = await vl.chat('What?', {
      ...greedy,
      maxTokens: 5,
      grammar: 'root ::= [a-z]+ "!"',
    })
    expect({ text, finishReason }).toEqual({
      text: expect.stringMatching(/^[a-z]+$/),
      finishReason: 'length',
    })
  })

  test.each([
    ['no grammar', 'hello', /expecting/],
    ['no root', 'main ::= "a"', /root/],
    ['a missing rule', 'root ::= other', /other/],
    ['left recursion', 'root ::= root "a"', /left recursion/],
    ['absurd repetition', 'root ::= "a"{1000000}', /repe/],
  ])('%s is refused, and the next request works', async (_, grammar, message) => {
    await expect(vl.chat('What?', { ...greedy, grammar })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
    expect((await vl.chat('What?', { ...greedy, grammar: 'root ::= "a"' })).text).toBe('a')
  })
})

describe.each(['qwen2vl', 'qwen2.5vl', 'qwen3vl'] as const)('the grounding grammar of %s', (generation) => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id: generation })
  })
  afterAll(() => vl.dispose())

  test.each(['box', 'point'] as const)('forces a %s that can be read', async (kind) => {
    const labels = ['dog', '一只"猫"', 'a \\ b']
    const grammar = groundingGrammar(vl.info, { kind, labels, maxItems: 3 })
    for (const seed of [1, 2, 3, 4]) {
      const answer = await vl.chat([user(scene, 'Find them.')], {
        temperature: 1.5,
        topK: 0,
        topP: 1,
        seed,
        grammar,
      })
      expect(answer.finishReason).toBe('stop')
      // What lies outside the picture or has no area is left out; of a thousandth the rest is there.
      for (const item of parseGrounding(answer, vl.info)) {
        expect(labels).toContain(item.label)
        expect(item.kind).toBe(kind)
      }
      expect(answer.text).toMatch(
        generation === 'qwen2vl'
          ? /^<\|object_ref_start\|>.*<\|box_end\|>$/
          : /^```json\n\[\n\t\{[\s\S]*\n\]\n```$/,
      )
    }
  })

  test('any label, any number of items', async () => {
    const grammar = groundingGrammar(vl.info)
    const answer = await vl.chat([user(scene, 'Find them.')], { ...greedy, maxTokens: 120, grammar })
    expect(answer.text).toMatch(
      generation === 'qwen2vl' ? /^<\|object_ref_start\|>[^<]/ : /^```json\n\[\n\t\{"bbox_2d": \[\d/,
    )
  })
})
