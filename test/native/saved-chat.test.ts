/** Chats that are forked, saved and loaded: they go on as if nothing had been, and a file that is damaged says so. */
import { existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { AbortError, ChatFileError, InvalidArgumentError, image, video } from '../../lib'
import type { Chat, QwenVL } from '../../lib'
import { expectError, temporaryFolder } from '../support/errors'
import { noise, picture } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const folder = temporaryFolder()
let count = 0
const newFile = () => join(folder.path, `${count++}.chat`)
const size = { contextSize: 1024, deterministic: true } as const
const raw = (seed: number, side = 56) =>
  ({ data: noise(side, side, seed), width: side, height: side, channels: 3 }) as const

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture(size)
})
afterAll(() => vl.dispose())

/** A picture that can be read once, a video, an embedding, text. */
async function someChat(): Promise<Chat> {
  const chat = vl.createChat({ ...greedy, system: 'Answer briefly.' })
  await chat.send(image(Readable.from([readFileSync(picture('scene.png'))])), 'What is it?')
  await chat.send(video([raw(1), raw(2), raw(3), raw(4)]), 'What happens?')
  await chat.send(await vl.embedImage(image(raw(5))), 'And this?')
  return chat
}

describe('fork()', () => {
  test('goes on from the same turns; neither hears of the other', async () => {
    const chat = await someChat()
    const fork = chat.fork()
    const [left, right] = [await chat.send('Left?'), await fork.send('Right?')]
    expect(essence(right)).not.toEqual(essence(left))
    expect([chat.length, fork.length]).toEqual([9, 9])
    const again = await chat.fork().send('More?')
    expect(essence(await chat.send('More?'))).toEqual(essence(again))
  })

  test('computes only what is new', async () => {
    await using shared = await loadFixture({ contextSize: 1024 })
    const chat = shared.createChat(greedy)
    const before = await chat.send(image(raw(6)), 'What is it?')
    const forks = [chat.fork(), chat.fork(), chat.fork()]
    const answers = await Promise.all(forks.map((fork, n) => fork.send(`Question ${n}?`)))
    for (const { usage, images } of answers) {
      // All of the first chat; and of another fork's question the beginning, where that came first.
      expect(usage.cachedTokens).toBeGreaterThanOrEqual(
        before.usage.promptTokens + before.usage.completionTokens - 1,
      )
      expect(images).toMatchObject([{ source: 'kv' }])
    }
  })

  test('is without turns that have not ended', async () => {
    const chat = vl.createChat(greedy)
    const running = chat.stream('one', { maxTokens: 200 })
    const fork = chat.fork()
    expect(fork.length).toBe(0)
    expect((await fork.send('two')).usage.promptTokens).toBe(
      (await vl.chat('two', greedy)).usage.promptTokens,
    )
    await running.result
  })
})

