/**
 * The complete objects of JSON as models write it: cut off, with an error somewhere, with a comma too many, or as a
 * Python literal. Reads forward only, so that a longer text never changes what its beginning gave.
 */

export type Fields = Readonly<Record<string, unknown>>

export interface ObjectsRead {
  /** In the order of their closing braces: an inner object before the one around it. */
  readonly objects: readonly Fields[]
  /** Where reading ended: behind the outermost object, or at what cannot belong to it. */
  readonly end: number
}

/** Reads the object whose brace is at `start`, and those in it. Never throws; linear in the length of the text. */
export function readObjects(text: string, start: number): ObjectsRead {
  return new Reader(text, start).read()
}

/** An array or object that has not been closed. */
type Open =
  | { readonly closer: ']'; readonly items: unknown[] }
  | {
      readonly closer: '}'
      readonly entries: Array<[string, unknown]>
      key: string | undefined
      colon: boolean
    }

/** Punctuation, the start of a string, a number, or a word. */
const token =
  /\s*(?:([{}[\]():,])|(["'])|([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)|(true|false|null|none)\b)/iy
const words: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null, none: null }
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }

class Reader {
  readonly #text: string
  readonly #objects: Fields[] = []
  readonly #open: Open[] = []
  #at: number

  constructor(text: string, start: number) {
    this.#text = text
    this.#at = start
  }

  read(): ObjectsRead {
    while (this.#step());
    return { objects: this.#objects, end: this.#at }
  }

  /** One token further. False, at its place, if it does not fit; false, behind it, if it was the last brace. */
  #step(): boolean {
    token.lastIndex = this.#at
    const match = token.exec(this.#text)
    if (!match) return false
    const [, mark, quote, number, word] = match
    const length = (mark ?? quote ?? number ?? word ?? '').length
    this.#at = token.lastIndex - length
    if (mark !== undefined) return this.#mark(mark)
    if (quote !== undefined) return this.#keyExpected() ? this.#key(quote) : this.#string(quote)
    return this.#value(number === undefined ? words[word?.toLowerCase() ?? ''] : Number(number), length)
  }

  #mark(mark: string): boolean {
    const top = this.#open.at(-1)
    switch (mark) {
      case ',': // as good as a space: it may be missing, or one too many
        break
      case ':':
        if (top?.closer !== '}' || top.key === undefined || top.colon) return false
        top.colon = true
        break
      case '{':
        if (!this.#valueExpected()) return false
        this.#open.push({ closer: '}', entries: [], key: undefined, colon: false })
        break
      case '[':
      case '(':
        if (!this.#valueExpected()) return false
        this.#open.push({ closer: ']', items: [] })
        break
      default:
        if (top?.closer !== (mark === ')' ? ']' : mark)) return false
        if (top.closer === '}' && top.key !== undefined) return false
        this.#open.pop()
        this.#closed(top)
    }
    this.#at++
    return this.#open.length > 0
  }

  #closed(open: Open): void {
    if (open.closer === ']') {
      this.#put(open.items)
      return
    }
    const object = Object.fromEntries(open.entries)
    this.#objects.push(object)
    this.#put(object)
  }

  #put(value: unknown): void {
    const top = this.#open.at(-1)
    if (top?.closer === ']') top.items.push(value)
    if (top?.closer !== '}') return
    top.entries.push([top.key ?? '', value])
    top.key = undefined
    top.colon = false
  }

  #keyExpected(): boolean {
    const top = this.#open.at(-1)
    return top?.closer === '}' && top.key === undefined
  }

  #valueExpected(): boolean {
    const top = this.#open.at(-1)
    return top?.closer !== '}' || top.colon
  }

  #value(value: unknown, length: number): boolean {
    if (!this.#valueExpected()) return false
    this.#put(value)
    this.#at += length
    return true
  }

  /** What goes on over a line or a brace is no key, but a quote somewhere in prose. */
  #key(quote: string): boolean {
    this.#at++
    const key = this.#match(quote === '"' ? /[^"\\{}<\n]*/y : /[^'\\{}<\n]*/y)
    if (this.#text[this.#at] !== quote) return false
    const top = this.#open.at(-1)
    if (top?.closer === '}') top.key = key
    this.#at++
    return true
  }

  #string(quote: string): boolean {
    if (!this.#valueExpected()) return false
    this.#at++
    const parts: string[] = []
    for (;;) {
      parts.push(this.#match(quote === '"' ? /[^"\\]*/y : /[^'\\]*/y))
      const mark = this.#text[this.#at]
      if (mark === undefined) return false
      this.#at++
      if (mark === quote) break
      parts.push(this.#escaped())
    }
    this.#put(parts.join(''))
    return true
  }

  /** What stands behind a backslash. */
  #escaped(): string {
    const code = this.#match(/u[\da-f]{4}/iy)
    if (code !== '') return String.fromCharCode(parseInt(code.slice(1), 16))
    const letter = this.#match(/[^]/y)
    return escapes[letter] ?? letter
  }

  /** Moves behind what the pattern matches here. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }
}
