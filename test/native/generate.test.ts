/** One prompt, one answer: parts, counts, sampling, stops. */
import { image, user } from '../../lib'
import type { GenerationResult, QwenVL } from '../../lib'
import { picture } from '../support/fixtures'
import { collect, essence, greedy, loadFixture, textOf } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture()
})
afterAll(() => vl.dispose())

const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })

describe('the stream', () => {
  test('gives pictures, then text, then exactly one finish', async () => {
    const stream = vl.stream([user(scene, scene, 'Compare.')], greedy)
    const parts = await collect(stream)
    const types = parts.map(({ type }) => type)
    expect(types.slice(0, 2)).toEqual(['image', 'image'])
    expect(types.slice(2, -1).every((type) => type === 'text')).toBe(true)
    expect(types.filter((type) => type === 'finish')).toHaveLength(1)
    expect(types.at(-1)).toBe('finish')

    const result = await stream.result
    expect(textOf(parts)).toBe(result.text)
    expect(parts.flatMap((part) => (part.type === 'text' ? part.tokens : []))).toEqual([...result.tokens])
    const { finishReason, usage, timings, rates } = result
    expect(parts.at(-1)).toEqual({ type: 'finish', finishReason, usage, timings, rates })
    expect(parts.slice(0, 2)).toEqual(
      result.images.map((report, index) => ({ type: 'image', index, ...report })),
    )
  })

  test('tells how a picture was shown', async () => {
    const { images } = await vl.chat([user(scene, 'What?')], greedy)
    expect(images).toHaveLength(1)
    const [{ original, processed, grid, tokens } = { grid: { t: 0, h: 0, w: 0 } }] = images
    expect(original?.width).toBeGreaterThan(0)
    expect(processed).toEqual({ width: grid.w * 14, height: grid.h * 14 })
    expect(tokens).toBe((grid.h * grid.w) / 4)
  })

  test('chat, stream().result and stream().text() agree', async () => {
    const answer = await vl.chat('Hello', greedy)
    expect(essence(await vl.stream('Hello', greedy).result)).toEqual(essence(answer))
    expect(await vl.stream('Hello', greedy).text()).toBe(answer.text)
  })
})

describe('usage', () => {
  test.each([
    ['a text', 'Hello'],
    ['a conversation', [user('Hello'), { role: 'assistant', content: 'Hi' } as const, user('again')]],
    ['a picture', [user(scene, 'What is it?')]],
  ])('countTokens tells what %s will take', async (_, messages) => {
    const { usage } = await vl.chat(messages, greedy)
    expect(usage.promptTokens).toBe(await vl.countTokens(messages))
    expect(usage.completionTokens).toBe(16)
  })

  test('maxTokens is the number of tokens', async () => {
    for (const maxTokens of [1, 2, 7]) {
      const answer = await vl.chat('Hello', { ...greedy, maxTokens })
      expect(answer.finishReason).toBe('length')
      expect(answer.tokens).toHaveLength(maxTokens)
      expect(answer.usage.completionTokens).toBe(maxTokens)
    }
  })

  test('the context is the limit where maxTokens is not', async () => {
    const { temperature, ignoreEos } = greedy
    const answer = await vl.chat('Hello', { temperature, ignoreEos })
    expect(answer.finishReason).toBe('length')
    // The last token needs no cell of its own.
    expect(answer.usage.promptTokens + answer.usage.completionTokens).toBe(vl.info.contextSize + 1)
  })

  test('timings are there and not negative', async () => {
    const { timings } = await vl.chat([user(scene, 'What is it, I wonder?')], greedy)
    for (const value of Object.values(timings)) expect(value).toBeGreaterThanOrEqual(0)
    expect(timings.prefillMs).toBeGreaterThan(0)
    expect(timings.generateMs).toBeGreaterThan(0)
  })
})

describe('speculation', () => {
  const list = { maxTokens: 80, grammar: 'root ::= "red, green and blue. " root' }

  test.each([
    ['greedy', 20, { temperature: 0 }],
    ['sampled', 0, { temperature: 1, seed: 7 }],
    ['with a text that ends it', 0, { temperature: 0, stop: 'e. red, green and b' }],
  ])('guesses change nothing in an answer, %s', async (_, least, options) => {
    const plain = await vl.chat('Colours?', { ...list, ...options })
    const guessed = await vl.chat('Colours?', { ...list, ...options, speculate: 8 })
    const { guessedTokens, acceptedTokens, ...usage } = guessed.usage
    expect(essence(guessed)).toEqual(essence(plain))
    expect(usage).toEqual({ ...plain.usage, cachedTokens: expect.any(Number) })
    expect(acceptedTokens).toBeGreaterThanOrEqual(least)
    expect(guessedTokens).toBeGreaterThanOrEqual(acceptedTokens ?? NaN)
  })

  test('the context is the limit there too', async () => {
    const { grammar } = list
    const { usage } = await vl.chat('Colours?', { grammar, temperature: 0, speculate: 16 })
    expect(usage.promptTokens + usage.completionTokens).toBe(vl.info.contextSize + 1)
  })
})

