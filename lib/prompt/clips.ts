/** Videos of generations that read the time: each pair of frames becomes a vision block after a text with its seconds. */
import type { Piece } from './template'

/** Ids of the control tokens around what a model sees. */
export interface VisionTokens {
  readonly start: number
  readonly end: number
}

/**
 * Replaces the one block of a video by one for each pair of its frames: `<1.5 seconds>`, start, pair, end.
 * @param times Seconds of each pair, for the videos to be replaced, by their number among the media.
 */
export function placePairs(
  pieces: readonly Piece[],
  times: ReadonlyMap<number, readonly number[]>,
  { start, end }: VisionTokens,
): Piece[] {
  const placed: Piece[] = []
  let closes = false
  for (const [index, piece] of pieces.entries()) {
    const seconds = 'media' in piece ? times.get(piece.media) : undefined
    if (!('media' in piece) || !seconds) {
      if (!(closes && isSpecial(piece, end))) placed.push(piece)
      closes = false
      continue
    }
    // A template without the two tokens is as good: the blocks of the pairs bring their own.
    closes = isSpecial(pieces[index - 1], start) && isSpecial(pieces[index + 1], end)
    if (closes) placed.pop()
    for (const [pair, second] of seconds.entries()) {
      placed.push(
        { text: timeText(second) },
        { special: start },
        { media: piece.media, pair },
        { special: end },
      )
    }
  }
  return placed
}

/** `<1.5 seconds>`, rounded as Python prints it: a tie goes to the even digit. */
export function timeText(seconds: number): string {
  const tenths = seconds * 10
  const isTie = Number.isInteger(seconds * 4) && tenths % 1 === 0.5
  const text = isTie ? (Math.floor(tenths / 2 + 0.5) / 5).toFixed(1) : seconds.toFixed(1)
  return `<${text} seconds>`
}

function isSpecial(piece: Piece | undefined, id: number): boolean {
  return piece !== undefined && 'special' in piece && piece.special === id
}
