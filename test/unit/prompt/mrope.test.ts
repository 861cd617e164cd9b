import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promptPositions, visionPositions } from '../../../lib/prompt/mrope'
import type { Span, TimeOffset } from '../../../lib/prompt/mrope'

interface Vector {
  /** Length of a text, or rows and columns of a picture. */
  layout: Array<number | [number, number]>
  t: number[]
  h: number[]
  w: number[]
  next: number
}
const { vectors } = JSON.parse(readFileSync(join(__dirname, 'positions.json'), 'utf8')) as {
  vectors: Vector[]
}

const rows = (spans: Span[]) => {
  const { t, h, w, next } = promptPositions(spans)
  return { t: [...t], h: [...h], w: [...w], next }
}

describe('positions of pictures', () => {
  test('a picture of 2 × 3 rows between texts', () => {
    expect(rows([{ text: 3 }, { grid: { t: 1, h: 2, w: 3 } }, { text: 2 }])).toEqual({
      t: [0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7],
      h: [0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7],
      w: [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7],
      next: 8,
    })
  })

  test.each(vectors)('the layout $layout as the reference', ({ layout, ...expected }) => {
    const spans = layout.map((run): Span => {
      if (typeof run === 'number') return { text: run }
      const [h, w] = run
      return { grid: { t: 1, h, w } }
    })
    expect(rows(spans)).toEqual(expected)
  })

  test('text alone counts up, nothing at all is nothing', () => {
    expect(rows([{ text: 3 }])).toEqual({ t: [0, 1, 2], h: [0, 1, 2], w: [0, 1, 2], next: 3 })
    expect(rows([])).toEqual({ t: [], h: [], w: [], next: 0 })
  })

  test('a picture starts where the text before it ended', () => {
    const { t, h, w, next } = visionPositions(40, { t: 1, h: 1, w: 2 })
    expect([[...t], [...h], [...w], next]).toEqual([[40, 40], [40, 40], [40, 41], 42])
  })
})

describe('positions of clips, whose time offsets differ between generations', () => {
  const clip = (timeOffset?: TimeOffset) =>
    rows([{ text: 3 }, { grid: { t: 2, h: 2, w: 2 }, ...(timeOffset && { timeOffset }) }, { text: 2 }])
  const secondsPerFrame = (seconds: number) => (index: number) => Math.floor(index * seconds * 2)

  test.each([
    ['Qwen2-VL', undefined, 4, 5],
    ['Qwen2.5-VL at 1 frame per second', secondsPerFrame(2), 7, 8],
    ['Qwen2.5-VL at 2 frames per second', secondsPerFrame(1), 5, 6],
    ['Qwen2.5-VL at 4 frames per second', secondsPerFrame(0.5), 4, 5],
  ])('%s', (_, timeOffset, second, after) => {
    const { t, h, w, next } = clip(timeOffset)
    expect(t).toEqual([0, 1, 2, 3, 3, 3, 3, second, second, second, second, after, after + 1])
    expect(h.slice(3, 11)).toEqual([3, 3, 4, 4, 3, 3, 4, 4])
    expect(w.slice(3, 11)).toEqual([3, 4, 3, 4, 3, 4, 3, 4])
    expect(next).toBe(after + 2)
  })
})
