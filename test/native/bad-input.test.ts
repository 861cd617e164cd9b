/** Whatever is wrong gets its own typed error, whose message names the fix; then the next request works. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ContextOverflowError,
  ImageError,
  InvalidArgumentError,
  ModelLoadError,
  QwenVL,
  QwenVLError,
  UnsupportedModelError,
  assistant,
  image,
  imageEmbedding,
  user,
} from '../../lib'
import type { ContentPart, GenerateOptions, LoadOptions, MessagesInput, StreamPart } from '../../lib'
import { inspectGguf } from '../../lib/engine/engine'
import { noise, pair, picture, root, small } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const folder = mkdtempSync(join(tmpdir(), 'qwenvl-bad-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A file with these bytes. */
function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

interface Expected {
  readonly type: new (...args: never[]) => QwenVLError
  /** Of several, one. */
  readonly code: string | readonly string[]
  /** What the message must say: the place of the fault and the fix. */
  readonly says: readonly string[]
}

/** The error of a call, checked. */
async function expectError(call: () => unknown, { type, code, says }: Expected) {
  const error: unknown = await (async () => call())().then(
    () => undefined,
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(type)
  expect(error).toBeInstanceOf(QwenVLError)
  expect(QwenVLError.isInstance(error)).toBe(true)
  const { code: actual, message, name } = error as QwenVLError
  expect([code].flat()).toContain(actual)
  expect(name).toBe(type.name)
  for (const words of says) expect(message).toContain(words)
  return error as QwenVLError
}

describe('files', () => {
  const { model, mmproj } = pair()
  const bytes = readFileSync(model)
  const projectorBytes = readFileSync(mmproj)

  const load = (options: Partial<LoadOptions>) => async () => {
    const vl = await QwenVL.load({ model, mmproj, ...small, ...options })
    await vl.dispose()
  }
  const fails = (options: Partial<LoadOptions>, expected: Expected) => expectError(load(options), expected)

  afterAll(load({})) // a good pair still loads

  test('no such file', async () => {
    const expected = { type: ModelLoadError, code: 'FILE_NOT_FOUND', says: ['Check the path'] }
    await fails(
      { model: '/does/not/exist.gguf' },
      { ...expected, says: ['/does/not/exist.gguf', 'Check the path'] },
    )
    await fails({ mmproj: '/does/not/exist.gguf' }, expected)
    await fails({ model: folder }, expected)
    await fails({ model: 'a\0b.gguf' }, expected)
  })

  test('not a GGUF file', async () => {
    const expected = { type: ModelLoadError, code: 'NOT_GGUF', says: ['is not a GGUF file', 'convert'] }
    await fails({ model: file('text.gguf', 'a text\n') }, expected)
    await fails({ model: file('empty.gguf', '') }, expected)
    await fails({ mmproj: file('three.gguf', 'GGU') }, expected)
    await fails({ mmproj: picture('tiny.png') }, expected)
    await fails({ model: join(root, 'package.json') }, expected)
  })

  test.each([4, 8, 16, 24, 100, 1000, 5000, 9000])('cut inside the header, after %i bytes', async (size) => {
    const expected = {
      type: ModelLoadError,
      code: ['GGUF_CORRUPT', 'GGUF_TRUNCATED'],
      says: ['Download the file again'],
    }
    await fails({ model: file('cut.gguf', bytes.subarray(0, size)) }, expected)
    await fails({ mmproj: file('cut.gguf', projectorBytes.subarray(0, size)) }, expected)
  })

  test.each([0.3, 0.5, 0.9, 0.999])('cut inside the tensors, at %d of the file', async (share) => {
    for (const [key, whole] of [['model', bytes] as const, ['mmproj', projectorBytes] as const]) {
      const cut = file('cut.gguf', whole.subarray(0, Math.floor(whole.length * share)))
      await fails({ [key]: cut }, {
        type: ModelLoadError,
        code: 'GGUF_TRUNCATED',
        says: ['is cut off', `has ${Math.floor(whole.length * share)} bytes`, 'Download the file again'],
      }) // prettier-ignore
    }
  })

  test('a byte less', () =>
    fails({ model: file('cut.gguf', bytes.subarray(0, bytes.length - 1)) }, {
      type: ModelLoadError,
      code: 'GGUF_TRUNCATED',
      says: ['Download'],
    })) // prettier-ignore

  test('a header that only claims to be one', async () => {
    const claims = Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(60, 0xff)])
    const error = await fails({ model: file('claims.gguf', claims) }, {
      type: ModelLoadError,
      code: 'GGUF_CORRUPT',
      says: ['damaged'],
    }) // prettier-ignore
    expect(error.details.log).toEqual(expect.stringContaining('gguf'))
  })

  test('a projector of another generation', async () => {
    const expected = {
      type: UnsupportedModelError,
      code: 'PROJECTOR_MISMATCH',
      says: ['The projector is for', 'mmproj'],
    }
    await fails({ mmproj: pair('qwen3vl').mmproj }, expected)
    await fails({ model: pair('qwen3vl').model }, expected)
  })

  test('a projector of another width', async () => {
    // As the model's own, but declaring and giving rows of another width.
    const narrow = Buffer.from(projectorBytes)
    const key = narrow.indexOf('clip.vision.projection_dim')
    narrow.writeUInt32LE(48, key + 'clip.vision.projection_dim'.length + 4)
    await fails({ mmproj: file('narrow.gguf', narrow) }, {
      type: UnsupportedModelError,
      code: 'PROJECTOR_MISMATCH',
      says: ['width 48', 'the model takes 64', 'Take the mmproj file from the repository'],
    }) // prettier-ignore
  })

  test('model and projector swapped, twice the same', async () => {
    const expected = { type: UnsupportedModelError, code: 'PROJECTOR_MISMATCH' }
    await fails({ model: mmproj, mmproj: model }, { ...expected, says: ['swapped'] })
    await fails({ model: mmproj, mmproj }, { ...expected, says: ['pass the text model'] })
    await fails({ mmproj: model }, { ...expected, says: ['is not a projector'] })
  })

  test('a projector alone', () =>
    expectError(() => QwenVL.load({ model: mmproj, ...small }), {
      type: UnsupportedModelError,
      code: 'UNSUPPORTED_MODEL',
      says: ['pass it as `mmproj`'],
    }))

  test('another architecture', async () => {
    const other = Buffer.from(bytes.toString('latin1').replaceAll('qwen2vl', 'qwen2xx'), 'latin1')
    await fails({ model: file('other.gguf', other) }, {
      type: UnsupportedModelError,
      code: 'UNSUPPORTED_MODEL',
      says: ["'qwen2xx'", 'supported are', 'Choose'],
    }) // prettier-ignore
  })

  test('a good header whose tensors llama.cpp misses', async () => {
    const broken = Buffer.from(
      bytes.toString('latin1').replace('blk.1.attn_q.weight', 'blk.1.attn_x.weight'),
      'latin1',
    )
    const error = await fails({ model: file('broken.gguf', broken) }, {
      type: ModelLoadError,
      code: 'MODEL_LOAD_FAILED',
      says: ['llama.cpp refused', 'details'],
    }) // prettier-ignore
    expect(error.details.log).toEqual(expect.stringContaining('attn_q'))
  })
})

