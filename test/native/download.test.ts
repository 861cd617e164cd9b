/** From the name of a model on a hub to an answer, and what is known of it before: real files, a hub on 127.0.0.1. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DownloadError, InvalidArgumentError, QwenVL, UnsupportedModelError, image, user } from '../../lib'
import { expectError, temporaryFolder } from '../support/errors'
import { fixtureIds, goldenRoot, pair, picture, small } from '../support/fixtures'
import { startHub } from '../support/hub'
import type { FakeHub } from '../support/hub'
import { greedy } from '../support/model'

const folder = temporaryFolder()
const { model, mmproj } = pair('qwen3vl', 'f16')
const files = { 'tiny-F16.gguf': readFileSync(model), 'mmproj-tiny-F16.gguf': readFileSync(mmproj) }
let hub: FakeHub
beforeAll(async () => {
  hub = await startHub({
    'o/tiny': { files },
    'o/blind': { files: { 'tiny-F16.gguf': files['tiny-F16.gguf'] } },
    'o/text': { files: { 'x-F16.gguf': Buffer.from('not a GGUF file'.repeat(100)) } },
    ...Object.fromEntries(
      fixtureIds.map((id) => {
        const { model, mmproj } = pair(id, 'f16')
        return [
          `all/${id}`,
          { files: { 'x-F16.gguf': readFileSync(model), 'mmproj-F16.gguf': readFileSync(mmproj) } },
        ]
      }),
    ),
  })
})
afterAll(() => hub[Symbol.asyncDispose]())

const from = (cache: string) => ({
  hub: { endpoint: hub.endpoint, cacheDir: join(folder.path, cache), token: '', retries: 0 },
})

describe('QwenVL.load', () => {
  test('downloads what a name means, and answers', async () => {
    const heard = new Set<string>()
    const settings = { ...small, ...from('a') }
    await using vl = await QwenVL.load({
      model: 'hf:o/tiny:F16',
      ...settings,
      onDownload: ({ file }) => heard.add(file),
    })
    expect([...heard]).toEqual(['tiny-F16.gguf', 'mmproj-tiny-F16.gguf'])
    const messages = [user(image(picture('scene.png'), { maxPixels: 64 * 64 }), 'What is this?')]
    const answer = await vl.chat(messages, { ...greedy, maxTokens: 4 })
    await using local = await QwenVL.load({ model, mmproj, ...small })
    expect(answer.text).toBe((await local.chat(messages, { ...greedy, maxTokens: 4 })).text)
  })

  test('takes a name alone, by the variables of Hugging Face', async () => {
    const before = { ...process.env }
    Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder.path, 'b') })
    try {
      await using vl = await QwenVL.load('hf:o/tiny')
      expect(vl.info.generation).toBe('qwen3vl')
    } finally {
      process.env = before
    }
  })

  test('takes the projector from elsewhere, or none', async () => {
    const settings = { ...small, ...from('c') }
    await using other = await QwenVL.load({
      model: 'hf:o/blind',
      mmproj: 'hf:o/tiny:mmproj-tiny-F16.gguf',
      ...settings,
    })
    expect(other.info.encoder).toBeDefined()
    await using local = await QwenVL.load({ model: 'hf:o/blind', mmproj, ...settings })
    expect(local.info.encoder).toBeDefined()
    await using none = await QwenVL.load({ model: 'hf:o/tiny', mmproj: false, ...settings })
    expect(none.info.encoder).toBeUndefined()
    await expectError(() => QwenVL.load({ model: 'hf:o/blind', ...settings }), {
      type: UnsupportedModelError,
      code: 'PROJECTOR_MISSING',
      says: ['o/blind', 'mmproj: false'],
    })
  })

  test.each([
    [{ model: 'hf:tiny' }, 'hf:owner/name'],
    [{ model: 'hf:o/tiny', hub: { tokens: 'x' } }, '`hub` to be an object with endpoint, token'],
    [{ model: 'hf:o/tiny', hub: { retries: -1 } }, '`hub.retries` to be a whole number'],
    [{ model: 'hf:o/tiny', mmproj: true }, '`mmproj` to be a string'],
  ])('%j is refused', async (options, says) => {
    await expectError(() => QwenVL.load(options as never), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: [says],
    })
  })
})

describe('QwenVL.estimate', () => {
  test.each(fixtureIds)('tells of %s before the download what it tells of the files', async (id) => {
    const options = { ...from('d'), contextSize: 1024 }
    const before = hub.transfers().length
    const remote = await QwenVL.estimate({ model: `hf:all/${id}`, ...options })
    const ranges = hub.transfers().slice(before)
    expect(ranges.every(({ headers }) => headers.range?.startsWith('bytes=0-'))).toBe(true)

    const local = await QwenVL.estimate({ ...pair(id, 'f16'), contextSize: 1024 })
    expect(remote).toEqual({
      ...local,
      files: [
        { kind: 'model', path: 'x-F16.gguf', bytes: statSync(pair(id, 'f16').model).size, cached: false },
        {
          kind: 'projector',
          path: 'mmproj-F16.gguf',
          bytes: statSync(pair(id, 'f16').mmproj).size,
          cached: false,
        },
      ],
      downloadBytes: remote.memory.weights + remote.memory.projector,
      available: remote.available,
    })
  })

  test('counts what the cache has as cached', async () => {
    const options = { model: 'hf:o/tiny', ...from('e') }
    await QwenVL.pull('hf:o/tiny', { ...options.hub, projector: false })
    const { files, downloadBytes } = await QwenVL.estimate(options)
    expect(files.map(({ cached }) => cached)).toEqual([true, false])
    expect(downloadBytes).toBe(statSync(mmproj).size)
  })

  test('grows with context and picture, and says when it is too much', async () => {
    const tiny = { model, mmproj }
    const [low, high] = await Promise.all([
      QwenVL.estimate({ ...tiny, contextSize: 1024 }),
      QwenVL.estimate({ ...tiny, contextSize: 2048 }, { width: 2048, height: 1024 }),
    ])
    expect(high.memory.context).toBe(2 * low.memory.context)
    expect(high.memory.picture).toBeGreaterThan(1.5 * low.memory.picture)
    expect(low).toMatchObject({ fits: true, picture: { width: 1024, height: 1024, tokens: 1024 } })
    const { total, ...parts } = low.memory
    expect(total).toBe(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0))
    const half = await QwenVL.estimate({ ...tiny, contextSize: 1024, cacheType: 'q8_0' })
    expect(half.memory.context / low.memory.context).toBeCloseTo(34 / 64)

    const huge = await QwenVL.estimate({
      ...tiny,
      contextSize: 1 << 24,
      cacheType: 'f32',
      flashAttention: 'off',
    })
    expect(huge.fits).toBe(huge.memory.total <= huge.available)
    expect(huge.fits).toBe(false)
  })

  test('counts a state for each answer of a hybrid model, and twice as many for the head that guesses', async () => {
    const context = async (options: object) => {
      const head = join(goldenRoot, 'qwen3.5/model-mtp-f32.gguf')
      return (await QwenVL.estimate({ model: head, contextSize: 1024, ...options })).memory.context
    }
    const state = (await context({ parallel: 2 })) - (await context({ parallel: 1 }))
    expect(state).toBeGreaterThan(0)
    expect((await context({ parallel: 2, mtp: true })) - (await context({ parallel: 1, mtp: true }))).toBe(
      2 * state,
    )
    expect(await context({ parallel: 1, mtp: true })).toBeGreaterThan(
      (await context({ parallel: 1 })) + state,
    )
  })

  test('of a text model alone has no picture', async () => {
    expect(await QwenVL.estimate({ model })).toMatchObject({
      picture: undefined,
      memory: { projector: 0, picture: 0 },
    })
  })

  test('refuses a file that is no GGUF', async () => {
    await expectError(() => QwenVL.estimate({ model: 'hf:o/text', mmproj: false, ...from('f') }), {
      type: DownloadError,
      code: 'DOWNLOAD_CORRUPT',
      says: ['x-F16.gguf', 'GGUF magic'],
    })
  })
})
