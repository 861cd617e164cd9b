/** The text of the grammar; that models follow it is tested with models, in test/native/grammar.test.ts. */
import { groundingGrammar } from '../../../lib'

test('Qwen3-VL: 0 to 1000, JSON in a fence', () => {
  const grammar = groundingGrammar({ generation: 'qwen3vl' }, { labels: ['dog'] })
  expect(grammar.split('\n')).toEqual([
    String.raw`root ::= "` + '```' + String.raw`json\n[\n\t" item (",\n\t" item)* "\n]\n` + '```"',
    String.raw`item ::= "{\"bbox_2d\": [" number ", " number ", " number ", " number "], \"label\": " label "}"`,
    'number ::= "1000" | "0" | [1-9] [0-9]{0,2}',
    String.raw`label ::= "\"dog\""`,
    '',
  ])
})

test('Qwen2.5-VL counts pixels, Qwen2-VL writes tags', () => {
  expect(groundingGrammar({ generation: 'qwen2.5vl' })).toMatch('number ::= "0" | [1-9] [0-9]{0,4}')
  expect(groundingGrammar({ generation: 'qwen2vl' }, { kind: 'point' })).toMatch(
    'item ::= <|object_ref_start|> label <|object_ref_end|> <|box_start|> "(" number "," number ")" <|box_end|>',
  )
})

test('maxItems bounds the list', () => {
  expect(groundingGrammar({ generation: 'qwen3vl' }, { maxItems: 3 })).toMatch(
    String.raw`item (",\n\t" item){0,2} `,
  )
})

test.each([
  ['kind', { kind: 'quad' }],
  ['labels', { labels: [] }],
  ['labels', { labels: [''] }],
  ['maxItems', { maxItems: 0 }],
])('a wrong %s is refused: %p', (name, options) => {
  expect(() => groundingGrammar({ generation: 'qwen3vl' }, options as object)).toThrow(name)
})
