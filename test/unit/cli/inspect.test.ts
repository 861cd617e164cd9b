import { describe as describePrompt } from '../../../lib/cli/inspect'
import type { PromptInspection } from '../../../lib'

const pad = 151655

/** "<start>" picture of 2×3 merged patches "<end>" and three words. */
const inspection: PromptInspection = {
  text: '<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?',
  tokens: Int32Array.of(1, 2, pad, pad, pad, pad, pad, pad, 3, 7, 7, 7),
  positions: {
    t: Int32Array.of(0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 7, 8),
    h: Int32Array.of(0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 8),
    w: Int32Array.of(0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8),
  },
  ropeDelta: -3,
  videos: [],
  images: [
    {
      original: { width: 100, height: 60 },
      processed: { width: 96, height: 64 },
      grid: { t: 1, h: 4, w: 6 },
      tokens: 6,
    },
  ],
}

test('shows prompt, pictures and runs of ids with their positions', () => {
  expect(describePrompt(inspection)).toBe(`prompt
  <|im_start|>user
  <|vision_start|><|image_pad|><|vision_end|>What is it?

pictures
  1  100×60 → 96×64 pixels, grid 1×4×6, 6 tokens

tokens: 12, rope delta -3
  [0…1]  t=h=w 0…1
    1 2
  [2…7]  t 2  h 2…3  w 2…4
    ${pad} × 6
  [8…11]  t=h=w 5…8
    3 7 7 7
`)
})

test('shows what was seen of videos', () => {
  const clip = {
    original: { width: 640, height: 360 },
    processed: { width: 64, height: 32 },
    grid: { t: 2, h: 2, w: 4 },
    tokens: 4,
    frames: 4,
    sampleFps: 1.99999,
    times: [0.25, 1.25],
  }
  expect(describePrompt({ ...inspection, videos: [clip] })).toContain(`
videos
  1  4 frames, 2 per second, 640×360 → 64×32 pixels, grid 2×2×4, 4 tokens
`)
})

test('text alone is one run, wrapped', () => {
  const tokens = Int32Array.from({ length: 60 }, (_, index) => 100_000 + index)
  const t = tokens.map((_, index) => index)
  const text = describePrompt({ ...inspection, tokens, positions: { t, h: t, w: t }, images: [] })
  expect(text).not.toContain('pictures')
  expect(text).toContain('[0…59]  t=h=w 0…59')
  expect(text.match(/\b1000\d\d\b/g)).toHaveLength(60)
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
})

test('a repeated word is text, not a picture', () => {
  const tokens = Int32Array.of(9, 9, 9)
  const t = Int32Array.of(0, 1, 2)
  expect(describePrompt({ ...inspection, tokens, positions: { t, h: t, w: t }, images: [] })).toContain(
    '9 9 9',
  )
})

test('two pictures of one size stay two', () => {
  const tokens = Int32Array.of(pad, pad, 3, 2, pad, pad)
  const t = Int32Array.of(0, 0, 2, 3, 4, 4)
  const w = Int32Array.of(0, 1, 2, 3, 4, 5)
  const text = describePrompt({ ...inspection, tokens, positions: { t, h: t, w } })
  expect(text.match(new RegExp(`${pad} × 2`, 'g'))).toHaveLength(2)
})
