/**
 * LoRA adapters. The references are peft over transformers (lora.json of tools/fixtures/lora.py), and the same model with
 * the adapter's product added to its weights by hand: W + scale · alpha / rank · B·A.
 */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { image, user } from '../../lib'
import type { GenerationResult, Message, QwenVL } from '../../lib'
import { inspectGguf } from '../../lib/engine/engine'
import { adapterOf, goldenIds, goldenRoot, pair, picture } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { loadFixture } from '../support/model'
import { centred, cosine, firstLogits } from '../support/numbers'

const path = adapterOf('qwen3vl')
const folder = mkdtempSync(join(tmpdir(), 'qwenvl-lora-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const scene = user(image(picture('scene.png'), { maxPixels: 32 * 32 * 16 }), 'What is this?')
const options = {
  temperature: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  ignoreEos: true,
  maxTokens: 12,
  logprobs: 3,
} as const
const load = (more: object = {}) => loadFixture({ id: 'qwen3vl', ...more })

/** A copy of the model with the adapter in its weights. */
async function merged(id: FixtureId, scale: number): Promise<string> {
  const { model } = pair(id)
  const [weights, adapter] = [readFileSync(model), readFileSync(adapterOf(id))]
  const [whole, change] = [await inspectGguf(model), await inspectGguf(adapterOf(id))]
  const matrix = (name: string) => {
    const { shape, offset } = change.tensors.find((tensor) => tensor.name === name) ?? raise(name)
    return {
      columns: shape[0] ?? 0,
      rows: shape[1] ?? 0,
      at: (i: number) => adapter.readFloatLE(offset + 4 * i),
    }
  }
  const alpha = Number(change.metadata['adapter.lora.alpha'])
  const adapted = whole.tensors.filter(({ name }) => change.tensors.some((t) => t.name === `${name}.lora_a`))
  expect(adapted.length).toBeGreaterThan(3)
  for (const { name, offset } of adapted) {
    const [a, b] = [matrix(`${name}.lora_a`), matrix(`${name}.lora_b`)]
    for (let row = 0; row < b.rows; row++) {
      for (let column = 0; column < a.columns; column++) {
        let sum = 0
        for (let r = 0; r < a.rows; r++) sum += b.at(row * a.rows + r) * a.at(r * a.columns + column)
        const place = offset + 4 * (row * a.columns + column)
        weights.writeFloatLE(weights.readFloatLE(place) + (scale * alpha * sum) / a.rows, place)
      }
    }
  }
  const file = join(folder, `merged-${id}-${scale}.gguf`)
  writeFileSync(file, weights)
  return file
}

function raise(name: string): never {
  throw new Error(`The adapter has no ${name}.`)
}

/** Greedy tokens, and the numbers behind them. */
async function answerOf(vl: QwenVL, more: object = {}) {
  return numbersOf(await vl.chat([scene], { ...options, ...more }))
}

function numbersOf({ tokens, logprobs = [] }: GenerationResult) {
  return { tokens: [...tokens], logprobs: logprobs.map(({ logprob }) => logprob) }
}

function expectSame(one: ReturnType<typeof numbersOf>, other: ReturnType<typeof numbersOf>): void {
  expect(one.tokens).toEqual(other.tokens)
  for (const [index, logprob] of one.logprobs.entries())
    expect(logprob).toBeCloseTo(other.logprobs[index] ?? NaN, 3)
}

interface PeftCase {
  readonly name: string
  readonly messages: readonly Message[]
  readonly answers: readonly {
    readonly scale: number
    readonly logits: { readonly file: string }
    readonly tokens: readonly number[]
  }[]
}

const peftIds = goldenIds.filter((id) => existsSync(join(goldenRoot, id, 'lora.json')))

test('there are numbers of peft for all generations', () => expect(peftIds).toEqual(goldenIds))

describe.each(peftIds)('%s answers as transformers with peft does', (id) => {
  const files = join(goldenRoot, id)
  const lora = join(files, 'lora-f32.gguf')
  const { cases } = JSON.parse(readFileSync(join(files, 'lora.json'), 'utf8')) as {
    readonly cases: readonly PeftCase[]
  }
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id, lora: [{ path: lora }], flashAttention: 'off', cacheType: 'f32' })
  })
  afterAll(() => vl.dispose())

  const answers = cases.flatMap(({ name, messages, answers }) =>
    answers.map((answer) => ({ ...answer, name, messages })),
  )
  test.each(answers)('$name at scale $scale', async ({ scale, messages, logits, tokens }) => {
    const answer = await vl.chat(seen(messages), {
      ...options,
      maxTokens: tokens.length,
      logprobs: vl.info.vocabSize,
      lora: [{ path: lora, scale }],
    })
    const bytes = readFileSync(join(files, logits.file))
    const wanted = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    expect([...answer.tokens]).toEqual(tokens)
    expect(cosine(firstLogits(answer, vl.info.vocabSize), centred(wanted))).toBeGreaterThan(0.9999)
  })
})

/** With the pictures of the fixtures. */
function seen(messages: readonly Message[]): Message[] {
  const text = JSON.stringify(messages).replace(/"image":"([^"]+)"/g, (_, file: string) =>
    JSON.stringify({ image: picture(file) }).slice(1, -1),
  )
  return JSON.parse(text) as Message[]
}

