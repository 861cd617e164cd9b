/**
 * Guessing with Qwen3.5's own head for multi-token prediction: the answer is the one that the same file gives without, and
 * what the guesses leave behind is right for the next question.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { image, QwenVL, user } from '../../lib'
import type { GenerateOptions, GenerationResult, LoadOptions, Message, MessagesInput } from '../../lib'
import { temporaryFolder } from '../support/errors'
import { pair, picture, root } from '../support/fixtures'
import { essence, loadFixture } from '../support/model'

const temporary = temporaryFolder()
const folder = join(root, 'test', 'fixtures', 'qwen3.5')
const usual = { maxTokens: 40, ignoreEos: true, repetitionPenalty: 1, presencePenalty: 0 } as const
const greedy: GenerateOptions = { ...usual, temperature: 0 }
const sampled: GenerateOptions = { ...usual, temperature: 0.7, topK: 20, seed: 5 }
const limits = { minPixels: 1024, maxPixels: 32 * 32 * 16 }
const scene = image(picture('scene.png'), limits)
const square = image(picture('square.png'), limits)

const load = (options: LoadOptions = {}) =>
  loadFixture({
    id: 'qwen3.5',
    model: join(folder, 'model-mtp-f32.gguf'),
    contextSize: 1024,
    mtp: true,
    ...options,
  })

let vl: QwenVL
let plain: QwenVL
beforeAll(async () => {
  vl = await load()
  plain = await load({ mtp: false })
})
afterAll(() => Promise.all([vl.dispose(), plain.dispose()]))

const guessed: GenerationResult['usage'][] = []
afterAll(() => {
  const sum = (name: 'guessedTokens' | 'acceptedTokens') =>
    guessed.reduce((all, usage) => all + (usage[name] ?? NaN), 0)
  expect(sum('acceptedTokens')).toBeGreaterThan(20)
  expect(sum('guessedTokens')).toBeGreaterThan(sum('acceptedTokens'))
})

/** Also what is asked at the same time. */
async function expectSame(
  messages: MessagesInput,
  options: GenerateOptions,
  model = vl,
): Promise<GenerationResult> {
  const answer = await model.chat(messages, { ...options, speculate: 3 })
  guessed.push(answer.usage)
  expect(essence(answer)).toEqual(essence(await plain.chat(messages, options)))
  return answer
}

test.each([17, 130])('%i answers at a time', async (parallel) => {
  await using many = await load({ mtp: true, parallel, contextSize: 1024 })
  const ask = (n: number) => many.chat(`${n}?`, { ...greedy, maxTokens: 4, speculate: 3 })
  const answers = await Promise.all(Array.from({ length: parallel }, (_, n) => ask(n)))
  for (const { usage } of answers) expect(usage.completionTokens).toBe(4)
})

test('a model says whether it guesses with a head', async () => {
  expect([vl.info.mtp, plain.info.mtp]).toEqual([true, false])
  await using without = await QwenVL.load({ ...pair('qwen3.5'), contextSize: 512, threads: 1, mtp: true })
  expect(without.info.mtp).toBe(false)
  const { usage } = await without.chat('Hm?', { ...greedy, speculate: 3 })
  expect(usage).toMatchObject({ guessedTokens: 0, acceptedTokens: 0 })
})

interface Golden {
  readonly cases: { messages: Message[]; tokens: number[]; guessed: number; right: number }[]
}

/** Not only right answers: what the head guesses of a prompt and an answer that it has seen whole. */
test('the head guesses what the reference does', async () => {
  const golden = JSON.parse(readFileSync(join(folder, 'mtp.json'), 'utf8')) as Golden
  for (const { messages, tokens, guessed: wanted, right } of golden.cases) {
    await using fresh = await load()
    const answer = await fresh.chat(messages, { ...greedy, maxTokens: tokens.length, speculate: 1 })
    expect([...answer.tokens]).toEqual(tokens)
    expect(answer.usage).toMatchObject({ guessedTokens: wanted, acceptedTokens: right })
  }
})

