/** Prompts whose pictures were computed before, by another process: they are computed no more. Each model here is a process. */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, QwenVL, image, user, video } from '../../lib'
import type { EngineWarning, GenerationResult, LoadOptions } from '../../lib'
import { expectError, temporaryFolder } from '../support/errors'
import { noise } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const folder = temporaryFolder()
let count = 0
const newFolder = () => join(folder.path, `cache-${count++}`)
const raw = (seed: number, side = 64) =>
  ({ data: noise(side, side, seed), width: side, height: side, channels: 3 }) as const
const sources = ({ images }: GenerationResult) => images.map(({ source }) => source)
const prompts = (cacheDir: string) =>
  (readdirSync(cacheDir, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.prompt'))
    .map((name) => join(cacheDir, name))

const load = (cacheDir: string, options: Partial<LoadOptions> & { readonly id?: FixtureId } = {}) =>
  loadFixture({ contextSize: 1024, cacheDir, cachePrompts: true, ...options })

/** Two pictures and a video, then a question. */
const scene = (question: string) => [
  user(
    image(raw(1)),
    image(raw(2, 96)),
    'Look. ',
    video([raw(3), raw(4), raw(5), raw(6)]),
    `Now answer: ${question}`,
  ),
]

describe('cachePrompts', () => {
  test.each<[FixtureId, LoadOptions]>([
    ['qwen2vl', {}],
    ['qwen2vl', { deterministic: true }],
    ['qwen2.5vl', {}],
    ['qwen3vl', {}],
    ['qwen3.5', {}],
  ])('%s %j: another process computes only the question', async (id, options) => {
    const cacheDir = newFolder()
    const asked = async (question: string) => {
      await using vl = await load(cacheDir, { id, ...options })
      return await vl.chat(scene(question), { ...greedy, logprobs: true })
    }
    const first = await asked('What is it?')
    expect(sources(first)).toEqual(['encoder', 'encoder'])
    expect(prompts(cacheDir)).toHaveLength(1)
    const again = await asked('What is it?')
    expect(sources(again)).toEqual(['kv', 'kv'])
    expect(again.videos).toMatchObject([{ encodedPairs: 0 }])
    expect(essence(again)).toEqual(essence(first))
    const close = (a: GenerationResult) => a.logprobs?.map(({ logprob }) => Math.round(logprob * 1e3) / 1e3)
    expect(close(again)).toEqual(close(first))
    expect(again.usage.promptTokens - again.usage.cachedTokens).toBeLessThan(60)

    await using plain = await loadFixture({ id, contextSize: 1024, ...options })
    const other = await asked('And its colour?')
    expect(sources(other)).toEqual(['kv', 'kv'])
    expect(essence(other)).toEqual(essence(await plain.chat(scene('And its colour?'), greedy)))
  })

  test('a longer conversation takes what is known of its beginning, and is kept too', async () => {
    const cacheDir = newFolder()
    const turns = [user(image(raw(1)), 'One?'), { role: 'assistant', content: 'Yes.' } as const]
    {
      await using vl = await load(cacheDir)
      await vl.chat([user(image(raw(1)), 'Two?')], greedy)
    }
    {
      await using vl = await load(cacheDir)
      const longer = await vl.chat([...turns, user(image(raw(2)), 'And?')], greedy)
      expect(sources(longer)).toEqual(['kv', 'encoder'])
    }
    expect(prompts(cacheDir)).toHaveLength(2)
    await using vl = await load(cacheDir)
    expect(sources(await vl.chat([...turns, user(image(raw(2)), 'Why?')], greedy))).toEqual(['kv', 'kv'])
  })

  test('several at a time, some known and some not, answer as they would alone', async () => {
    const cacheDir = newFolder()
    const ask = (vl: QwenVL, seed: number) => vl.chat([user(image(raw(seed)), 'What?')], greedy)
    {
      await using vl = await load(cacheDir)
      for (const seed of [1, 2]) await ask(vl, seed)
    }
    await using vl = await load(cacheDir)
    const together = await Promise.all([1, 3, 2, 4, 1].map((seed) => ask(vl, seed)))
    for (const [index, seed] of [1, 3, 2, 4, 1].entries()) {
      await using plain = await loadFixture({ contextSize: 1024 })
      expect(together[index] && essence(together[index])).toEqual(essence(await ask(plain, seed)))
    }
    expect(together.map(sources).filter(([source]) => source === 'encoder')).toHaveLength(2)
  })

  test('what is damaged is computed again, and written again', async () => {
    const cacheDir = newFolder()
    const ask = async () => {
      await using vl = await load(cacheDir)
      return await vl.chat(scene('What?'), greedy)
    }
    const first = await ask()
    const [file = ''] = prompts(cacheDir)
    const good = readFileSync(file)
    for (const bytes of [
      good.subarray(0, good.length - 1),
      Buffer.alloc(10),
      Buffer.from(good).fill(1, 200, 201),
    ]) {
      writeFileSync(file, bytes)
      const again = await ask()
      expect(essence(again)).toEqual(essence(first))
      expect(again.usage.cachedTokens).toBe(0)
      expect(statSync(file).size).toBe(good.length)
    }
    expect((await ask()).usage.cachedTokens).toBeGreaterThan(0)
  })

  test('other settings have files of their own; a folder that is too small for it keeps none', async () => {
    const cacheDir = newFolder()
    const ask = async (options: LoadOptions) => {
      await using vl = await load(cacheDir, options)
      return await vl.chat(scene('What?'), greedy)
    }
    await ask({})
    expect((await ask({ cacheType: 'f16' })).usage.cachedTokens).toBe(0)
    expect(prompts(cacheDir)).toHaveLength(2)
    rmSync(cacheDir, { recursive: true })
    await ask({ cacheDirBytes: 10_000 })
    expect(prompts(cacheDir)).toEqual([])
  })

  test('pictures that are not to be kept on the disk are not, nor prompts with them', async () => {
    const cacheDir = newFolder()
    await using vl = await load(cacheDir)
    await vl.chat([user(image(raw(1), { cache: 'memory' }), image(raw(2)), 'What?')], greedy)
    await vl.chat([user(await vl.embedImage(image(raw(3), { cache: 'none' })), 'What?')], greedy)
    await vl.chat('Only text', greedy)
    await vl.dispose()
    expect(existsSync(cacheDir) ? prompts(cacheDir) : []).toEqual([])
  })

  test('a folder that cannot be written: one warning, and the answer', async () => {
    const warnings: EngineWarning[] = []
    await using vl = await load(folder.file('a file', ''), { onWarning: (warning) => warnings.push(warning) })
    const { finishReason } = await vl.chat(scene('What?'), greedy)
    await vl.dispose()
    expect(finishReason).toBe('length')
    expect(new Set(warnings.map(({ code }) => code))).toEqual(new Set(['CACHE_UNWRITABLE']))
  })

  test('needs a folder', async () => {
    await expectError(() => QwenVL.load({ cachePrompts: true }), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: ['cacheDir', 'cachePrompts'],
    })
  })
})
