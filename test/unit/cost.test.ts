import { affordablePixels, encoderBytes, encoderShape, freeMemory } from '../../lib/cost'
import type { EncoderShape } from '../../lib/cost'
import { generations } from '../../lib/generations'

/** The encoder of Qwen2-VL, of every size of it. */
const qwen2: EncoderShape = {
  patchSize: 14,
  mergeSize: 2,
  width: 1280,
  hidden: 5120,
  liveRows: 8,
  heads: 16,
  rowWidth: 1536,
  flashAttention: true,
}
const token = 28 * 28
const gigabyte = 2 ** 30

test('16384 tokens take a few gigabytes with flash attention, and hundreds without', () => {
  const most = 16384 * token
  expect(encoderBytes(qwen2, most)).toBeGreaterThan(2 * gigabyte)
  expect(encoderBytes(qwen2, most)).toBeLessThan(6 * gigabyte)
  expect(encoderBytes({ ...qwen2, flashAttention: false }, most)).toBeGreaterThan(256 * gigabyte)
})

test('a picture costs in proportion to its area, and without flash attention to its square', () => {
  expect(encoderBytes(qwen2, 2000 * token)).toBeCloseTo(2 * encoderBytes(qwen2, 1000 * token))
  const scores = (tokens: number) =>
    encoderBytes({ ...qwen2, flashAttention: false }, tokens * token) - encoderBytes(qwen2, tokens * token)
  expect(scores(2000)).toBeCloseTo(4 * scores(1000))
})

test('a pair of frames costs what one picture of that area does, and its pixels once more', () => {
  const pixels = 1000 * token
  expect(encoderBytes(qwen2, pixels, 2) - encoderBytes(qwen2, pixels)).toBe(4 * 4 * 3 * pixels)
  expect(affordablePixels(qwen2, gigabyte, 2)).toBeLessThan(affordablePixels(qwen2, gigabyte))
})

test.each([true, false])(
  'the affordable area is the largest that fits; flash attention: %s',
  (flashAttention) => {
    const shape = { ...qwen2, flashAttention }
    for (const bytes of [gigabyte / 10, gigabyte, 10 * gigabyte]) {
      const pixels = affordablePixels(shape, bytes)
      expect(pixels % token).toBe(0)
      expect(encoderBytes(shape, pixels)).toBeLessThanOrEqual(bytes)
      expect(encoderBytes(shape, pixels + token)).toBeGreaterThan(bytes)
    }
  },
)

test('a token is always affordable, and there is an end', () => {
  expect(affordablePixels(qwen2, 0)).toBe(token)
  expect(affordablePixels(qwen2, Infinity)).toBeGreaterThan(16384 * token)
})

test('the sizes come from the projector', () => {
  const header = {
    fileBytes: 1,
    tensors: [],
    metadata: {
      'clip.vision.embedding_length': 1280,
      'clip.vision.feed_forward_length': 3420,
      'clip.vision.attention.head_count': 16,
    },
  }
  const generation = generations.find(({ id }) => id === 'qwen2.5vl')
  if (!generation) throw new Error('no qwen2.5vl')
  expect(encoderShape(header, generation, { rowWidth: 2048, flashAttention: true })).toEqual({
    patchSize: 14,
    mergeSize: 2,
    width: 1280,
    hidden: 6840,
    liveRows: 12,
    heads: 16,
    rowWidth: 2048,
    flashAttention: true,
  })
})

test('the estimate bounds what was measured, in 1600 tokens of random weights on a CPU', () => {
  const qwen25 = { ...qwen2, hidden: 2 * 3420, liveRows: 12, rowWidth: 2048 }
  const qwen3 = { ...qwen2, patchSize: 16, width: 1024, hidden: 4096, rowWidth: 8192 }
  const measured: ReadonlyArray<[EncoderShape, side: number, megabytes: number]> = [
    [qwen2, 1120, 332],
    [qwen25, 1120, 459],
    [qwen3, 1280, 406],
    [{ ...qwen2, flashAttention: false }, 1120, 2801],
    [{ ...qwen25, flashAttention: false }, 1120, 2803],
    [{ ...qwen3, flashAttention: false }, 1280, 2938],
  ]
  for (const [shape, side, megabytes] of measured) {
    const estimate = encoderBytes(shape, side ** 2) / 2 ** 20
    expect(estimate).toBeGreaterThan(megabytes)
    expect(estimate).toBeLessThan(1.2 * megabytes)
  }
})

test('some memory is free', () => {
  expect(freeMemory()).toBeGreaterThan(0)
})