describe.each([
  ['greedy', greedy],
  ['sampled', sampled],
])('%s', (_, options) => {
  test('texts', async () => {
    for (const question of ['What circle?', 'Which dog of the image?', '图片', 'x'])
      await expectSame(question, options)
  })

  test('pictures, before and between texts', async () => {
    await expectSame([user(scene, 'What is it?')], options)
    await expectSame([user('First ', scene, ', then ', square, '. Which is round?')], options)
    await expectSame([user(square, 'Where is it?')], options)
    await expectSame([user(square, 'And its colour?')], options)
  })

  test('the turns of a chat and of its forks', async () => {
    const ours = vl.createChat({ ...options, speculate: 3 })
    const theirs = plain.createChat(options)
    for (const parts of [[scene, 'What is it?'], ['Sure?'], [square, 'And this?'], ['Which was first?']]) {
      const answer = await ours.send(...parts)
      guessed.push(answer.usage)
      expect(essence(answer)).toEqual(essence(await theirs.send(...parts)))
    }
    const answers = await Promise.all([ours.fork().send('One?'), ours.fork().send('Two?')])
    const expected = [await theirs.fork().send('One?'), await theirs.fork().send('Two?')]
    expect(answers.map(essence)).toEqual(expected.map(essence))
  })

  test('many at a time, with a common beginning', async () => {
    const questions = [1, 2, 3, 4, 5, 6].map((n) => [user(scene, `${'long '.repeat(20)}${n}?`)])
    await Promise.all(questions.map((question) => expectSame(question, options)))
  })

  test('with a grammar, and log-probabilities', async () => {
    await expectSame('List.', { ...options, ignoreEos: false, grammar: 'root ::= [a-z]+ ("," [a-z]+)* "."' })
    const answer = await vl.chat('List?', { ...options, speculate: 3, logprobs: true })
    const expected = await plain.chat('List?', { ...options, logprobs: true })
    expect(answer.logprobs?.length).toBe(expected.logprobs?.length)
    for (const [index, { token, logprob }] of (answer.logprobs ?? []).entries()) {
      expect(token).toBe(expected.logprobs?.[index]?.token)
      expect(logprob).toBeCloseTo(expected.logprobs?.[index]?.logprob ?? NaN, 3)
    }
  })

  test('after one that was cancelled in the middle', async () => {
    for (const tokens of [1, 2, 5, 9]) {
      const stream = vl.stream([user(scene, 'What is it?')], { ...options, maxTokens: 500, speculate: 3 })
      let seen = 0
      for await (const part of stream) if (part.type !== 'image' && ++seen === tokens) break
      await expectSame([user(scene, 'What is it?')], options)
      await expectSame([user(scene, 'Which is it?')], options)
    }
  })
})

test('a chat that was saved with what was computed of it goes on', async () => {
  const path = join(temporary.path, 'saved.chat')
  const ours = vl.createChat({ ...greedy, speculate: 3 })
  const theirs = plain.createChat(greedy)
  await ours.send(scene, 'What is it?')
  await theirs.send(scene, 'What is it?')
  await ours.save(path, { kv: true })
  const expected = essence(await theirs.send('Sure?'))
  for (const mtp of [true, false]) {
    await using other = await load({ mtp })
    const loaded = await other.loadChat(path, { ...greedy, speculate: 3 })
    const answer = await loaded.send('Sure?')
    expect(answer.usage.cachedTokens).toBeGreaterThan(0)
    expect(essence(answer)).toEqual(expected)
  }
})

test('with a LoRA adapter, which the head does not know', async () => {
  const path = join(folder, 'lora-f32.gguf')
  await using ours = await load({ lora: [{ path, scale: 0 }] })
  await using theirs = await load({ lora: [{ path, scale: 0 }], mtp: false })
  for (const scale of [0, 1]) {
    const options = { ...greedy, lora: [{ path, scale }] }
    const answer = await ours.chat('What is it?', { ...options, speculate: 3 })
    expect(essence(answer)).toEqual(essence(await theirs.chat('What is it?', options)))
  }
})
