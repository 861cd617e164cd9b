import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pairTimes } from '../../../lib/media/videosampling'
import { placePairs, timeText } from '../../../lib/prompt/clips'
import type { Piece } from '../../../lib/prompt/template'

const { timestamps } = JSON.parse(
  readFileSync(join(__dirname, '../../fixtures/video/tables.json'), 'utf8'),
) as { timestamps: Array<{ indices: number[]; fps: number; texts: string[] }> }

test.each(timestamps)("frames $indices at $fps per second have the reference's times", (given) => {
  expect(pairTimes(given.indices, given.fps).map(timeText)).toEqual(given.texts)
})

describe('the pairs of a video', () => {
  const [start, end] = [1, 2]
  const place = (pieces: Piece[], times: Array<[number, number[]]>) =>
    placePairs(pieces, new Map(times), { start, end })
  const block = (media: number, pair: number, text: string) => [
    { text },
    { special: start },
    { media, pair },
    { special: end },
  ]

  test('become blocks of their own, in place of the one of the template', () => {
    const pieces = [{ text: 'A' }, { special: start }, { media: 0 }, { special: end }, { text: 'B' }]
    expect(place(pieces, [[0, [0.25, 1.5]]])).toEqual([
      { text: 'A' },
      ...block(0, 0, '<0.2 seconds>'),
      ...block(0, 1, '<1.5 seconds>'),
      { text: 'B' },
    ])
  })

  test('leave pictures and what stands around them alone', () => {
    const picture = [{ special: start }, { media: 0 }, { special: end }]
    const pieces = [...picture, { special: start }, { media: 1 }, { special: end }, ...picture]
    expect(place(pieces, [[1, [3]]])).toEqual([...picture, ...block(1, 0, '<3.0 seconds>'), ...picture])
  })

  test('bring their start and end where a template has none', () => {
    expect(place([{ media: 0 }, { special: 7 }], [[0, [3]]])).toEqual([
      ...block(0, 0, '<3.0 seconds>'),
      { special: 7 },
    ])
  })
})
