/**
 * Conversations with Qwen3.5, most of whose layers keep a state that cannot be cut back to an earlier token: whatever
 * came before, an answer is what the whole conversation gives in a model that has computed nothing yet.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { answerMessage, image, user } from '../../lib'
import type { GenerationResult, Message, MessagesInput, QwenVL } from '../../lib'
import { noise, picture } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const options = { ...greedy, repetitionPenalty: 1, presencePenalty: 0, logprobs: true }
const limits = { minPixels: 1024, maxPixels: 32 * 32 * 16 }
const scene = image(picture('scene.png'), limits)
const square = image(picture('square.png'), limits)

describe.each(['qwen3.5', 'qwen3.5moe'] as const)('%s', (id) => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id, contextSize: 1024 })
  })
  afterAll(() => vl.dispose())

  /** The same prompt where nothing is kept. */
  async function fromScratch(messages: MessagesInput): Promise<GenerationResult> {
    await using fresh = await loadFixture({ id, contextSize: 1024 })
    const answer = await fresh.chat(messages, options)
    expect(answer.usage.cachedTokens).toBe(0)
    return answer
  }

  function expectSame(answer: GenerationResult, expected: GenerationResult): void {
    expect(essence(answer)).toEqual(essence(expected))
    for (const [index, { logprob }] of (answer.logprobs ?? []).entries()) {
      // Batches end elsewhere, which rounds otherwise.
      expect(logprob).toBeCloseTo(expected.logprobs?.[index]?.logprob ?? NaN, 3)
    }
  }

  test('the turns of a chat', async () => {
    const chat = vl.createChat({ ...options, system: 'Answer briefly.' })
    const said: Message[] = [{ role: 'system', content: 'Answer briefly.' }]
    for (const question of [
      user(scene, 'What is it?'),
      user(square, 'And this?'),
      user('Which was first?'),
    ]) {
      said.push(question)
      const parts = Array.isArray(question.content) ? question.content : [question.content]
      const answer = await chat.send(...parts)
      expectSame(answer, await fromScratch(said))
      said.push(answerMessage(answer))
    }
  })

  test('a fork of a chat that has moved on computes neither picture nor earlier turns anew', async () => {
    const chat = vl.createChat({ ...options, system: 'Answer briefly, once more.' })
    const first = await chat.send(square, 'What is it?')
    const fork = chat.fork()
    await chat.send('And its colour?')
    const answer = await fork.send('And its size?')
    expect(answer.images).toMatchObject([{ source: 'kv' }])
    const computed = answer.usage.promptTokens - answer.usage.cachedTokens
    expect(computed).toBeLessThan(first.usage.promptTokens)
    expectSame(
      answer,
      await fromScratch([
        { role: 'system', content: 'Answer briefly, once more.' },
        user(square, 'What is it?'),
        answerMessage(first),
        user('And its size?'),
      ]),
    )
  })

  test('another question about a picture, after a long talk about it', async () => {
    await using single = await loadFixture({ id, contextSize: 1024, parallel: 1 })
    const chat = single.createChat(options)
    await chat.send(square, 'What is it?')
    for (let n = 0; n < 8; n++) await chat.send(`And now, ${n}?`)
    const other = await single.chat([user(square, 'Where is it?')], options)
    expect(other.images).toMatchObject([{ source: 'kv' }])
    expectSame(other, await fromScratch([user(square, 'Where is it?')]))
  })

  test('a question again, and another one about the same picture', async () => {
    const first = await vl.chat([user(scene, 'What is it?')], options)
    const again = await vl.chat([user(scene, 'What is it?')], options)
    expectSame(again, first)
    expect(again.usage.cachedTokens).toBeGreaterThan(first.images[0]?.tokens ?? NaN)
    expect(again.images).toMatchObject([{ cached: true }])

    const other = await vl.chat([user(scene, 'Where is it?')], options)
    expect(other.images).toMatchObject([{ cached: true }])
    expectSame(other, await fromScratch([user(scene, 'Where is it?')]))
  })

  test('after an answer that was cancelled', async () => {
    const messages = [user(square, 'What is it?')]
    const expected = await fromScratch(messages)
    for await (const part of vl.stream(messages, { ...options, maxTokens: 500 })) {
      if (part.type === 'reasoning') break
    }
    expectSame(await vl.chat(messages, options), expected)
  })

  test('after a prompt that was cancelled while it was computed', async () => {
    const messages = [user(scene, 'What is it?')]
    const expected = await fromScratch(messages)
    for (const delay of [0, 1, 2, 5, 10]) {
      const stream = vl.stream([user(square, `${'long '.repeat(180)}${delay}`)], options)
      setTimeout(() => stream.cancel(), delay)
      await stream.result
      expectSame(await vl.chat(messages, options), expected)
    }
  })

  test('beside a prompt that begins the same, whose picture is half computed', async () => {
    await using busy = await loadFixture({ id, contextSize: 2048, batchSize: 16 })
    const shown = [1, 2].map((n) => image({ data: noise(768, 768, n), width: 768, height: 768, channels: 3 }))
    for (const each of shown) await busy.embedImage(each)
    const [first, second] = shown.map((each) => [user(each, 'What is it?')])
    const before = busy.chat(first ?? [], options)
    while (busy.stats().kv.used === 0) await nextTurn()
    const answers = await Promise.all([before, busy.chat(second ?? [], options)])
    await using quiet = await loadFixture({ id, contextSize: 2048, batchSize: 16 })
    expectSame(answers[0], await quiet.chat(first ?? [], options))
    expectSame(answers[1], await quiet.chat(second ?? [], options))
  })

  test('more pictures than copies are kept', async () => {
    const album = [1, 2, 3, 4, 5, 6].flatMap((n) => [`${n}: `, n % 2 ? scene : square])
    const expected = await fromScratch([user(...album, 'Which is round?')])
    expectSame(await vl.chat([user(...album, 'Which is round?')], options), expected)
    const shorter = [user(...album.slice(0, 4), 'Which is round?')]
    expectSame(await vl.chat(shorter, options), await fromScratch(shorter))
    expectSame(await vl.chat([user(...album, 'Which is round?')], options), expected)
  })

  test('a turn whose thoughts the template leaves out of the next one keeps what stands before it', async () => {
    const chat = vl.createChat(options)
    const first = await chat.send(scene, 'What is it?')
    const thought = { role: 'assistant' as const, content: `Hm.</think>\n\n${first.text}` }
    const next = [user(scene, 'What is it?'), thought, user('Sure?')]
    const answer = await vl.chat(next, options)
    expect(answer.images).toMatchObject([{ cached: true }])
    expectSame(answer, await fromScratch(next))
  })
})
