/** Conversations of several turns, and embeddings as parts of them. */
import { image, imageEmbedding, user } from '../../lib'
import type { Message, QwenVL } from '../../lib'
import { noise, picture } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ contextSize: 1024 })
})
afterAll(() => vl.dispose())

const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })
const square = image(picture('square.png'), { maxPixels: 28 * 28 * 16 })

describe('a chat', () => {
  test('computes only what is new', async () => {
    const chat = vl.createChat({ ...greedy, system: 'Answer briefly.' })
    let before = await chat.send('one')
    for (const text of ['two', 'three', 'four']) {
      const answer = await chat.send(text)
      // Every cell of the turn before: its prompt and its answer but for the last token, which was not computed.
      expect(answer.usage.cachedTokens).toBe(before.usage.promptTokens + before.usage.completionTokens - 1)
      before = answer
    }
    expect(chat.length).toBe(9)
  })

  test('answers as the whole conversation does in a fresh model', async () => {
    const chat = vl.createChat(greedy)
    const first = await chat.send(scene, 'What is it?')
    const second = await chat.send(square, 'And this?')
    const third = await chat.send('Which was first?')
    await using fresh = await loadFixture({ contextSize: 1024 })
    const said = ({ text, tokens }: typeof first): Message => ({ role: 'assistant', content: text, tokens })
    const messages = [
      user(scene, 'What is it?'),
      said(first),
      user(square, 'And this?'),
      said(second),
      user('Which was first?'),
    ]
    const whole = await fresh.chat(messages, greedy)
    expect(essence(third)).toEqual(essence(whole))
    expect(whole.usage.cachedTokens).toBe(0)
  })

  test('encodes a picture once', async () => {
    const chat = vl.createChat({ ...greedy, system: 'Nobody has said this before.' })
    // The embedding cache knows no others of this file.
    const fresh = (seed: number) => image({ data: noise(84, 84, seed), width: 84, height: 84, channels: 3 })
    expect((await chat.send(fresh(1), 'What is it?')).images).toMatchObject([{ cached: false }])
    const { images, timings } = await chat.send('And now?')
    expect(images).toMatchObject([{ cached: true, encodeMs: 0 }])
    expect(timings.encodeMs).toBe(0)
    expect((await chat.send(fresh(2), 'And this?')).images).toMatchObject([
      { cached: true },
      { cached: false },
    ])
  })

  test('keeps turns in order that were not waited for', async () => {
    const together = vl.createChat(greedy)
    const answers = await Promise.all(['one', 'two', 'three'].map((text) => together.send(text)))
    const apart = vl.createChat(greedy)
    const expected = []
    for (const text of ['one', 'two', 'three']) expected.push(await apart.send(text))
    expect(answers.map(essence)).toEqual(expected.map(essence))
  })

  test('a turn that waits for another can be cancelled at once, and those after it wait on', async () => {
    const chat = vl.createChat({ temperature: 0, ignoreEos: true })
    const first = chat.stream('one', { maxTokens: 200 })
    await first[Symbol.asyncIterator]().next()
    const controller = new AbortController()
    const second = chat.stream('two', { signal: controller.signal })
    const third = chat.stream('three', { maxTokens: 4 })
    let firstEnded = false
    void first.settled.then(() => (firstEnded = true))
    controller.abort()
    await expect(second.result).rejects.toMatchObject({ code: 'ABORTED' })
    expect(firstEnded).toBe(false)
    const { usage } = await third.result
    const { usage: before } = await first.result
    expect(usage.cachedTokens).toBe(before.promptTokens + before.completionTokens - 1)
    expect(chat.length).toBe(4)
  })

  test('a turn that nobody reads does not keep the next one waiting', async () => {
    const chat = vl.createChat({ temperature: 0, ignoreEos: true })
    const unread = chat.stream('one', { maxTokens: 300 })
    await chat.send('two')
    expect((await unread.result).usage.completionTokens).toBe(300)
  })

  test('two chats may take turns', async () => {
    const alone = vl.createChat(greedy)
    const expected = [await alone.send('one'), await alone.send('two')]
    const [a, b] = [vl.createChat(greedy), vl.createChat({ ...greedy, system: 'Be somebody else.' })]
    const first = await a.send('one')
    await b.send(scene, 'one')
    const second = await a.send('two')
    expect([first, second].map(essence)).toEqual(expected.map(essence))
  })

  test('forgets a turn that failed or was cancelled', async () => {
    const chat = vl.createChat(greedy)
    await chat.send('one')
    const expected = vl.createChat(greedy)
    await expected.send('one')
    const two = essence(await expected.send('two'))

    await expect(chat.send(image('/does/not/exist.png'), 'What?')).rejects.toMatchObject({
      name: 'ImageError',
    })
    expect(chat.length).toBe(2)
    const controller = new AbortController()
    const stream = chat.stream('stop me', { maxTokens: 900, signal: controller.signal })
    await stream[Symbol.asyncIterator]().next()
    controller.abort()
    await expect(stream.result).rejects.toMatchObject({ code: 'ABORTED' })
    const left = chat.stream('leave me', { maxTokens: 900 })
    for await (const _ of left) break
    expect(chat.length).toBe(2)
    expect(essence(await chat.send('two'))).toEqual(two)
  })

  test('starts with earlier turns', async () => {
    const messages: Message[] = [user('one'), { role: 'assistant', content: 'uno' }]
    const chat = vl.createChat({ ...greedy, messages })
    expect(essence(await chat.send('two'))).toEqual(
      essence(await vl.chat([...messages, user('two')], greedy)),
    )
    expect(messages).toHaveLength(2)
  })
})

