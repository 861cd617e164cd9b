/** JSON while it arrives: strict or as models spoil it, torn anywhere. */
import { JsonReader } from '../../../lib/output/json'
import { randomOf } from '../../support/random'
import type { Random } from '../../support/random'

function read(pieces: readonly string[], watched?: string) {
  const reader = new JsonReader(watched)
  const texts: string[] = []
  const values: unknown[] = []
  let rest = ''
  for (const piece of pieces) {
    rest = piece.slice(reader.push(piece))
    texts.push(reader.take())
    values.push(reader.value)
  }
  reader.end()
  texts.push(reader.take())
  return { state: reader.state, text: texts.join(''), value: reader.value, values, rest, reader }
}

/** Every way to tear a text in two. */
const torn = (text: string) =>
  Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)])

function randomJson(below: Random['below'], depth = 3): unknown {
  const kinds = depth > 0 ? 8 : 6
  const text = () =>
    Array.from(
      { length: below(5) },
      () => ['a', '"', '\\', '\n', '是', '😀', ' ', '{', ']', '\u0001'][below(10)],
    ).join('')
  switch (below(kinds)) {
    case 0:
      return null
    case 1:
      return below(2) === 0
    case 2:
      return below(2000) - 1000
    case 3:
      return below(1e6) / 7 - 1e4
    case 4:
    case 5:
      return text()
    case 6:
      return Array.from({ length: below(4) }, () => randomJson(below, depth - 1))
    default:
      return Object.fromEntries(
        Array.from({ length: below(4) }, (_, index) => [`${text()}${index}`, randomJson(below, depth - 1)]),
      )
  }
}

/** Whether `part` is what could have been read of `whole` so far. */
function isBeginning(part: unknown, whole: unknown): boolean {
  if (typeof part === 'string' && typeof whole === 'string') return whole.startsWith(part)
  if (Array.isArray(part) && Array.isArray(whole)) {
    return (
      part.length <= whole.length &&
      part.every((item, index) =>
        index < part.length - 1
          ? JSON.stringify(item) === JSON.stringify(whole[index])
          : isBeginning(item, whole[index]),
      )
    )
  }
  if (typeof part === 'object' && part !== null && typeof whole === 'object' && whole !== null) {
    const names = Object.keys(whole)
    return Object.entries(part).every(
      ([name, value], index) =>
        names[index] === name && isBeginning(value, (whole as Record<string, unknown>)[name]),
    )
  }
  return part === undefined || part === whole
}

const { below } = randomOf(5)
const samples = Array.from({ length: 60 }, () => randomJson(below))

test.each(samples.map((value) => [JSON.stringify(value), value]))('%s, torn anywhere', (_, value) => {
  for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
    for (const pieces of [...torn(text), [...text]]) {
      const { state, text: written, value: whole, values } = read(pieces)
      expect(state).toBe('complete')
      expect(whole).toEqual(value)
      expect(JSON.parse(written)).toEqual(value)
      for (const part of values) expect(isBeginning(part, value)).toBe(true)
    }
  }
})

test('what was read does not change when reading goes on', () => {
  const reader = new JsonReader()
  reader.push('{"a": [1, {"b": "x')
  const early = reader.value
  expect(early).toEqual({ a: [1, { b: 'x' }] })
  reader.push('y"}, 2], "c": 3}')
  expect(early).toEqual({ a: [1, { b: 'x' }] })
  expect(reader.value).toEqual({ a: [1, { b: 'xy' }, 2], c: 3 })
})

test.each([
  ['', undefined],
  ['{', {}],
  ['{"a', {}],
  ['{"a"', {}],
  ['{"a":', {}],
  ['{"a": "', { a: '' }],
  ['{"a": "x\\', { a: 'x' }],
  ['{"a": "x\\u00e', { a: 'x' }],
  ['{"a": 1', {}],
  ['{"a": 12,', { a: 12 }],
  ['{"a": tru', {}],
  ['[1, [', [1, []]],
  ['[1, [2, 3', [1, [2]]],
])('of %j there is %j', (text, expected) => {
  const reader = new JsonReader()
  reader.push(text)
  expect(reader.value).toEqual(expected)
  expect(reader.state).toBe('open')
})

test.each([
  ["{'a': 'it\\'s'}", { a: "it's" }],
  ['{"a": True, "b": False, "c": None}', { a: true, b: false, c: null }],
  ['{"a": 1, "b": [1, 2,],}', { a: 1, b: [1, 2] }],
  ['{"a": 1 "b": 2}', { a: 1, b: 2 }],
  ['{a: 1, b_2: "x"}', { a: 1, b_2: 'x' }],
  ['{"a": "line\nbreak\ttab"}', { a: 'line\nbreak\ttab' }],
  ['{"a": +1.50, "b": .5, "c": 1e3}', { a: 1.5, b: 0.5, c: 1000 }],
  ['{"a": "\\x \\u00zz"}', { a: 'x u00zz' }],
  ['{"a": 1, "a": 2}', { a: 2 }],
  ['{"__proto__": {"x": 1}}', JSON.parse('{"__proto__": {"x": 1}}')],
])('forgives %s', (text, expected) => {
  for (const pieces of torn(text)) {
    const { state, value, text: written } = read(pieces)
    expect(state).toBe('complete')
    expect(value).toEqual(expected)
    expect(JSON.parse(written)).toEqual(expected)
  }
})

test.each([
  '{"a": }',
  '{"a" 1}',
  '{:',
  '[}',
  '{]',
  ']',
  '{"a": nothing}',
  '{"a": 1e999}',
  '?',
  '{"a": 1.2.3}',
])('gives up at %s, with what was right before', (text) => {
  for (const pieces of torn(text)) expect(read(pieces).state).toBe('failed')
})

test.each(['{"a": 1', '"x', '[', '{"a"'])('%s is not whole at its end', (text) => {
  expect(read([text]).state).toBe('failed')
})

test('numbers and words alone are whole at their end', () => {
  expect(read(['1', '2']).value).toBe(12)
  expect(read(['nul', 'l']).value).toBe(null)
})

test('what follows a value is left', () => {
  expect(read(['{"a": 1} tail'])).toMatchObject({ state: 'complete', rest: ' tail' })
  expect(read(['12 tail'])).toMatchObject({ state: 'complete', value: 12, rest: ' tail' })
})

test('a depth that nobody means is refused', () => {
  expect(read(['['.repeat(200)]).state).toBe('failed')
})

test('one field of an object can be taken alone', () => {
  const text = '{"name": "f", "arguments": {"a": [1, {"b": "x"}], "c": "}"}, "more": 1}'
  for (const pieces of torn(text)) {
    const { text: written, reader } = read(pieces, 'arguments')
    expect(written).toBe('{"a":[1,{"b":"x"}],"c":"}"}')
    expect(reader.field('name')).toBe('f')
    expect(reader.field('toString')).toBeUndefined()
  }
})
