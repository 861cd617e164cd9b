/** Rendered pieces → what the engine takes: runs of token ids and pictures, each with its M-RoPE positions. */
import type { Segment } from '../engine/binding'
import { QwenVLError } from '../errors'
import type { Grid } from '../media/geometry'
import { promptPositions } from './mrope'
import type { Span } from './mrope'
import type { Piece } from './template'

/** Ids of plain text; control tokens in it are not matched. */
export type Tokenize = (text: string) => Promise<Int32Array>

/** A picture of the conversation, ready for the encoder or already encoded. */
export type Medium = {
  /** In vision patches. */
  readonly grid: Grid
  /** Embedding rows. */
  readonly count: number
  /** Identity of pixels and size. */
  readonly hash: string
} & (
  | { readonly pixels: Uint8Array; readonly width: number; readonly height: number }
  | { readonly embedding: Float32Array }
)

export interface TokenisedPrompt {
  readonly segments: readonly Segment[]
  /** Position of the first generated token. */
  readonly position: number
  /** KV cells: text tokens and embedding rows. */
  readonly cells: number
  /** Every cell's id, a picture as so many pad tokens: what the reference calls `input_ids`. */
  readonly tokens: Int32Array
  /** Positions of every cell. */
  readonly positions: { readonly t: Int32Array; readonly h: Int32Array; readonly w: Int32Array }
}

/** A run of token ids, or the index of a picture. */
type Run = Int32Array | number

/**
 * @param media The conversation's pictures, in order.
 * @param mergeSize Patches per side that become one row.
 * @param padToken Id of the picture placeholder, for `tokens`.
 */
export async function tokenisePrompt(
  pieces: readonly Piece[],
  tokenize: Tokenize,
  media: readonly Medium[],
  { mergeSize, padToken }: { readonly mergeSize: number; readonly padToken: number },
): Promise<TokenisedPrompt> {
  const runs = await toRuns(pieces, tokenize)
  const chunks = runs.map((run) => (typeof run === 'number' ? mediumAt(media, run) : run))
  const { next, ...positions } = promptPositions(chunks.map((chunk) => spanOf(chunk, mergeSize)))
  const segments: Segment[] = []
  const tokens = new Int32Array(positions.t.length)
  let cell = 0
  for (const chunk of chunks) {
    const start = cell
    if (chunk instanceof Int32Array) {
      cell += chunk.length
      tokens.set(chunk, start)
      segments.push({ tokens: chunk, position: positions.t[start] ?? 0 })
    } else {
      cell += chunk.count
      tokens.fill(padToken, start, cell)
      const axes = [positions.t, positions.h, positions.w].map((axis) => axis.subarray(start, cell))
      segments.push({ ...encoderInput(chunk), positions: concatenate(axes) })
    }
  }
  return { segments, position: next, cells: cell, tokens, positions }
}

/** KV cells that the prompt takes; `counts` are the pictures' embedding rows. Needs no pixels. */
export async function countCells(
  pieces: readonly Piece[],
  tokenize: Tokenize,
  counts: readonly number[],
): Promise<number> {
  const runs = await toRuns(pieces, tokenize)
  return runs.reduce<number>(
    (sum, run) => sum + (typeof run === 'number' ? (counts[run] ?? 0) : run.length),
    0,
  )
}

/** Adjacent text is tokenised as one, and adjacent ids become one run. */
async function toRuns(pieces: readonly Piece[], tokenize: Tokenize): Promise<Run[]> {
  const runs: Run[] = []
  let pending: Int32Array[] = []
  let text = ''
  const flushText = async () => {
    // The reference's tokenizer normalises what lies between special tokens; llama.cpp's does not.
    if (text !== '') pending.push(await tokenize(text.normalize('NFC')))
    text = ''
  }
  const flush = async () => {
    await flushText()
    const run = concatenate(pending)
    if (run.length > 0) runs.push(run)
    pending = []
  }
  for (const piece of pieces) {
    if ('text' in piece) {
      text += piece.text
    } else if ('media' in piece) {
      await flush()
      runs.push(piece.media)
    } else {
      await flushText()
      pending.push('special' in piece ? Int32Array.of(piece.special) : piece.tokens)
    }
  }
  await flush()
  return runs
}

function mediumAt(media: readonly Medium[], index: number): Medium {
  const medium = media[index]
  if (medium) return medium
  throw new QwenVLError('INTERNAL', `The prompt places picture ${index}, but ${media.length} were prepared.`)
}

function spanOf(chunk: Int32Array | Medium, mergeSize: number): Span {
  if (chunk instanceof Int32Array) return { text: chunk.length }
  const { grid, count } = chunk
  const merged = { t: grid.t, h: grid.h / mergeSize, w: grid.w / mergeSize }
  if (Number.isInteger(merged.h) && Number.isInteger(merged.w) && merged.t * merged.h * merged.w === count) {
    return { grid: merged }
  }
  throw new QwenVLError(
    'INTERNAL',
    `A grid of ${grid.t}×${grid.h}×${grid.w} patches does not make ${count} embedding rows.`,
  )
}

function encoderInput(medium: Medium) {
  const { hash, count } = medium
  if ('embedding' in medium) return { embedding: medium.embedding, hash, count }
  return { pixels: medium.pixels, width: medium.width, height: medium.height, hash, count }
}

function concatenate(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}
