/** Requests that cannot be answered: each gets its own typed error, whose message names the fix; the next one works. */
import { readFileSync } from 'node:fs'
import {
  ContextOverflowError,
  ImageError,
  InvalidArgumentError,
  QwenVL,
  QwenVLError,
  UnsupportedModelError,
  VideoError,
  image,
  imageEmbedding,
  user,
  video,
} from '../../lib'
import type { ContentPart, GenerateOptions, MessagesInput, StreamPart } from '../../lib'
import { inspectGguf } from '../../lib/engine/engine'
import { expectError, temporaryFolder } from '../support/errors'
import type { Expected } from '../support/errors'
import { noise, pair, picture, small } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const { file } = temporaryFolder()

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

  // What was computed of all is gone. Whom nobody reads does not compute it anew, and nobody waits for that.
  const shared = 'Many conversations begin with this, so that it is computed once. '
  const many = { ...greedy, maxTokens: 300 }
  const unread = damaged.stream(`${shared}One?`, many)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await damaged.chat('7', greedy).catch(() => undefined)
  expect(essence(await damaged.chat(`${shared}Two?`, greedy))).toEqual(
    essence(await vl.chat(`${shared}Two?`, greedy)),
  )
  expect(essence(await unread.result)).toEqual(essence(await vl.chat(`${shared}One?`, many)))
})

test('a video that is not there', async () => {
  const expected = { type: VideoError, code: 'FILE_NOT_FOUND', says: ["'no.mp4'", 'path'] }
  await fails([user(video('no.mp4'), 'What?')], expected)
})

test('a video that cannot fit, before any frame is read', async () => {
  const frame = (seed: number) => ({
    data: noise(448, 448, seed),
    width: 448,
    height: 448,
    channels: 3 as const,
  })
  const expected = {
    type: ContextOverflowError,
    code: 'CONTEXT_OVERFLOW',
    says: ['the context holds 512', '`totalPixels`', '`maxFrames`', '`contextSize`'],
  }
  await fails([user(video([frame(1), frame(2), frame(3), frame(4)]), 'What?')], expected)
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
