import { facts, json } from '../../../lib/cli/output'

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
