import { grammarText, literal, renameRules, textBefore } from '../../../lib/output/gbnf'
import { randomOf } from '../../support/random'

/** Follows rules of the kind that `textBefore` makes: nothing, a character and a rule, or any other character and a rule. */
function follows(rules: Readonly<Record<string, string>>, start: string, text: string): boolean {
  let state: string | undefined = start
  for (const char of text) {
    const ways: string[] = (rules[state] ?? '').split(' | ')
    const exact = ways.find((way) => way.startsWith(literal(char)))
    const others = ways.find((way) => way.startsWith('[^'))
    const excluded = /^\[\^(.*)\] /s
      .exec(others ?? '')?.[1]
      ?.replaceAll('\\n', '\n')
      .replaceAll('\\', '')
    state = (exact ?? (excluded?.includes(char) ? undefined : others))?.split(' ').at(-1)
    if (state === undefined) return false
  }
  return true
}

test.each(['</think>', '\n</parameter>', '</tool_call>', 'aab', 'abab', '✿RETURN✿', '[a-]'])(
  'any text without %j, and no other',
  (marker) => {
    const rules = textBefore('free', marker)
    expect(Object.keys(rules)).toHaveLength([...marker].length)
    const letters = [...new Set(marker), 'x']
    const { below } = randomOf(9)
    let with_ = 0
    for (let n = 0; n < 2000; n++) {
      const parts = Array.from({ length: below(6) }, () =>
        below(3) === 0 ? marker.slice(0, below(marker.length + 1)) : (letters[below(letters.length)] ?? ''),
      )
      const text = parts.join('')
      if (text.includes(marker)) with_++
      expect({ text, follows: follows(rules, 'free', text) }).toEqual({
        text,
        follows: !text.includes(marker),
      })
    }
    expect(with_).toBeGreaterThan(5)
  },
)

test('rules get other names, and nothing else does', () => {
  const grammar = [
    'root ::= "root \\" root" item{1,3} | [root\\]] <root> !<root> (space item)* # root of all',
    'item ::= "a"? space',
    'space ::= | " " | "\\n"{1,2} [ \\t]{0,20}',
  ].join('\n')
  expect(renameRules(grammar, (name) => `x-${name}`)).toBe(
    [
      'x-root ::= "root \\" root" x-item{1,3} | [root\\]] <root> !<root> (x-space x-item)* # root of all',
      'x-item ::= "a"? x-space',
      'x-space ::= | " " | "\\n"{1,2} [ \\t]{0,20}',
    ].join('\n'),
  )
})

test('texts become literals', () => {
  expect(grammarText({ root: literal('a "b"\\\n\r{是}') })).toBe(
    String.raw`root ::= "a \"b\"\\\n\r{是}"` + '\n',
  )
})