describe('an embedding', () => {
  test('is what the picture itself would be', async () => {
    const embedding = await vl.embedImage(scene)
    expect(embedding.data).toHaveLength(embedding.tokens * embedding.width)
    expect(embedding.data.every(Number.isFinite)).toBe(true)
    await using fresh = await loadFixture({ contextSize: 1024 })
    const byPicture = await fresh.chat([user(scene, 'What is it?')], { ...greedy, logprobs: true })
    const byEmbedding = await vl.chat([user(embedding, 'What is it?')], { ...greedy, logprobs: true })
    expect(essence(byEmbedding)).toEqual(essence(byPicture))
    for (const [index, { logprob }] of (byEmbedding.logprobs ?? []).entries()) {
      // Reused cells were computed in other batches, which rounds otherwise.
      expect(logprob).toBeCloseTo(byPicture.logprobs?.[index]?.logprob ?? NaN, 3)
    }
    expect(byEmbedding.images[0]).toEqual({ ...byPicture.images[0], encodeMs: 0, source: 'caller' })
  })

  test('shares its cells with the picture that it was made of', async () => {
    const embedding = await vl.embedImage(square)
    await vl.chat([user(square, 'What is it?')], greedy)
    expect((await vl.chat([user(embedding, 'Where is it?')], greedy)).images).toMatchObject([
      { cached: true },
    ])
  })

  test('can be stored and made again', async () => {
    const { data, grid, tokens, width, hash, processed } = await vl.embedImage(scene)
    const again = imageEmbedding({ data: Float32Array.from(data), grid, tokens, width, hash, processed })
    const expected = essence(await vl.chat([user(scene, 'What is it?')], greedy))
    await vl.chat('something else', greedy)
    expect(essence(await vl.chat([user(again, 'What is it?')], greedy))).toEqual(expected)
  })

  test('made of an embedding is that embedding', async () => {
    const embedding = await vl.embedImage(scene)
    expect(await vl.embedImage(embedding)).toBe(embedding)
  })

  test('of another model is refused where its width shows it', async () => {
    await using other = await loadFixture({ id: 'qwen3vl' })
    const embedding = await other.embedImage(scene)
    await expect(vl.chat([user(embedding, 'What?')], greedy)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('embedImage()'),
    })
  })

  test('is the same at any time', async () => {
    const [first, second] = await Promise.all([vl.embedImage(scene), vl.embedImage(scene)])
    expect(second.data).toEqual(first.data)
    expect(second.hash).toBe(first.hash)
  })
})