describe('requests', () => {
  let vl: QwenVL
  let quiet: ReturnType<typeof essence>
  beforeAll(async () => {
    vl = await loadFixture()
    quiet = essence(await vl.chat('Is all well?', greedy))
  })
  afterAll(() => vl.dispose())
  afterEach(async () => {
    expect(essence(await vl.chat('Is all well?', greedy))).toEqual(quiet)
  })

  const fails = (messages: MessagesInput, expected: Expected, options: GenerateOptions = {}) =>
    expectError(() => vl.chat(messages, options), expected)
  /** By every way that takes a picture. */
  const pictureFails = async (part: ContentPart, expected: Expected) => {
    await fails([user(part, 'What?')], expected)
    await expectError(() => vl.embedImage(part), expected)
    await expectError(() => vl.countTokens([user(part)]), expected).catch((error: unknown) => {
      // Counting reads the header only.
      if (expected.code !== 'IMAGE_CORRUPT') throw error
    })
  }

  test('a picture for a model without a projector', async () => {
    await using text = await QwenVL.load({ model: pair().model, ...small })
    const expected = { type: UnsupportedModelError, code: 'PROJECTOR_MISSING', says: ['Pass `mmproj`'] }
    await expectError(() => text.chat([user(image(picture('tiny.png')), 'What?')]), expected)
    await expectError(() => text.embedImage(image(picture('tiny.png'))), expected)
    await expectError(() => text.countTokens([user(image(picture('tiny.png')))]), expected)
    await expectError(() => text.createChat().send(image(picture('tiny.png'))), expected)
    expect(essence(await text.chat('Is all well?', greedy))).toEqual(quiet)
  })

  test('a picture of zero bytes', async () => {
    const expected = { type: ImageError, code: 'IMAGE_EMPTY', says: ['no bytes', 'Check'] }
    await pictureFails(image(file('empty.png', '')), expected)
    await pictureFails(image(Buffer.alloc(0)), expected)
    await pictureFails(image('data:image/png;base64,'), expected)
  })

  test('a corrupt picture', async () => {
    const good = readFileSync(picture('scene.png'))
    const expected = { type: ImageError, code: 'IMAGE_CORRUPT', says: [] }
    await pictureFails(image(file('half.png', good.subarray(0, good.length / 2))), {
      ...expected,
      says: ['half.png', 'again'],
    })
    await pictureFails(image(Buffer.from('no picture at all')), { ...expected, says: ['Pass JPEG'] })
    await pictureFails(image(Buffer.from('%PDF-1.7')), { ...expected, says: ['PDF', 'Convert'] })
  })

  test('a picture that is not there', async () => {
    const expected = { type: ImageError, code: 'FILE_NOT_FOUND', says: ['/does/not/exist.png'] }
    await pictureFails(image('/does/not/exist.png'), expected)
  })

  test('a picture of 20000 × 50 pixels', () =>
    pictureFails(image({ data: noise(20_000, 50), width: 20_000, height: 50, channels: 3 }), {
      type: ImageError,
      code: 'IMAGE_ASPECT_RATIO',
      says: ['200'],
    }))

  test('a picture of too many pixels or bytes', async () => {
    await using strict = await loadFixture({ maxInputPixels: 1000, maxImageBytes: 2000 })
    const many = image({ data: noise(56, 56), width: 56, height: 56, channels: 3 })
    await expectError(() => strict.chat([user(many)]), {
      type: ImageError,
      code: 'IMAGE_TOO_LARGE',
      says: ['maxInputPixels'],
    })
    const large = image(
      file('large.png', Buffer.concat([readFileSync(picture('scene.png')), Buffer.alloc(9000)])),
    )
    await expectError(() => strict.chat([user(large)]), {
      type: ImageError,
      code: 'IMAGE_TOO_LARGE',
      says: ['maxImageBytes'],
    })
  })

  test('raw pixels of the wrong length', () =>
    pictureFails(image({ data: new Uint8Array(10), width: 56, height: 56, channels: 3 }), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: ['data'],
    }))

  describe('an embedding', () => {
    const embedding = (value: number) => {
      const [tokens, width] = [4, vl.info.embeddingWidth]
      const data = new Float32Array(tokens * width).fill(value)
      const processed = { width: 56, height: 56 }
      return imageEmbedding({
        data,
        tokens,
        width,
        grid: { t: 1, h: 4, w: 4 },
        hash: `all ${value}`,
        processed,
      })
    }

    test('that is not finite', async () => {
      const expected = {
        type: InvalidArgumentError,
        code: 'INVALID_ARGUMENT',
        says: ['finite', 'embedImage()'],
      }
      for (const value of [NaN, Infinity, -Infinity]) await fails([user(embedding(value), 'What?')], expected)
    })

    test('of zeros is a picture like any other', async () => {
      const { logprobs } = await vl.chat([user(embedding(0), 'What?')], { ...greedy, logprobs: true })
      expect(logprobs?.every(({ logprob }) => Number.isFinite(logprob))).toBe(true)
    })
  })

  test('weights that are no numbers spoil only the answers that use them', async () => {
    const { model } = pair()
    const bytes = readFileSync(model)
    const { tensors } = await inspectGguf(model)
    const sizes = tensors.map(({ shape }) => Math.ceil((4 * shape.reduce((n, side) => n * side)) / 32) * 32)
    const index = tensors.findIndex(({ name }) => name === 'token_embd.weight')
    const total = (upTo: number) => sizes.slice(0, upTo).reduce((sum, size) => sum + size, 0)
    const table = bytes.length - total(tensors.length) + total(index)
    const ids = async (text: string) => [...(await vl.inspect(text)).tokens]
    const eight = await ids('8')
    const [seven = 0] = (await ids('7')).filter((id, i) => id !== eight[i])
    const row = 4 * vl.info.embeddingWidth
    for (let i = 0; i < row; i += 4) bytes.writeFloatLE(NaN, table + seven * row + i)
    await using damaged = await loadFixture({ model: file('nan.gguf', bytes) })
    expect(essence(await damaged.chat('Is all well?', greedy))).toEqual(quiet)
    await expectError(() => damaged.chat('7', greedy), {
      type: QwenVLError,
      code: 'DECODE_FAILED',
      says: ['NaN', 'download'],
    })
    expect(essence(await damaged.chat('Is all well?', greedy))).toEqual(quiet)
  })

  test('a video', async () => {
    const expected = { type: QwenVLError, code: 'VIDEO_UNSUPPORTED', says: ['frames as pictures'] }
    await fails([user({ type: 'video', video: 'a.mp4' } as never)], expected)
  })

  test('a prompt longer than the context, before any picture is encoded', async () => {
    const expected = {
      type: ContextOverflowError,
      code: 'CONTEXT_OVERFLOW',
      says: ['the context holds 512', 'contextSize', 'maxPixels'],
    }
    await fails('word '.repeat(600), expected)
    const shown = image({ data: noise(784, 784), width: 784, height: 784, channels: 3 })
    const stream = vl.stream([user(shown, 'What?')])
    const parts: StreamPart[] = []
    const error = await expectError(async () => {
      for await (const part of stream) parts.push(part)
    }, expected)
    expect(parts).toEqual([])
    expect(error.message).toContain(String(await vl.countTokens([user(shown, 'What?')])))
    expect(error.details).toMatchObject({
      contextSize: 512,
      promptTokens: await vl.countTokens([user(shown, 'What?')]),
    })
    const chat = vl.createChat({ ...greedy, maxTokens: 200 })
    await chat.send('one')
    await chat.send('two')
    await expectError(() => chat.send('three '.repeat(200)), expected)
    expect(chat.length).toBe(4)
  })

  test('a prompt that fills the context to the last cell leaves room for one token', async () => {
    const digits = (await vl.countTokens('7'.repeat(100))) - 100
    const exact = '7'.repeat(512 - digits - 1)
    expect(await vl.countTokens(exact)).toBe(511)
    const { usage, finishReason } = await vl.chat(exact, { temperature: 0, ignoreEos: true })
    expect(finishReason).toBe('length')
    expect(usage.completionTokens).toBeGreaterThanOrEqual(1)
    await fails(`${exact}7`, { type: ContextOverflowError, code: 'CONTEXT_OVERFLOW', says: ['512'] })
  })
})

