/**
 * M-RoPE positions: every cell of the prompt gets a time, a row and a column. Pure arithmetic, equal to the
 * reference's `get_rope_index`. Text counts all three up together; vision spreads out from the position it starts at.
 */

/** Size of what the decoder sees of a picture or a clip, in embedding rows (after merging): time, rows, columns. */
export interface MergedGrid {
  readonly t: number
  readonly h: number
  readonly w: number
}

/** Offset of a temporal index on the time axis. A picture has only index 0; generations differ for clips. */
export type TimeOffset = (index: number) => number

/** A run of the prompt: so many text tokens, or a picture. */
export type Span = { readonly text: number } | { readonly grid: MergedGrid; readonly timeOffset?: TimeOffset }

export interface Positions {
  readonly t: Int32Array
  readonly h: Int32Array
  readonly w: Int32Array
  /** Position of the next text token: the largest of all + 1. Smaller than the number of cells once there is vision. */
  readonly next: number
}

const consecutive: TimeOffset = (index) => index

/** Positions of the cells of one picture or clip that starts at `start`, in the encoder's order (t, then h, then w). */
export function visionPositions(
  start: number,
  grid: MergedGrid,
  timeOffset: TimeOffset = consecutive,
): Positions {
  const count = grid.t * grid.h * grid.w
  const t = new Int32Array(count)
  const h = new Int32Array(count)
  const w = new Int32Array(count)
  let cell = 0
  for (let frame = 0; frame < grid.t; frame++) {
    for (let row = 0; row < grid.h; row++) {
      for (let column = 0; column < grid.w; column++, cell++) {
        t[cell] = start + timeOffset(frame)
        h[cell] = start + row
        w[cell] = start + column
      }
    }
  }
  return { t, h, w, next: start + Math.max(timeOffset(grid.t - 1) + 1, grid.h, grid.w) }
}

/** Positions of a whole prompt, run after run, from position 0. */
export function promptPositions(spans: readonly Span[]): Positions {
  const cells = spans.reduce((sum, span) => sum + cellCount(span), 0)
  const all = { t: new Int32Array(cells), h: new Int32Array(cells), w: new Int32Array(cells) }
  let cell = 0
  let next = 0
  for (const span of spans) {
    const run =
      'text' in span ? textPositions(next, span.text) : visionPositions(next, span.grid, span.timeOffset)
    for (const axis of ['t', 'h', 'w'] as const) all[axis].set(run[axis], cell)
    cell += run.t.length
    next = run.next
  }
  return { ...all, next }
}

function textPositions(start: number, count: number): Positions {
  const row = Int32Array.from({ length: count }, (_, index) => start + index)
  return { t: row, h: row, w: row, next: start + count }
}

function cellCount(span: Span): number {
  return 'text' in span ? span.text : span.grid.t * span.grid.h * span.grid.w
}
