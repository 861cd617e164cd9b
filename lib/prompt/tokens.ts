/** Rendered pieces → what the engine takes: runs of token ids, pictures, frame pairs, each with its M-RoPE positions. */
import type { KeepEmbedding, Segment } from '../engine/binding'
import { QwenVLError } from '../errors'
import type { Grid } from '../media/geometry'
import { promptPositions } from './mrope'
import type { Span, TimeOffset } from './mrope'
import type { Piece } from './template'

/** Ids of plain text; control tokens in it are not matched. */
export type Tokenize = (text: string) => Promise<Int32Array>

/** A picture or video of the conversation, ready for the encoder or already encoded. */
export type Medium = {
  /** In vision patches. */
  readonly grid: Grid
  /** Embedding rows. */
  readonly count: number
} & (
  | {
      readonly pixels: Uint8Array
      readonly width: number
      readonly height: number
      /** Identity of pixels and size. */
      readonly hash: string
      readonly cache: KeepEmbedding
    }
  | { readonly embedding: Float32Array; readonly hash: string }
  | Clip
)

/** The frames of a video, two by two: `grid.t` pairs, all as pixels or all encoded. */
export interface Clip {
  readonly pairs: ReadonlyArray<
    { readonly hash: string } & ({ readonly pixels: Uint8Array } | { readonly embedding: Float32Array })
  >
  readonly width: number
  readonly height: number
  readonly cache: KeepEmbedding
  /** Place of each pair on the time axis, where they stand in one block. */
  readonly timeOffset: TimeOffset
}

/** Ids of the placeholders. */
export interface PadTokens {
  readonly image: number
  readonly video: number
}

export interface TokenisedPrompt {
  readonly segments: readonly Segment[]
  /** Position of the first generated token. */
  readonly position: number
  /** KV cells: text tokens and embedding rows. */
  readonly cells: number
  /** Every cell's id, a picture or video as so many pad tokens: what the reference calls `input_ids`. */
  readonly tokens: Int32Array
  /** Positions of every cell. */
  readonly positions: { readonly t: Int32Array; readonly h: Int32Array; readonly w: Int32Array }
}

/** A run of token ids, or the place of a picture, a video or a pair of its frames. */
type Run = Int32Array | Extract<Piece, { readonly media: number }>

/**
 * @param media The conversation's pictures and videos, in order.
 * @param mergeSize Patches per side that become one row.
 * @param pads Ids of the placeholders, for `tokens`.
 */
export async function tokenisePrompt(
  pieces: readonly Piece[],
  tokenize: Tokenize,
  media: readonly Medium[],
  { mergeSize, pads }: { readonly mergeSize: number; readonly pads: PadTokens },
): Promise<TokenisedPrompt> {
  const runs = await toRuns(pieces, tokenize)
  const chunks = runs.map((run) => ('media' in run ? mediumAt(media, run) : run))
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
      const inputs = encoderInputs(chunk)
      tokens.fill('pairs' in chunk ? pads.video : pads.image, start, start + chunk.count)
      for (const input of inputs) {
        const [from, to] = [cell, cell + input.count]
        const axes = [positions.t, positions.h, positions.w].map((axis) => axis.subarray(from, to))
        segments.push({ ...input, positions: concatenate(axes) })
        cell = to
      }
    }
  }
  return { segments, position: next, cells: cell, tokens, positions }
}

/** KV cells that the prompt takes; `counts` are the embedding rows at each place of a medium. Needs no pixels. */
export async function countCells(
  pieces: readonly Piece[],
  tokenize: Tokenize,
  counts: readonly number[],
): Promise<number> {
  const runs = await toRuns(pieces, tokenize)
  return runs.reduce<number>((sum, run) => sum + ('media' in run ? (counts[run.media] ?? 0) : run.length), 0)
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
      runs.push(piece)
    } else {
      await flushText()
      pending.push('special' in piece ? Int32Array.of(piece.special) : piece.tokens)
    }
  }
  await flush()
  return runs
}

function mediumAt(media: readonly Medium[], { media: index, pair }: Exclude<Run, Int32Array>): Medium {
  const medium = media[index]
  if (medium && pair === undefined) return medium
  const frames = medium && 'pairs' in medium ? medium.pairs[pair ?? 0] : undefined
  if (medium && frames) {
    const { grid, count } = medium
    return { ...medium, pairs: [frames], grid: { ...grid, t: 1 }, count: count / grid.t }
  }
  throw new QwenVLError('INTERNAL', `The prompt places medium ${index}, but ${media.length} were prepared.`)
}

function spanOf(chunk: Int32Array | Medium, mergeSize: number): Span {
  if (chunk instanceof Int32Array) return { text: chunk.length }
  const { grid, count } = chunk
  const merged = { t: grid.t, h: grid.h / mergeSize, w: grid.w / mergeSize }
  if (Number.isInteger(merged.h) && Number.isInteger(merged.w) && merged.t * merged.h * merged.w === count) {
    return 'pairs' in chunk ? { grid: merged, timeOffset: chunk.timeOffset } : { grid: merged }
  }
  throw new QwenVLError(
    'INTERNAL',
    `A grid of ${grid.t}×${grid.h}×${grid.w} patches does not make ${count} embedding rows.`,
  )
}

/** What is encoded and decoded at once: a picture, or each pair of frames. */
function encoderInputs(medium: Medium) {
  const { count } = medium
  if ('embedding' in medium) return [{ embedding: medium.embedding, hash: medium.hash, count }]
  const { width, height, cache } = medium
  if (!('pairs' in medium)) return [{ pixels: medium.pixels, width, height, hash: medium.hash, cache, count }]
  return medium.pairs.map((pair, order) => {
    const common = { ...pair, order, count: count / medium.pairs.length }
    return 'embedding' in common ? common : { ...common, width, height, cache, frames: 2 as const }
  })
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
