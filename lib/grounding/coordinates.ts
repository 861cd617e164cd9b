/** Numbers of a model → pixels of the original picture, by the reference's formula `int(x / span * side)`. Pure. */
import type { Size } from '../media/geometry'
import type { Box, GroundingShape, Point, Quad } from './item'

/**
 * @param numbers Two for a point, four for a box, eight for a quad.
 * @param span What the model counts the whole picture as.
 * @param original Size of the picture in pixels.
 * @returns undefined for another count of numbers, and for what lies outside the picture or has no area
 */
export function toPixels(numbers: readonly number[], span: Size, original: Size): GroundingShape | undefined {
  if (!numbers.every(Number.isFinite)) return undefined
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0, x4 = 0, y4 = 0] = numbers
  switch (numbers.length) {
    case 2: {
      const point = toPoint(x1, y1, span, original)
      return point && { kind: 'point', point }
    }
    case 4: {
      const box = toBox([x1, x2], [y1, y2], span, original)
      return box && { kind: 'box', box }
    }
    case 8: {
      if (!toBox([x1, x2, x3, x4], [y1, y2, y3, y4], span, original)) return undefined
      const corner = (x: number, y: number): Point => ({
        x: toPixel(clamp(x, span.width), span.width, original.width),
        y: toPixel(clamp(y, span.height), span.height, original.height),
      })
      const quad: Quad = [corner(x1, y1), corner(x2, y2), corner(x3, y3), corner(x4, y4)]
      return { kind: 'quad', quad }
    }
    default:
      return undefined
  }
}

function toPoint(x: number, y: number, span: Size, original: Size): Point | undefined {
  if (x < 0 || y < 0 || x > span.width || y > span.height) return undefined
  return {
    x: Math.min(toPixel(x, span.width, original.width), original.width - 1),
    y: Math.min(toPixel(y, span.height, original.height), original.height - 1),
  }
}

function toBox(xs: readonly number[], ys: readonly number[], span: Size, original: Size): Box | undefined {
  const across = toInterval(xs, span.width, original.width)
  const down = toInterval(ys, span.height, original.height)
  return across && down && { x1: across[0], y1: down[0], x2: across[1], y2: down[1] }
}

/** Sorted, within the picture, and at least a pixel long, also where the picture is coarser than the numbers. */
function toInterval(values: readonly number[], span: number, side: number): [number, number] | undefined {
  const low = clamp(Math.min(...values), span)
  const high = clamp(Math.max(...values), span)
  if (low >= high) return undefined
  const first = Math.min(toPixel(low, span, side), side - 1)
  return [first, Math.max(toPixel(high, span, side), first + 1)]
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most)
}

function toPixel(value: number, span: number, side: number): number {
  return Math.trunc((value / span) * side)
}
