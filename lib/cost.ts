/**
 * The memory that a picture or a pair of frames takes in the vision encoder, known from the projector's header before any work: what would
 * not fit can be refused, or shrunk, instead of ending the process. Pure but for `freeMemory`.
 */
import { freemem, totalmem } from 'node:os'
import type { Device, GgufHeader } from './engine/binding'
import type { Generation } from './generations'

/** Sizes of an encoder that decide about memory. */
export interface EncoderShape {
  readonly patchSize: number
  readonly mergeSize: number
  /** Values of a patch between the blocks, and inside their feed-forward part. */
  readonly width: number
  readonly hidden: number
  /** Rows of `width` that attention holds at a time for each patch. */
  readonly liveRows: number
  readonly heads: number
  /** Values of a row that it gives for `mergeSize`² patches. */
  readonly rowWidth: number
  /** True: attention keeps no score for each two patches. */
  readonly flashAttention: boolean
}

/** @param rowWidth `embeddingWidth` of the engine */
export function encoderShape(
  { metadata }: GgufHeader,
  { patchSize, mergeSize, gatedVision }: Generation,
  { rowWidth, flashAttention }: Pick<EncoderShape, 'rowWidth' | 'flashAttention'>,
): EncoderShape {
  const number = (key: string) => Number(metadata[`clip.vision.${key}`] ?? 0)
  return {
    patchSize,
    mergeSize,
    width: number('embedding_length'),
    // A gate is as wide as what it gates.
    hidden: number('feed_forward_length') * (gatedVision ? 2 : 1),
    // Attention in windows puts its parts together afterwards.
    liveRows: gatedVision ? 12 : 8,
    heads: number('attention.head_count'),
    rowWidth,
    flashAttention,
  }
}

/**
 * Bytes for encoding one picture of `pixels` processed area, an upper bound within about a fifth (measured): what lives at
 * the same time of a block's activations, four copies of the picture as numbers and four of the result; without flash
 * attention a score for each two patches and head. A video is encoded pair by pair: there are two `frames` of that area.
 */
export function encoderBytes(shape: EncoderShape, pixels: number, frames = 1): number {
  const { patchSize, mergeSize, width, hidden, liveRows, heads, rowWidth, flashAttention } = shape
  const patches = pixels / patchSize ** 2
  const activations = patches * Math.max(liveRows * width, 3 * width + hidden)
  const picture = 4 * 3 * pixels * frames
  const rows = (4 * patches * rowWidth) / mergeSize ** 2
  const scores = flashAttention ? 0 : patches ** 2 * heads
  return 4 * (activations + picture + rows + scores)
}

/** Largest processed area in pixels that takes at most `bytes`; whole tokens, at least one. Of a frame, in a pair. */
export function affordablePixels(shape: EncoderShape, bytes: number, frames = 1): number {
  const token = (shape.patchSize * shape.mergeSize) ** 2
  let [fits, tooMany] = [1, 1 << 20]
  if (encoderBytes(shape, tooMany * token, frames) <= bytes) return tooMany * token
  while (tooMany - fits > 1) {
    const tokens = Math.floor((fits + tooMany) / 2)
    if (encoderBytes(shape, tokens * token, frames) <= bytes) fits = tokens
    else tooMany = tokens
  }
  return fits * token
}

/** Bytes that can still be had, roughly: of the device, or of the machine for this process. */
export function freeMemory(device?: Device): number {
  if (device && device.kind !== 'cpu') return device.memoryFree || Infinity
  // macOS fills its memory with what it would give back, and counts that as taken.
  const machine = process.platform === 'darwin' ? totalmem() * 0.75 : freemem()
  const container = process.constrainedMemory() || Infinity
  return Math.min(machine, container - process.memoryUsage.rss())
}