describe('options and messages', () => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture()
  })
  afterAll(() => vl.dispose())

  const wrong = { type: InvalidArgumentError, code: 'INVALID_ARGUMENT' } as const

  test('an unknown option of load, generate, chat and image', async () => {
    await expectError(() => QwenVL.load({ ...pair(), contextsize: 5 } as never), {
      ...wrong,
      says: ['`contextsize`', 'contextSize'],
    })
    await expectError(() => vl.chat('x', { max_tokens: 5 } as never), {
      ...wrong,
      says: ['`max_tokens`', 'maxTokens'],
    })
    await expectError(() => vl.stream('x', { temprature: 1 } as never), { ...wrong, says: ['`temprature`'] })
    await expectError(() => vl.createChat({ sytem: 'x' } as never), { ...wrong, says: ['`sytem`'] })
    await expectError(() => vl.chat([user(image(picture('tiny.png'), { maxpixels: 3 } as never))]), {
      ...wrong,
      says: ['maxpixels'],
    })
    await expectError(() => vl.countTokens('x', { foo: 1 } as never), { ...wrong, says: ['`foo`'] })
    await expectError(() => vl.inspect('x', { foo: 1 } as never), { ...wrong, says: ['`foo`'] })
  })

  const anything = [
    null,
    7,
    true,
    'x',
    [],
    {},
    () => undefined,
    Symbol('x'),
    7n,
    Number.NaN,
    Infinity,
    -1,
    0.5,
  ]
  const good: Record<string, (value: unknown) => boolean> = {
    model: (value) => value === 'x',
    mmproj: (value) => value === 'x',
    chatTemplate: (value) => value === 'x',
    gpuLayers: (value) => value === 7 || value === -1,
    mmap: (value) => value === true,
    allowPrivateAddresses: (value) => value === true,
    onProgress: (value) => typeof value === 'function',
    threads: (value) => value === 7,
    batchSize: (value) => value === 7,
    minPixels: (value) => value === 7,
    maxPixels: (value) => value === 7,
    maxImageBytes: (value) => value === 7,
    maxInputPixels: (value) => value === 7,
    imageTimeoutMs: (value) => value === 7,
    contextSize: () => false, // 16 at least
    flashAttention: () => false,
    cacheType: () => false,
    reference: () => false,
    signal: () => false,
  }
  test.each(Object.entries(good))('a wrong %s of load', async (name, isGood) => {
    for (const value of anything) {
      if (!isGood(value))
        await expectError(() => QwenVL.load({ ...pair(), [name]: value }), {
          ...wrong,
          says: [`\`${name}`],
        })
    }
  })

  const goodOptions: Record<string, (value: unknown) => boolean> = {
    maxTokens: (value) => value === 7,
    temperature: (value) => value === 7 || value === 0.5,
    topK: (value) => value === 7,
    topP: (value) => value === 0.5,
    minP: (value) => value === 0.5,
    repetitionPenalty: (value) => value === 7 || value === 0.5,
    presencePenalty: (value) => typeof value === 'number' && Number.isFinite(value),
    frequencyPenalty: (value) => typeof value === 'number' && Number.isFinite(value),
    seed: (value) => value === 7,
    stop: (value) => value === 'x' || Array.isArray(value),
    logprobs: (value) => value === true || value === 7,
    ignoreEos: (value) => value === true,
    addVisionId: (value) => value === true,
    specialTokens: () => false,
    tools: (value) => Array.isArray(value),
    templateVariables: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    signal: () => false,
  }
  test.each(Object.entries(goodOptions))('a wrong %s of generate', async (name, isGood) => {
    for (const value of anything) {
      if (!isGood(value))
        await expectError(() => vl.chat('x', { [name]: value }), { ...wrong, says: [`\`${name}`] })
    }
  })

  test('messages that are none', async () => {
    for (const value of [
      null,
      undefined,
      7,
      true,
      [],
      [7],
      [null],
      {},
      [{ role: 'robot', content: 'x' }],
      [{ role: 'user' }],
      [{ role: 'user', content: 7 }],
    ]) {
      await expectError(() => vl.chat(value as never), { ...wrong, says: ['Expected `'] })
    }
    for (const part of [
      7,
      null,
      {},
      { type: 'sound' },
      { type: 'text' },
      { type: 'image' },
      { type: 'image', image: 7 },
      { type: 'embedding' },
    ]) {
      await expectError(() => vl.chat([{ role: 'user', content: [part as never] }]), {
        ...wrong,
        says: ['`messages[0].content[0]'],
      })
    }
    await expectError(() => vl.chat([{ role: 'user', content: 'x', tokens: Int32Array.of(1) }]), {
      ...wrong,
      says: ['tokens'],
    })
  })

  test('what embedImage cannot take', async () => {
    for (const value of ['a text', { type: 'text', text: 'x' }, 7, null, undefined, {}]) {
      await expectError(() => vl.embedImage(value as never), { ...wrong, says: ['`picture'] })
    }
  })

  test('options that are no object', async () => {
    await expectError(() => QwenVL.load(undefined as never), { ...wrong, says: ['`options`', 'an object'] })
    await expectError(() => QwenVL.load('model.gguf' as never), { ...wrong, says: ['`options`'] })
    await expectError(() => vl.chat('x', null as never), { ...wrong, says: ['`options`'] })
    await expectError(() => vl.createChat(7 as never), { ...wrong, says: ['`options`'] })
    await expectError(() => vl.createChat({ messages: 7 } as never), { ...wrong, says: ['`messages`'] })
  })

  test('token ids of an earlier answer that no vocabulary has', async () => {
    const messages = [user('x'), { ...assistant('y'), tokens: Int32Array.of(2 ** 30, -5) }, user('z')]
    await expectError(() => vl.chat(messages), { ...wrong, says: ['vocabulary'] })
  })

  test('limits that contradict each other', async () => {
    const options = { minPixels: 500_000, maxPixels: 100_000 }
    await expectError(() => vl.chat([user(image(picture('tiny.png'), options))]), {
      ...wrong,
      says: ['at most maxPixels'],
    })
    await expectError(() => QwenVL.load({ ...pair(), ...options }), { ...wrong, says: ['`minPixels`'] })
  })

  test('a template that is none', async () => {
    await expectError(() => QwenVL.load({ ...pair(), ...small, chatTemplate: '{% if %}' }), {
      type: QwenVLError,
      code: 'TEMPLATE_FAILED',
      says: ['template'],
    })
  })

  test('synchronous calls never throw from asynchronous functions', () => {
    expect(() => void vl.chat(7 as never).catch(() => undefined)).not.toThrow()
    expect(() => void QwenVL.load(7 as never).catch(() => undefined)).not.toThrow()
    expect(
      () =>
        void vl
          .createChat()
          .send(7 as never)
          .catch(() => undefined),
    ).not.toThrow()
    expect(() => void vl.embedImage(7 as never).catch(() => undefined)).not.toThrow()
    expect(() => void vl.countTokens(7 as never).catch(() => undefined)).not.toThrow()
  })
})
