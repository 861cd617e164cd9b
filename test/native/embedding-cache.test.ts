/** No picture is encoded twice: embeddings are kept in memory and in a folder, and what is found is what was encoded. */
import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { QwenVL, QwenVLError, image, user, video } from '../../lib'
import type { ImageOptions, LoadOptions, QwenVL as Model } from '../../lib'
import { runChild } from '../support/child'
import { expectError, temporaryFolder } from '../support/errors'
import { noise, pair, picture, small } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

/** Looks at one picture in a process of its own. */
const child = join(__dirname, '..', 'process', 'children', 'see.cjs')
const folders = temporaryFolder()
let count = 0
const newFolder = () => join(folders.path, String(count++))
const embeddingsIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** A model for as long as `use` takes; then all files are written. */
async function withModel<T>(options: Partial<LoadOptions>, use: (vl: Model) => Promise<T>): Promise<T> {
  const vl = await loadFixture(options)
  try {
    return await use(vl)
  } finally {
    await vl.dispose()
  }
}

/** Another text each time before the picture: its KV cells are of no use. */
let asked = 0
function see(vl: Model, name = 'scene.png', options: ImageOptions = {}) {
  return vl.chat([user(`${asked++}. `, image(picture(name), options), 'What is it?')], greedy)
}
const sourceOf = async (vl: Model, name?: string, options?: ImageOptions) =>
  (await see(vl, name, options)).images[0]?.source

describe('in memory', () => {
  test('the second look at a picture encodes nothing, and gives the same answer', () =>
    withModel({}, async (vl) => {
      const messages = (text: string) => [user(text, image(picture('scene.png')), 'What is it?')]
      const first = await vl.chat(messages('One. '), greedy)
      const other = await vl.chat(messages('Two. '), greedy)
      expect(first.images).toMatchObject([{ source: 'encoder', cached: false }])
      expect(first.images[0]?.encodeMs).toBeGreaterThan(0)
      expect(other.images).toMatchObject([{ source: 'memory', cached: true, encodeMs: 0 }])
      expect(other.timings.encodeMs).toBe(0)
      expect(vl.stats().embeddings).toMatchObject({ memoryHits: 1, diskHits: 0, misses: 1, entries: 1 })
      await withModel({}, async (fresh) => {
        expect(essence(await fresh.chat(messages('Two. '), greedy))).toEqual(essence(other))
      })
    }))

  test('embedImage() and answers share it, bit for bit', () =>
    withModel({}, async (vl) => {
      const first = await vl.embedImage(image(picture('scene.png')))
      const again = await vl.embedImage(image(picture('scene.png')))
      expect(again.data).toEqual(first.data)
      expect(again.data.buffer).not.toBe(first.data.buffer)
      expect(await sourceOf(vl)).toBe('memory')
      expect(vl.stats().embeddings).toMatchObject({ memoryHits: 2, misses: 1 })
    }))

  test('another size of the picture is another embedding', () =>
    withModel({}, async (vl) => {
      await see(vl)
      expect(await sourceOf(vl, 'scene.png', { maxPixels: 56 * 56 })).toBe('encoder')
    }))

  test('cacheBytes is a limit: the least recently used goes, 0 keeps nothing', async () => {
    const bytes = await withModel({}, async (vl) => {
      await see(vl, 'square.png')
      return vl.stats().embeddings.bytes
    })
    await withModel({ cacheBytes: bytes }, async (vl) => {
      expect(await sourceOf(vl, 'square.png')).toBe('encoder')
      expect(await sourceOf(vl, 'square.png')).toBe('memory')
      expect(await sourceOf(vl, 'tiny.png')).toBe('encoder')
      expect(await sourceOf(vl, 'square.png')).toBe('encoder')
      expect(vl.stats().embeddings.bytes).toBeLessThanOrEqual(bytes)
    })
    await withModel({ cacheBytes: 0 }, async (vl) => {
      await see(vl)
      expect(await sourceOf(vl)).toBe('encoder')
      expect(vl.stats().embeddings).toMatchObject({ entries: 0, bytes: 0, misses: 2 })
    })
  })

  test("cache: 'none' is neither kept nor looked for", () =>
    withModel({}, async (vl) => {
      await see(vl, 'scene.png', { cache: 'none' })
      expect(await sourceOf(vl, 'scene.png')).toBe('encoder')
      expect(await sourceOf(vl, 'scene.png', { cache: 'none' })).toBe('encoder')
      expect(vl.stats().embeddings).toMatchObject({ misses: 1, memoryHits: 0 })
    }))

  test('a cancelled encoding leaves nothing', () =>
    withModel({}, async (vl) => {
      const pixels = { data: noise(784, 784), width: 784, height: 784, channels: 3 } as const
      const signal = AbortSignal.timeout(20)
      await expect(vl.embedImage(image(pixels), { signal })).rejects.toMatchObject({ code: 'ABORTED' })
      expect(vl.stats().embeddings.entries).toBe(0)
    }))

  test('each pair of frames of a video is an embedding of its own', () =>
    withModel({ contextSize: 2048 }, async (vl) => {
      const frame = (seed: number) =>
        ({ data: noise(56, 56, seed), width: 56, height: 56, channels: 3 }) as const
      const watch = async (text: string, seeds: readonly number[]) => {
        const clip = video(seeds.map(frame))
        return (await vl.chat([user(text, clip, 'What happens?')], greedy)).videos
      }
      expect(await watch('One. ', [1, 2, 3, 4])).toMatchObject([{ encodedPairs: 2, cached: false }])
      expect(await watch('Two. ', [1, 2, 3, 4])).toMatchObject([
        { encodedPairs: 0, cached: true, encodeMs: 0 },
      ])
      // The same beginning, another end.
      expect(await watch('Three. ', [1, 2, 5, 6])).toMatchObject([{ encodedPairs: 1, cached: false }])
    }))

  test('whom the KV memory serves needs no embedding; an embedding of the caller is told apart', () =>
    withModel({}, async (vl) => {
      const part = image(picture('scene.png'))
      await vl.chat([user(part, 'What is it?')], greedy)
      const again = await vl.chat([user(part, 'And its colour?')], greedy)
      expect(again.images).toMatchObject([{ source: 'kv', cached: true }])
      const embedding = await vl.embedImage(part)
      const given = await vl.chat([user('Now. ', embedding, 'What is it?')], greedy)
      expect(given.images).toMatchObject([{ source: 'caller', cached: false, encodeMs: 0 }])
    }))
})

