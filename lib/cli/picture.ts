/** Pictures on the command line: where they come from, how their sizes are printed. */
import { image } from '../index'
import type { Grid, ImagePart, Size } from '../index'

/** A path, URL or data URI; `-` is what comes on stdin. */
export function picture(source: string): ImagePart {
  return image(source === '-' ? process.stdin : source)
}

/** E.g. "640×480 → 644×476 pixels, grid 1×34×46, 391 tokens". */
export function pictureSizes(sizes: {
  readonly original?: Size | undefined
  readonly processed: Size
  readonly grid: Grid
  readonly tokens: number
}): string {
  const { original, processed, grid, tokens } = sizes
  const from = original ? `${side(original)} → ` : ''
  return `${from}${side(processed)} pixels, grid ${grid.t}×${grid.h}×${grid.w}, ${tokens} tokens`
}

function side({ width, height }: Size): string {
  return `${width}×${height}`
}
