/** What a model points at: boxes, points and quads, in pixels of the original, upright picture. */

/** A pixel: `x` from 0 to width - 1, `y` from 0 to height - 1. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** Edges in pixels: `0 <= x1 < x2 <= width`, `0 <= y1 < y2 <= height`. */
export interface Box {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
}

/** Corners on the edges of pixels, in the order of the model. */
export type Quad = readonly [Point, Point, Point, Point]

export type GroundingShape =
  | { readonly kind: 'box'; readonly box: Box }
  | { readonly kind: 'point'; readonly point: Point }
  | { readonly kind: 'quad'; readonly quad: Quad }

/** Something that an answer points at. */
export type GroundingItem = GroundingShape & {
  /** What it is; of a line of text its content. */
  readonly label?: string
  /** The picture that it is in, from 0: the index in `answer.images`. */
  readonly imageIndex: number
  /** What the model wrote about it, unchanged: the JSON object, or the attributes of the tag. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Where to click: the point, or the middle of the box or quad, as a pixel of the original picture. */
export function clickPoint(item: GroundingShape): Point {
  switch (item.kind) {
    case 'point':
      return item.point
    case 'box':
      return middle([
        { x: item.box.x1, y: item.box.y1 },
        { x: item.box.x2, y: item.box.y2 },
      ])
    case 'quad':
      return middle(item.quad)
  }
}

function middle(corners: readonly Point[]): Point {
  const mean = (values: readonly number[]) =>
    Math.floor(values.reduce((sum, value) => sum + value, 0) / values.length)
  return { x: mean(corners.map(({ x }) => x)), y: mean(corners.map(({ y }) => y)) }
}