describe('sampling', () => {
  const random = { maxTokens: 24, temperature: 1, topK: 0, topP: 1, minP: 0, ignoreEos: true } as const

  test('the same seed gives the same text, another seed another', async () => {
    const first = await vl.chat('Hello', { ...random, seed: 7 })
    await vl.chat('Something in between', greedy)
    expect(essence(await vl.chat('Hello', { ...random, seed: 7 }))).toEqual(essence(first))
    expect((await vl.chat('Hello', { ...random, seed: 8 })).text).not.toBe(first.text)
    // At temperature 1 this model gives the same text twice in one of a hundred tries or so.
    const unseeded = async () => (await vl.chat('Hello', { ...random, temperature: 5 })).text
    expect(await unseeded()).not.toBe(await unseeded())
  })

  test('greedy does not depend on the seed, nor on topK 1 and temperature', async () => {
    const expected = essence(await vl.chat('Hello', greedy))
    expect(essence(await vl.chat('Hello', { ...greedy, seed: 99 }))).toEqual(expected)
    expect(essence(await vl.chat('Hello', { ...greedy, temperature: 5, topK: 1 }))).toEqual(expected)
    expect(essence(await vl.chat('Hello', { ...greedy, temperature: 1, topP: 0 }))).toEqual(expected)
  })

  test('penalties change the answer', async () => {
    const plain = { ...greedy, repetitionPenalty: 1 }
    const { tokens } = await vl.chat('Hello', plain)
    for (const penalty of [{ repetitionPenalty: 3 }, { presencePenalty: 20 }, { frequencyPenalty: 20 }]) {
      const penalised = await vl.chat('Hello', { ...plain, ...penalty })
      expect(penalised.tokens).not.toEqual(tokens)
      expect(new Set(penalised.tokens).size).toBeGreaterThan(new Set(tokens).size)
    }
  })
})

describe('log-probabilities', () => {
  test('of the whole vocabulary add up to 1, and the greedy token is the first', async () => {
    const answer = await vl.chat('Hello', { ...greedy, repetitionPenalty: 1, logprobs: vl.info.vocabSize })
    expect(answer.logprobs).toHaveLength(answer.tokens.length)
    for (const [index, { top, ...chosen }] of (answer.logprobs ?? []).entries()) {
      expect(chosen.token).toBe(answer.tokens[index])
      expect(top).toHaveLength(vl.info.vocabSize)
      expect(top.reduce((sum, entry) => sum + Math.exp(entry.logprob), 0)).toBeCloseTo(1, 5)
      expect(top[0]).toEqual(chosen)
      expect(top.map((entry) => entry.logprob)).toEqual(
        top.map((entry) => entry.logprob).sort((a, b) => b - a),
      )
    }
  })

  test('true asks for the chosen token alone, and they come with the parts', async () => {
    const stream = vl.stream('Hello', { ...greedy, logprobs: true })
    const parts = (await collect(stream)).filter((part) => part.type === 'text')
    const { logprobs } = await stream.result
    expect(parts.flatMap((part) => part.logprobs ?? [])).toEqual(logprobs)
    expect(logprobs?.every(({ top }) => top.length === 0)).toBe(true)
  })

  test('have the bytes of their tokens, which are the text, for a token may be a part of a character', async () => {
    const answer = await vl.chat('Hello', { grammar: 'root ::= "né 漢 🐕"', temperature: 0, logprobs: 2 })
    expect(answer).toMatchObject({ text: 'né 漢 🐕', finishReason: 'stop' })
    const bytes = (answer.logprobs ?? []).map((entry) => entry.bytes)
    expect(Buffer.from(bytes.flat()).toString()).toBe('né 漢 🐕')
    expect(bytes).toContainEqual([0xf0]) // of the dog
    expect(bytes.at(-1)).toEqual([]) // the end of turn
    for (const { token, bytes } of (answer.logprobs ?? []).flatMap(({ top }) => top))
      expect(Buffer.from(bytes).toString()).toBe(vl.detokenize(Int32Array.of(token)))
  })

  test('are absent unless asked for', async () => {
    expect(await vl.chat('Hello', greedy)).not.toHaveProperty('logprobs')
  })
})

