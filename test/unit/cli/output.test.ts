import { bytes, duration, facts, json, table } from '../../../lib/cli/output'

test('json is one line, typed arrays as arrays', () => {
  expect(json({ tokens: Int32Array.of(1, 2), rows: { t: Float32Array.of(0.5) }, text: 'a\nb' })).toBe(
    '{"tokens":[1,2],"rows":{"t":[0.5]},"text":"a\\nb"}\n',
  )
})

test('facts stand in one column', () => {
  expect(facts({ model: 'tiny', 'picture encoder': 'CPU' })).toBe(
    'model            tiny\npicture encoder  CPU\n',
  )
})

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1234, '1.2 kB'],
  [3_100_000_000, '3.1 GB'],
  [2 ** 60, '1152921.5 TB'],
])('%d bytes are %s', (value, expected) => expect(bytes(value)).toBe(expected))

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [200, '3 min 20 s'],
  [7500, '2 h 5 min'],
])('%d seconds are %s', (value, expected) => expect(duration(value)).toBe(expected))

test('rows of a table have their columns below each other', () => {
  expect(
    table([
      ['a', 'long', 'x'],
      ['bcd', '', ''],
    ]),
  ).toBe('a    long  x\nbcd\n')
  expect(table([])).toBe('')
})
