import { QwenVLError } from '../../../lib/errors'
import { countCells, tokenisePrompt } from '../../../lib/prompt/tokens'
import type { Medium } from '../../../lib/prompt/tokens'
import type { Piece } from '../../../lib/prompt/template'

/** One id per UTF-16 unit, and a record of what was asked. */
function tokenizer() {
  const asked: string[] = []
  const tokenize = async (text: string) => {
    asked.push(text)
    return Int32Array.from(text, (character) => character.charCodeAt(0))
  }
  return { asked, tokenize }
}

const sizes = { mergeSize: 2, pads: { image: 9, video: 8 } }
const picture: Medium = {
  grid: { t: 1, h: 4, w: 6 },
  count: 6,
  hash: 'picture',
  cache: 'disk',
  pixels: new Uint8Array(3),
  width: 84,
  height: 56,
}
const embedded: Medium = {
  grid: { t: 1, h: 2, w: 2 },
  count: 1,
  hash: 'embedded',
  embedding: new Float32Array(4),
}
const ids = (values: Iterable<number>) => Int32Array.from(values)

test('text, control tokens and exact ids become one run', async () => {
  const { tokenize } = tokenizer()
  const pieces: Piece[] = [
    { special: 1 },
    { text: 'AB' },
    { tokens: ids([7, 8]) },
    { special: 2 },
    { text: 'C' },
  ]
  const prompt = await tokenisePrompt(pieces, tokenize, [], sizes)
  expect(prompt.segments).toEqual([{ tokens: ids([1, 65, 66, 7, 8, 2, 67]), position: 0 }])
  expect(prompt).toMatchObject({ position: 7, cells: 7 })
})

test('pictures stand between runs, with their own positions', async () => {
  const { tokenize } = tokenizer()
  const pieces: Piece[] = [{ text: 'ABC' }, { media: 0 }, { text: 'DE' }, { media: 1 }]
  const prompt = await tokenisePrompt(pieces, tokenize, [picture, embedded], sizes)
  const { pixels, width, height } = { pixels: new Uint8Array(3), width: 84, height: 56 }
  expect(prompt.segments).toEqual([
    { tokens: ids([65, 66, 67]), position: 0 },
    {
      pixels,
      width,
      height,
      hash: 'picture',
      cache: 'disk',
      count: 6,
      positions: ids([3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 3, 4, 5, 3, 4, 5]),
    },
    { tokens: ids([68, 69]), position: 6 },
    { embedding: new Float32Array(4), hash: 'embedded', count: 1, positions: ids([8, 8, 8]) },
  ])
  expect(prompt.position).toBe(9)
  expect(prompt.cells).toBe(12)
  expect(prompt.tokens).toEqual(ids([65, 66, 67, 9, 9, 9, 9, 9, 9, 68, 69, 9]))
  expect(prompt.positions).toEqual({
    t: ids([0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7, 8]),
    h: ids([0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7, 8]),
    w: ids([0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8]),
  })
})

test('two pictures in a row need no run between them', async () => {
  const { asked, tokenize } = tokenizer()
  const prompt = await tokenisePrompt([{ media: 0 }, { media: 1 }], tokenize, [embedded, embedded], sizes)
  expect(prompt.segments).toHaveLength(2)
  expect(prompt.position).toBe(2)
  expect(asked).toEqual([])
})

test('text between special tokens is tokenised as one, in normal form C', async () => {
  const { asked, tokenize } = tokenizer()
  await tokenisePrompt(
    [{ special: 1 }, { text: 'e' }, { text: '\u0301!' }, { special: 2 }],
    tokenize,
    [],
    sizes,
  )
  expect(asked).toEqual(['\u00e9!'])
})

test('cells are counted without pixels', async () => {
  const { tokenize } = tokenizer()
  const pieces: Piece[] = [{ text: 'ABC' }, { media: 0 }, { special: 1 }, { media: 1 }]
  expect(await countCells(pieces, tokenize, [6, 1])).toBe(11)
  expect((await tokenisePrompt(pieces, tokenize, [picture, embedded], sizes)).cells).toBe(11)
})

test('a grid that does not make the rows, or a missing picture, is an internal error', async () => {
  const { tokenize } = tokenizer()
  for (const media of [[], [{ ...picture, count: 24 }], [{ ...picture, grid: { t: 1, h: 3, w: 8 } }]]) {
    const failed = await tokenisePrompt([{ media: 0 }], tokenize, media, sizes).catch(
      (error: unknown) => error,
    )
    expect(QwenVLError.isInstance(failed) && failed.code).toBe('INTERNAL')
  }
})

describe('a video', () => {
  const pair = (hash: string) => ({ pixels: new Uint8Array(6), hash })
  const clip: Medium = {
    grid: { t: 2, h: 2, w: 4 },
    count: 4,
    pairs: [pair('first'), pair('second')],
    width: 56,
    height: 28,
    cache: 'memory',
    timeOffset: (index) => index * 5,
  }
  const frames = { pixels: new Uint8Array(6), width: 56, height: 28, frames: 2, cache: 'memory', count: 2 }

  test('in one block gives its pairs one by one, from a common start', async () => {
    const { tokenize } = tokenizer()
    const prompt = await tokenisePrompt([{ text: 'A' }, { media: 0 }, { text: 'B' }], tokenize, [clip], sizes)
    expect(prompt.segments).toEqual([
      { tokens: ids([65]), position: 0 },
      { ...frames, order: 0, hash: 'first', positions: ids([1, 1, 1, 1, 1, 2]) },
      { ...frames, order: 1, hash: 'second', positions: ids([6, 6, 1, 1, 1, 2]) },
      { tokens: ids([66]), position: 7 },
    ])
    expect([...prompt.tokens]).toEqual([65, 8, 8, 8, 8, 66])
  })

  test('that is encoded gives the rows of its pairs, in the same order', async () => {
    const { tokenize } = tokenizer()
    const [first, second] = [Float32Array.of(1, 2), Float32Array.of(3, 4)]
    const pairs = [
      { embedding: first, hash: 'first' },
      { embedding: second, hash: 'second' },
    ]
    const { segments } = await tokenisePrompt([{ media: 0 }], tokenize, [{ ...clip, pairs }], sizes)
    expect(segments).toEqual([
      { embedding: first, count: 2, order: 0, hash: 'first', positions: ids([0, 0, 0, 0, 0, 1]) },
      { embedding: second, count: 2, order: 1, hash: 'second', positions: ids([5, 5, 0, 0, 0, 1]) },
    ])
  })

  test('in blocks of its pairs starts anew in each', async () => {
    const { tokenize } = tokenizer()
    const pieces: Piece[] = [{ media: 0, pair: 0 }, { text: 'A' }, { media: 0, pair: 1 }]
    const prompt = await tokenisePrompt(pieces, tokenize, [clip], sizes)
    expect(prompt.segments).toEqual([
      { ...frames, order: 0, hash: 'first', positions: ids([0, 0, 0, 0, 0, 1]) },
      { tokens: ids([65]), position: 2 },
      { ...frames, order: 0, hash: 'second', positions: ids([3, 3, 3, 3, 3, 4]) },
    ])
    expect(prompt).toMatchObject({ position: 5, cells: 5 })
  })
})