describe('on the disk', () => {
  test('a later process encodes nothing, and gives the same answer', async () => {
    const cacheDir = newFolder()
    const run = async () => {
      const { code, messages, stderr } = await runChild(child, [
        JSON.stringify({ ...pair(), ...small, cacheDir }),
      ])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return messages[0] as { source: string; text: string; stats: object }
    }
    const first = await run()
    const second = await run()
    expect(first).toMatchObject({ source: 'encoder', stats: { misses: 1 } })
    expect(second).toMatchObject({ source: 'disk', stats: { diskHits: 1, misses: 0 } })
    expect(second.text).toBe(first.text)
  })

  test('several processes that write and read at once spoil nothing', async () => {
    const cacheDir = newFolder()
    const settings = JSON.stringify({ ...pair(), ...small, cacheDir })
    const outcomes = await Promise.all([1, 2, 3].map(() => runChild(child, [settings])))
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(new Set(outcomes.map(({ messages }) => (messages[0] as { text: string }).text)).size).toBe(1)
    expect(embeddingsIn(cacheDir)).toHaveLength(1)
  })

  test('a found embedding is the encoded one, bit for bit', async () => {
    const cacheDir = newFolder()
    const embed = () => withModel({ cacheDir }, (vl) => vl.embedImage(image(picture('scene.png'))))
    const first = await embed()
    expect((await embed()).data).toEqual(first.data)
  })

  test('another projector, or another way of computing, does not find it', async () => {
    const cacheDir = newFolder()
    await withModel({ cacheDir }, see)
    const half = pair('qwen2vl', 'f16').mmproj
    expect(await withModel({ cacheDir, mmproj: half }, (vl) => sourceOf(vl))).toBe('encoder')
    expect(await withModel({ cacheDir, flashAttention: 'on' }, (vl) => sourceOf(vl))).toBe('encoder')
    expect(await withModel({ cacheDir }, (vl) => sourceOf(vl))).toBe('disk')
  })

  test('a damaged file is ignored, removed and written anew', async () => {
    const cacheDir = newFolder()
    const once = () => withModel({ cacheDir }, (vl) => sourceOf(vl))
    await once()
    const [file = ''] = embeddingsIn(cacheDir)
    const good = readFileSync(file)
    const damages = [
      () => truncateSync(file, good.length - 1),
      () => truncateSync(file, 0),
      () => {
        const bytes = Buffer.from(good)
        bytes[good.length - 10] = (bytes[good.length - 10] ?? 0) ^ 1
        writeFileSync(file, bytes)
      },
    ]
    for (const damage of damages) {
      damage()
      expect(await once()).toBe('encoder')
      expect(readFileSync(file)).toEqual(good)
      expect(await once()).toBe('disk')
    }
  })

  test("cache: 'memory' stays out of the folder", async () => {
    const cacheDir = newFolder()
    await withModel({ cacheDir }, async (vl) => {
      await see(vl, 'scene.png', { cache: 'memory' })
      expect(await sourceOf(vl, 'scene.png', { cache: 'memory' })).toBe('memory')
    })
    expect(existsSync(cacheDir)).toBe(false)
  })

  test('cacheDirBytes is a limit', async () => {
    const cacheDir = newFolder()
    const sizes = await withModel({ cacheDir }, async (vl) => {
      for (const name of ['square.png', 'tiny.png', 'scene.png']) await see(vl, name)
      return vl.stats().embeddings.bytes
    })
    const total = () => embeddingsIn(cacheDir).reduce((sum, file) => sum + statSync(file).size, 0)
    expect(total()).toBeGreaterThan(sizes)
    const cacheDirBytes = total() - 1
    await withModel({ cacheDir, cacheDirBytes }, (vl) => see(vl, 'wide.png'))
    expect(total()).toBeLessThanOrEqual(cacheDirBytes)
    expect(await withModel({ cacheDir, cacheDirBytes }, (vl) => sourceOf(vl, 'wide.png'))).toBe('disk')
  })

  test('a folder that cannot be written warns once; answers and memory are as ever', async () => {
    const cacheDir = folders.file('no-folder', 'a file')
    const warnings: unknown[] = []
    await withModel({ cacheDir, onWarning: (warning) => warnings.push(warning) }, async (vl) => {
      expect(await sourceOf(vl)).toBe('encoder')
      expect(await sourceOf(vl)).toBe('memory')
      expect(await sourceOf(vl, 'tiny.png')).toBe('encoder')
    })
    expect(warnings).toEqual([
      expect.objectContaining({ code: 'CACHE_UNWRITABLE', message: expect.stringContaining(cacheDir) }),
    ])
  })

  test('without onWarning the process is told', async () => {
    const cacheDir = folders.file('no-folder-either', 'a file')
    const { code, stderr } = await runChild(child, [JSON.stringify({ ...pair(), ...small, cacheDir })])
    expect(code).toBe(0)
    expect(stderr.match(/\[CACHE_UNWRITABLE\] QwenVLWarning/g)).toHaveLength(1)
  })

  test('only the owner may look into a folder that was made', async () => {
    if (process.platform === 'win32') return
    const cacheDir = newFolder()
    await withModel({ cacheDir }, see)
    expect(statSync(cacheDir).mode & 0o777).toBe(0o700)
    chmodSync(cacheDir, 0o755)
    await withModel({ cacheDir }, (vl) => see(vl, 'tiny.png'))
    expect(statSync(cacheDir).mode & 0o777).toBe(0o755)
  })
})

test('stats() of a model that was disposed', async () => {
  const vl = await QwenVL.load({ ...pair(), ...small })
  await vl.dispose()
  expect(() => vl.stats()).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
})

test('embedImage() of a model that is disposed meanwhile', async () => {
  const model = await loadFixture()
  const side = 1120
  const large = image({ data: noise(side, side), width: side, height: side, channels: 3 })
  const waiting = model.embedImage(large)
  setTimeout(() => void model.dispose(), 200)
  await expectError(() => waiting, { type: QwenVLError, code: 'DISPOSED', says: ['disposed'] })
})
