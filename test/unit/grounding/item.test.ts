import { clickPoint } from '../../../lib/grounding/item'

describe('clickPoint', () => {
  it('is the point', () => {
    expect(clickPoint({ kind: 'point', point: { x: 7, y: 9 } })).toEqual({ x: 7, y: 9 })
  })

  it('is the middle of a box', () => {
    expect(clickPoint({ kind: 'box', box: { x1: 10, y1: 20, x2: 30, y2: 61 } })).toEqual({ x: 20, y: 40 })
  })

  it('is the pixel of a box of one pixel', () => {
    expect(clickPoint({ kind: 'box', box: { x1: 639, y1: 0, x2: 640, y2: 1 } })).toEqual({ x: 639, y: 0 })
  })

  it('is the middle of the corners of a quad', () => {
    const quad = [
      { x: 0, y: 10 },
      { x: 40, y: 0 },
      { x: 50, y: 30 },
      { x: 10, y: 40 },
    ] as const
    expect(clickPoint({ kind: 'quad', quad })).toEqual({ x: 25, y: 20 })
  })
})