describe.each(['qwen3vl', 'qwen3.5'] as const)('an adapter of %s', (id) => {
  const path = adapterOf(id)
  const load = (more: object = {}) => loadFixture({ id, ...more })
  let plain: ReturnType<typeof numbersOf>
  let vl: QwenVL
  beforeAll(async () => {
    const without = await load()
    plain = await answerOf(without)
    await without.dispose()
    vl = await load({ lora: [{ path }] })
  })
  afterAll(() => vl.dispose())

  test.each([1, 0.5])('at scale %d answers as weights that hold it', async (scale) => {
    const reference = await load({ model: await merged(id, scale) })
    const expected = await answerOf(reference)
    await reference.dispose()
    expectSame(await answerOf(vl, { lora: [{ path, scale }] }), expected)
    expect(expected.logprobs).not.toEqual(plain.logprobs)
  })

  test('holds as the model was loaded, until a request says otherwise', async () => {
    expectSame(await answerOf(vl), await answerOf(vl, { lora: [{ path, scale: 1 }] }))
    expectSame(await answerOf(vl, { lora: [] }), plain)
    expectSame(await answerOf(vl, { lora: [{ path, scale: 0 }] }), plain)
  })

  test('shares no KV memory with others: what one computed is not reused by another', async () => {
    const fresh = user('A prompt of its own, long enough to be worth something.')
    const cached = async (scale: number) =>
      (await vl.chat([fresh], { ...options, lora: [{ path, scale }] })).usage.cachedTokens
    expect(await cached(0.25)).toBe(0)
    expect(await cached(0.75)).toBe(0)
    expect(await cached(0.25)).toBeGreaterThan(10)
  })

  test('works beside others at the same time, each request with its own', async () => {
    const scales = [0, 1, 0.5, 1, 0, 0.5]
    const alone = new Map<number, ReturnType<typeof numbersOf>>()
    for (const scale of [0, 0.5, 1]) alone.set(scale, await answerOf(vl, { lora: [{ path, scale }] }))
    const together = await Promise.all(scales.map((scale) => answerOf(vl, { lora: [{ path, scale }] })))
    for (const [index, answer] of together.entries()) {
      expectSame(answer, alone.get(scales[index] ?? NaN) ?? raise('answer'))
    }
  })

  test('of a conversation stays with it', async () => {
    const chat = vl.createChat({ ...options, lora: [{ path, scale: 0.5 }] })
    await chat.send('Hello.')
    const second = await chat.send('And now?')
    expect(second.usage.cachedTokens).toBeGreaterThan(5)
  })
})

test('deterministic models switch adapters too', async () => {
  const vl = await load({ lora: [{ path, scale: 0 }], deterministic: true, parallel: 2 })
  const [off, on] = await Promise.all([answerOf(vl), answerOf(vl, { lora: [{ path }] })])
  expect(on).not.toEqual(off)
  expect(await answerOf(vl, { lora: [{ path }] })).toEqual(on)
  await vl.dispose()
})

describe('is refused:', () => {
  test.each([
    ['no file', () => join(folder, 'nothing.gguf'), 'FILE_NOT_FOUND'],
    ['a model', () => pair('qwen3vl').model, 'UNSUPPORTED_MODEL'],
    ['a text', () => write('text.gguf', Buffer.from('no gguf at all')), 'NOT_GGUF'],
    ['a header of other types', () => otherTypes(), 'UNSUPPORTED_MODEL'],
    ['half a file', () => half(), 'GGUF_TRUNCATED'],
  ])('%s', async (_, make, code) => {
    await expect(load({ lora: [{ path: make() }] })).rejects.toMatchObject({ code })
  })

  test('one of another model, with what would help', async () => {
    await expect(loadFixture({ id: 'qwen2vl', lora: [{ path }] })).rejects.toMatchObject({
      code: 'UNSUPPORTED_MODEL',
      message: expect.stringMatching(/no LoRA adapter of this model.*convert_lora_to_gguf/),
    })
  })

  test('one that the model was not loaded with, by the request alone', async () => {
    const vl = await load()
    await expect(vl.chat('Hi', { lora: [{ path }] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/`lora\[0\].path`.*loaded with/),
    })
    expect((await vl.chat('Hi', { maxTokens: 2 })).usage.completionTokens).toBeGreaterThan(0)
    await vl.dispose()
  })

  test.each([
    [[{ path, scale: Infinity }], /scale/],
    [[{ path }, { path }], /twice/],
    [path, /array of adapters/],
  ])('%j', async (lora, message) => {
    await expect(load({ lora })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
  })
})

function write(name: string, content: Buffer): string {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

/** `adapter.lora.alpha` as a whole number: the loader would end the process. */
function otherTypes(): string {
  const content = readFileSync(path)
  const key = 'adapter.lora.alpha'
  content.writeUInt32LE(4, content.indexOf(key) + key.length)
  return write('types.gguf', content)
}

function half(): string {
  const file = join(folder, 'half.gguf')
  copyFileSync(path, file)
  truncateSync(file, readFileSync(path).length / 2)
  return file
}
