/** Chats that are saved with what was computed of them: another model goes on at once, with the same answers. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AbortError, ChatFileError, ModelLoadError, QwenVL, image, user, video } from '../../lib'
import type { Chat, LoadOptions } from '../../lib'
import { expectError, temporaryFolder } from '../support/errors'
import { noise, pair, small } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const folder = temporaryFolder()
let count = 0
const newFile = () => join(folder.path, `${count++}.chat`)
const size = { contextSize: 1024 } as const
const raw = (seed: number, side = 64) =>
  ({ data: noise(side, side, seed), width: side, height: side, channels: 3 }) as const
const exact = { ...greedy, logprobs: true } as const

/** Two pictures and a video, in two turns. */
async function someChat(vl: QwenVL): Promise<Chat> {
  const chat = vl.createChat({ ...exact, system: 'Answer briefly.' })
  await chat.send(image(raw(1)), image(raw(2, 96)), 'What differs?')
  await chat.send(video([raw(3), raw(4), raw(5), raw(6)]), 'And here?')
  return chat
}

/** With a bit changed. */
function damaged(content: Uint8Array, at: number): Uint8Array {
  const bytes = Uint8Array.from(content)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes
}

describe('save(file, { kv: true })', () => {
  test.each<[FixtureId, LoadOptions]>([
    ['qwen2vl', {}],
    ['qwen2vl', { deterministic: true }],
    ['qwen2vl', { cacheType: 'f16', flashAttention: 'on' }],
    ['qwen2.5vl', {}],
    ['qwen3vl', {}],
    ['qwen3vlmoe', {}],
  ])('%s %j: a fresh model goes on token for token, and computes only what is new', async (id, options) => {
    const load = { id, ...size, ...options }
    const file = newFile()
    await using vl = await loadFixture(load)
    const chat = await someChat(vl)
    const { bytes, kv } = await chat.save(file, { kv: true })
    expect(bytes).toBe(statSync(file).size)
    expect(kv?.bytes).toBeGreaterThan(0)
    expect(kv?.bytes).toBeLessThan(bytes)
    const ask = (of: Chat) => of.send(image(raw(7)), 'And this?')
    const expected = await ask(chat)

    await using fresh = await loadFixture(load)
    const loaded = await fresh.loadChat(file, exact)
    expect(fresh.stats().kv).toMatchObject({ used: kv?.tokens, cachedSequences: 1 })
    const answer = await ask(loaded)
    expect(essence(answer)).toEqual(essence(expected))
    expect(answer.logprobs).toEqual(expected.logprobs)
    // With `deterministic` also the end of the text, which was less than a batch.
    const again = (kv?.tokens ?? NaN) - answer.usage.cachedTokens
    expect(again).toBeLessThan(options.deterministic ? 40 : 1)
    expect(answer.images.map(({ source }) => source)).toEqual(['kv', 'kv', 'encoder'])
    expect(answer.videos).toMatchObject([{ encodedPairs: 0 }])
  })

  test.each<FixtureId>(['qwen3.5', 'qwen3.5moe'])(
    '%s: a hybrid model goes back to a checkpoint',
    async (id) => {
      const file = newFile()
      await using vl = await loadFixture({ id, ...size })
      const chat = await someChat(vl)
      const { kv } = await chat.save(file, { kv: true })
      const ask = (of: Chat) => of.send(image(raw(7)), 'And this?')
      const expected = await ask(chat)
      await using fresh = await loadFixture({ id, ...size })
      const answer = await ask(await fresh.loadChat(file, exact))
      expect(essence(answer)).toEqual(essence(expected))
      expect(answer.images.map(({ source }) => source)).toEqual(['kv', 'kv', 'encoder'])
      expect(answer.videos).toMatchObject([{ encodedPairs: 0 }])
      // Its template writes the latest answer otherwise than earlier ones: that one is computed again.
      expect(answer.usage.cachedTokens).toBeGreaterThan(0.8 * (kv?.tokens ?? Infinity))
    },
  )

  test('a conversation that nobody answered yet is computed for it, and serves many questions', async () => {
    const file = newFile()
    await using vl = await loadFixture(size)
    const messages = [user(image(raw(1)), 'Look at this.')]
    const { kv } = await vl.createChat({ ...exact, messages }).save(file, { kv: true })
    await using fresh = await loadFixture(size)
    const loaded = await fresh.loadChat(file, exact)
    for (const question of ['Its colour?', 'Its size?']) {
      const { usage, images } = await loaded.fork().send(question)
      expect(usage.cachedTokens).toBeGreaterThanOrEqual(kv?.tokens ?? Infinity)
      expect(images).toMatchObject([{ source: 'kv' }])
    }
  })

  test('a model that has it all does not take it twice; a second chat finds room beside it', async () => {
    await using vl = await loadFixture(size)
    const [file, other] = [newFile(), newFile()]
    const { kv } = await (await someChat(vl)).save(file, { kv: true })
    await vl.createChat({ ...exact, messages: [user('Another one.')] }).save(other, { kv: true })
    const before = vl.stats().kv
    await vl.loadChat(file)
    expect(vl.stats().kv).toEqual(before)
    await using fresh = await loadFixture(size)
    await fresh.loadChat(file)
    await fresh.loadChat(other)
    expect(fresh.stats().kv.used).toBeGreaterThan(kv?.tokens ?? Infinity)
    expect(fresh.stats().kv.cachedSequences).toBe(2)
  })

  test('what is damaged, cut off or of another model is computed again', async () => {
    const file = newFile()
    await using vl = await loadFixture(size)
    const chat = await someChat(vl)
    const { bytes, kv } = await chat.save(file, { kv: true })
    const expected = essence(await chat.send('And?'))
    const good = readFileSync(file)
    const begin = bytes - (kv?.bytes ?? 0)
    await using fresh = await loadFixture(size)
    const takesNothing = async (model: QwenVL, content: Uint8Array) => {
      writeFileSync(file, content)
      const loaded = await model.loadChat(file, exact)
      expect(model.stats().kv.used).toBe(0)
      return loaded
    }
    for (const at of [begin, begin + 10, begin + 20, begin + 30, begin + 40, (begin + bytes) >> 1, bytes - 1])
      await takesNothing(fresh, damaged(good, at))
    for (const length of [begin, begin + 5, begin + 100, bytes - 1])
      await takesNothing(fresh, good.subarray(0, length))
    const loaded = await takesNothing(fresh, Buffer.concat([good, Buffer.alloc(1)]))
    expect(essence(await loaded.send('And?'))).toEqual(expected)
    for (const options of [
      { cacheType: 'f16' },
      { flashAttention: 'on' },
      { deterministic: true },
    ] as const) {
      await using other = await loadFixture({ ...size, ...options })
      await takesNothing(other, good)
    }
    // In front of it a damaged byte is a damaged chat.
    writeFileSync(file, damaged(good, begin - 1))
    await expectError(() => vl.loadChat(file), { type: ChatFileError, code: 'CHAT_CORRUPT', says: [file] })
  })

  test('where it does not fit, the chat is loaded without', async () => {
    const file = newFile()
    await using vl = await loadFixture(size)
    const chat = vl.createChat(exact)
    await chat.send(image(raw(1)), 'word '.repeat(100))
    await chat.save(file, { kv: true })
    await using tight = await loadFixture({ contextSize: 64 })
    expect((await tight.loadChat(file)).length).toBe(2)
    expect(tight.stats().kv.used).toBe(0)
  })

  test('a signal stops it, and leaves the old file', async () => {
    const file = folder.file('kept.chat', 'old')
    await using vl = await loadFixture(size)
    const chat = await someChat(vl)
    const stop = new AbortController()
    const saving = chat.save(file, { kv: true, signal: stop.signal })
    stop.abort()
    await expectError(() => saving, { type: AbortError, code: 'ABORTED', says: [] })
    expect(readFileSync(file, 'utf8')).toBe('old')
  })
})