describe('stop', () => {
  let plain: GenerationResult
  let pieces: string[]
  beforeAll(async () => {
    plain = await vl.chat('Hello', { ...greedy, maxTokens: 40 })
    pieces = (await collect(vl.stream('Hello', { ...greedy, maxTokens: 40 }))).flatMap((part) =>
      part.type === 'text' ? [part.text] : [],
    )
  })

  test('a stop string that lies across two tokens ends the text before it', async () => {
    // The last character of each token's text and the first of the next one's.
    const across = pieces
      .slice(1)
      .map((piece, i) => [...(pieces[i] ?? '')].slice(-1).concat([...piece].slice(0, 1)))
    const stops = new Set(across.filter((pair) => pair.length === 2).map((pair) => pair.join('')))
    expect(stops.size).toBeGreaterThan(3)
    for (const stop of stops) {
      const stream = vl.stream('Hello', { ...greedy, maxTokens: 40, stop })
      const parts = await collect(stream)
      const answer = await stream.result
      expect(answer.text).toBe(plain.text.slice(0, plain.text.indexOf(stop)))
      expect(textOf(parts)).toBe(answer.text)
      expect(answer.finishReason).toBe('stop')
    }
  })

  test('the first of several wins; one that never comes changes nothing', async () => {
    const [first = '', second = ''] = [plain.text.slice(3, 5), plain.text.slice(12, 15)]
    const answer = await vl.chat('Hello', { ...greedy, maxTokens: 40, stop: [second, first, 'never'] })
    const at = Math.min(plain.text.indexOf(first), plain.text.indexOf(second))
    expect(answer.text).toBe(plain.text.slice(0, at))
    const never = await vl.chat('Hello', { ...greedy, maxTokens: 40, stop: 'never to be said' })
    expect(essence(never)).toEqual(essence(plain))
  })

  test('a stop token ends the answer and is no part of it', async () => {
    const settings = { temperature: 3, topK: 0, topP: 1, minP: 0, maxTokens: 400 }
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, seed) => vl.chat('Hello', { ...settings, seed })),
    )
    const stopped = answers.filter(({ finishReason }) => finishReason === 'stop')
    expect(stopped.length).toBeGreaterThan(0)
    for (const { tokens, usage, text } of stopped) {
      expect(usage.completionTokens).toBe(tokens.length + 1)
      expect(text).not.toContain('<|im_end|>')
    }
  })
})

describe('batches', () => {
  const batchSize = 32

  /** A user's text whose whole prompt takes exactly `tokens`. */
  async function textOfTokens(tokens: number): Promise<string> {
    for (let length = 1; length < 200; length++) {
      const text = '7'.repeat(length) // digits are single tokens
      if ((await vl.countTokens(text)) === tokens) return text
    }
    throw new Error(`no text of ${tokens} tokens`)
  }

  test.each([-1, 0, 1])(
    'prompts of two batches and %i tokens give the numbers of one large batch',
    async (more) => {
      const text = await textOfTokens(2 * batchSize + more)
      const settings = { ...greedy, logprobs: 5 }
      await using inSteps = await loadFixture({ batchSize })
      await using atOnce = await loadFixture({ batchSize: 512 })
      const [a, b] = [await inSteps.chat(text, settings), await atOnce.chat(text, settings)]
      expect(a.usage.promptTokens).toBe(2 * batchSize + more)
      expect(essence(a)).toEqual(essence(b))
      for (const [index, { logprob }] of (a.logprobs ?? []).entries()) {
        expect(logprob).toBeCloseTo(b.logprobs?.[index]?.logprob ?? NaN, 3)
      }
    },
  )

  test('a picture of more rows than a batch', async () => {
    await using inSteps = await loadFixture({ batchSize: 5 })
    const messages = [user(scene, 'What?')]
    const [a, b] = [await inSteps.chat(messages, greedy), await vl.chat(messages, greedy)]
    expect(a.images[0]?.tokens).toBeGreaterThan(5)
    expect(essence(a)).toEqual(essence(b))
  })

  test('a batch of one token', async () => {
    await using single = await loadFixture({ batchSize: 1 })
    expect(essence(await single.chat('Hello', greedy))).toEqual(essence(await vl.chat('Hello', greedy)))
  })
})

describe('earlier requests', () => {
  test('leave no trace in a greedy answer', async () => {
    await using fresh = await loadFixture()
    const expected = essence(await fresh.chat('What is the colour of the sea?', greedy))
    const reused: number[] = []
    for (const before of [
      'What is the colour of grass?',
      'What is',
      'Something else',
      'What is the colour of the sea?',
    ]) {
      await vl.chat(before, greedy)
      const answer = await vl.chat('What is the colour of the sea?', greedy)
      expect(essence(answer)).toEqual(expected)
      reused.push(answer.usage.cachedTokens)
    }
    // The same prompt again: all but its last token.
    expect(reused.at(-1)).toBe(expected.promptTokens - 1)
    expect(Math.min(...reused)).toBeGreaterThan(0)
  })

  test('the same picture is not encoded again, another one is', async () => {
    const first = await vl.chat([user(scene, 'What?')], greedy)
    const again = await vl.chat([user(scene, 'Where?')], greedy)
    const other = await vl.chat(
      [user(image(picture('square.png'), { maxPixels: 28 * 28 * 16 }), 'Where?')],
      greedy,
    )
    expect(again.images[0]).toMatchObject({ cached: true, encodeMs: 0 })
    expect(other.images[0]?.cached).toBe(false)
    expect(other.images[0]?.encodeMs).toBeGreaterThan(0)
    expect(essence(await vl.chat([user(scene, 'What?')], greedy))).toEqual(essence(first))
  })
})