describe('save() and loadChat()', () => {
  test('a loaded chat answers as the saved one does, in another model too', async () => {
    const chat = await someChat()
    const file = newFile()
    await chat.save(file)
    const expected = await chat.send('Which was first?')
    const loaded = await vl.loadChat(file, greedy)
    expect(loaded.length).toBe(7)
    expect(essence(await loaded.send('Which was first?'))).toEqual(essence(expected))
    await using fresh = await loadFixture(size)
    const there = await fresh.loadChat(file, greedy)
    const answer = await there.send('Which was first?')
    expect(essence(answer)).toEqual(essence(expected))
    const known = ({ original, processed, grid, tokens }: (typeof answer.images)[number]) => ({
      original,
      processed,
      grid,
      tokens,
    })
    expect(answer.images.map(known)).toEqual(expected.images.map(known))
    expect(answer.videos).toMatchObject(
      expected.videos.map(({ processed, times, frames }) => ({ processed, times, frames })),
    )
    expect(there.length).toBe(9)
  })

  test('a model that has its cells or embeddings needs neither again', async () => {
    await using cached = await loadFixture({ contextSize: 1024 })
    const chat = cached.createChat(greedy)
    const before = await chat.send(image(raw(7)), 'What is it?')
    const file = newFile()
    await chat.save(file)
    const { usage, images } = await (await cached.loadChat(file, greedy)).send('And now?')
    expect(usage.cachedTokens).toBe(before.usage.promptTokens + before.usage.completionTokens - 1)
    expect(images).toMatchObject([{ source: 'kv' }])
  })

  test('a loaded chat can be saved: the same bytes', async () => {
    const [first, second] = [newFile(), newFile()]
    await (await someChat()).save(first)
    await (await vl.loadChat(first)).save(second)
    const parsed = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')
    expect(parsed(second)).toBe(parsed(first))
  })

  test('waits for the turn that runs, reads what no turn has read, leaves nothing beside the file', async () => {
    const chat = vl.createChat({
      ...greedy,
      messages: [{ role: 'user', content: [image(picture('square.png')), 'Look.'] }],
    })
    const unread = newFile()
    await chat.save(unread)
    expect((await vl.loadChat(unread)).length).toBe(1)
    const turn = chat.stream('And?')
    const file = newFile()
    await chat.save(file)
    expect((await turn.result).finishReason).toBe('length')
    expect((await vl.loadChat(file)).length).toBe(3)
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.new'))).toEqual([])
  })

  test('several at once to one place leave one of them whole', async () => {
    const [chat, other] = [await someChat(), vl.createChat({ ...greedy, system: 'Another.' })]
    const file = newFile()
    await Promise.all([chat.save(file), other.save(file, { kv: true }), chat.save(file)])
    expect([1, 7]).toContain((await vl.loadChat(file)).length)
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.new'))).toEqual([])
  })

  test('a signal stops saving, and leaves the old file', async () => {
    const file = folder.file('old.chat', 'old')
    const chat = await someChat()
    const signal = AbortSignal.abort()
    await expectError(() => chat.save(file, { signal }), { type: AbortError, code: 'ABORTED', says: [] })
    expect(readFileSync(file, 'utf8')).toBe('old')
  })

  test('a damaged file is told from a foreign one', async () => {
    const file = newFile()
    await (await someChat()).save(file)
    const good = readFileSync(file)
    const fails = async (bytes: Uint8Array, code: string, says: string) => {
      writeFileSync(file, bytes)
      await expectError(() => vl.loadChat(file), { type: ChatFileError, code, says: [file, says] })
    }
    for (const at of [20, good.length >> 1, good.length - 1]) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      await fails(bytes, 'CHAT_CORRUPT', 'damaged')
    }
    for (const length of [1, 5, 8, 12, 40, 100, good.length - 1])
      await fails(good.subarray(0, length), 'CHAT_CORRUPT', 'cut off')
    await fails(Buffer.concat([good, Buffer.alloc(1)]), 'CHAT_CORRUPT', 'damaged')
    await fails(Buffer.alloc(0), 'CHAT_FOREIGN', 'no chat')
    await fails(readFileSync(picture('scene.png')), 'CHAT_FOREIGN', 'no chat')
    await fails(Buffer.from('[{"role":"user","content":"Hello"}]'), 'CHAT_FOREIGN', 'no chat')
    const later = Buffer.from(good)
    later.writeUInt32LE(99, 8)
    await fails(later, 'CHAT_FOREIGN', 'version 99')
    writeFileSync(file, good)
    truncateSync(file, good.length)
    expect((await vl.loadChat(file)).length).toBe(7)
  })

  test('a chat of another kind of model is refused', async () => {
    const file = newFile()
    await (await someChat()).save(file)
    await using other = await loadFixture({ id: 'qwen3vl' })
    await expectError(() => other.loadChat(file), {
      type: ChatFileError,
      code: 'CHAT_FOREIGN',
      says: ['qwen2vl', 'qwen3vl'],
    })
  })

  test('places that cannot be read or written', async () => {
    await expectError(() => vl.loadChat(join(folder.path, 'absent.chat')), {
      type: ChatFileError,
      code: 'FILE_NOT_FOUND',
      says: ['absent.chat'],
    })
    const chat = vl.createChat()
    const nowhere = join(folder.path, 'no/such/folder.chat')
    await expectError(() => chat.save(nowhere), {
      type: ChatFileError,
      code: 'CHAT_NOT_WRITABLE',
      says: [nowhere],
    })
    expect(existsSync(nowhere)).toBe(false)
    await expectError(() => chat.save(7 as never), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: ['`file`'],
    })
    await expectError(() => vl.loadChat(newFile(), { system: 'x' } as never), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: ['`system`'],
    })
  })

  test.each<FixtureId>(['qwen3vl', 'qwen3.5'])('%s', async (id) => {
    await using model = await loadFixture({ id, ...size })
    const chat = model.createChat({ ...greedy, system: 'Answer briefly.' })
    await chat.send(image(raw(8, 64)), 'What is it?')
    const file = newFile()
    await chat.save(file)
    const expected = essence(await chat.send('And?'))
    await using fresh = await loadFixture({ id, ...size })
    expect(essence(await (await fresh.loadChat(file, greedy)).send('And?'))).toEqual(expected)
    expect(essence(await (await model.loadChat(file, greedy)).send('And?'))).toEqual(expected)
  })
})