describe('QwenVL.loadChat(file)', () => {
  test('loads the model that the file names, as it was loaded', async () => {
    const file = newFile()
    await using vl = await loadFixture({ ...size, cacheType: 'f16' })
    const chat = await someChat(vl)
    expect(chat.model).toBe(vl)
    const { kv } = await chat.save(file, { kv: true })
    const expected = essence(await chat.send('And?'))
    const loaded = await QwenVL.loadChat(file, { ...exact, load: { threads: 1 } })
    await using model = loaded.model
    expect(model.info.contextSize).toBe(1024)
    const answer = await loaded.send('And?')
    expect(essence(answer)).toEqual(expected)
    expect(answer.usage.cachedTokens).toBe(kv?.tokens)
  })

  test('`load` says where the model is now; without it the error names the file that is missing', async () => {
    const file = newFile()
    const { model = '', ...others } = { ...pair(), ...small, ...size }
    await using vl = await QwenVL.load({ model, ...others })
    await vl.createChat({ messages: [user('Hello.')] }).save(file)
    const load = { ...others, model: join(folder.path, 'absent.gguf') }
    await expectError(() => QwenVL.loadChat(file, { load }), {
      type: ModelLoadError,
      code: 'FILE_NOT_FOUND',
      says: ['absent.gguf'],
    })
    const loaded = await QwenVL.loadChat(file, { load: { ...others, model } })
    expect(loaded.length).toBe(1)
    await loaded.model.dispose()
  })

  test('a chat that cannot be read loads no model', async () => {
    const absent = join(folder.path, 'absent.chat')
    await expectError(() => QwenVL.loadChat(absent), {
      type: ChatFileError,
      code: 'FILE_NOT_FOUND',
      says: [absent],
    })
  })
})
