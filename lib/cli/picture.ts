/** Pictures and videos on the command line: where they come from, how their sizes are printed. */
import { InvalidArgumentError } from '../errors'
import { image, video } from '../index'
import type { Grid, ImagePart, Size, VideoPart, VideoReport } from '../index'

/** What of a video is looked at. */
export interface VideoFlags {
  readonly fps?: number
  readonly maxFrames?: number
  readonly totalPixels?: number
}

/** A path, URL or data URI; `-` is what comes on stdin. */
export function picture(source: string): ImagePart {
  return image(source === '-' ? process.stdin : source)
}

/** As `picture`. */
export function clip(source: string, { fps, maxFrames, totalPixels }: VideoFlags): VideoPart {
  return video(source === '-' ? process.stdin : source, {
    ...(fps !== undefined && { fps }),
    ...(maxFrames !== undefined && { maxFrames }),
    ...(totalPixels !== undefined && { totalPixels }),
  })
}

/** E.g. "8 frames, 2 per second, 1920×1080 → 616×336 pixels, grid 4×24×44, 1056 tokens". */
export function videoSizes(
  report: Pick<VideoReport, 'frames' | 'sampleFps' | 'original' | 'processed' | 'grid' | 'tokens'>,
): string {
  return `${report.frames} frames, ${Number(report.sampleFps.toFixed(2))} per second, ${pictureSizes(report)}`
}

/** Of a size such as 1920x1080. @throws InvalidArgumentError */
export function pictureSize(text: string): Size {
  const [, width, height] = /^([1-9]\d*)[x×]([1-9]\d*)$/.exec(text) ?? []
  if (!width || !height) {
    throw new InvalidArgumentError('INVALID_ARGUMENT', `--picture has to be like 1920x1080, not '${text}'.`)
  }
  return { width: Number(width), height: Number(height) }
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
