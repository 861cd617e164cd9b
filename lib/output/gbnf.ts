/** Pieces of GBNF, the grammars that llama.cpp's sampler follows. */

/** Rules by name; in the text of a rule a name means that rule. */
export type Rules = Readonly<Record<string, string>>

/** A grammar whose first rule is `root`. */
export function grammarText(rules: Rules): string {
  return Object.entries(rules)
    .map(([name, rule]) => `${name} ::= ${rule}\n`)
    .join('')
}

/** Matches `text`. */
export function literal(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, String.raw`\$&`)
    .replace(/\n/g, String.raw`\n`)
    .replace(/\r/g, String.raw`\r`)
  return `"${escaped}"`
}

/** Strings, classes of characters, tokens, repetitions and comments, in which no name stands; or a name. */
const lexeme = /"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|!?<[^<>\s]*>|\{[^}]*\}|#.*|([A-Za-z0-9-]+)/g

/** Gives every rule of a grammar, and so what refers to it, another name. */
export function renameRules(grammar: string, rename: (name: string) => string): string {
  return grammar.replace(lexeme, (all: string, name?: string) => (name === undefined ? all : rename(name)))
}

/**
 * Rules for any text that does not contain `marker`, which has to follow: rule `name`, and one for each beginning of the
 * marker that the text may end with (the automaton of Knuth, Morris and Pratt).
 */
export function textBefore(name: string, marker: string): Record<string, string> {
  const chars = [...marker]
  const state = (matched: number) => (matched === 0 ? name : `${name}-${matched}`)
  const rules: Record<string, string> = {}
  for (const [matched] of chars.entries()) {
    const seen = chars.slice(0, matched)
    const steps = [...new Set(chars)].map((char) => [char, overlap([...seen, char], chars)] as const)
    const forward = steps.filter(([, next]) => next > 0 && next < chars.length)
    const elsewhere = new Set(steps.filter(([, next]) => next > 0).map(([char]) => char))
    rules[state(matched)] = [
      '""',
      ...forward.map(([char, next]) => `${literal(char)} ${state(next)}`),
      `[^${[...elsewhere].map(classMember).join('')}] ${state(0)}`,
    ].join(' | ')
  }
  return rules
}

/** How many characters of `marker` stand at the end of `text`. */
function overlap(text: readonly string[], marker: readonly string[]): number {
  for (let length = Math.min(text.length, marker.length); length > 0; length--) {
    if (marker.slice(0, length).every((char, index) => char === text[text.length - length + index]))
      return length
  }
  return 0
}

function classMember(char: string): string {
  return char === '\n' ? String.raw`\n` : /[\\\]-]/.test(char) ? `\\${char}` : char
}
