/**
 * JSON as models write it, read while it arrives: what is there so far, as a value and as JSON text. A piece may end
 * anywhere. Forgives what models get wrong: other quotes, commas too many or missing, line breaks in strings, Python's
 * words. Never throws.
 */

/** Deeper values are refused: nobody asked for them, and recursion in the caller's code has an end. */
const mostDepth = 128

type Container =
  | { readonly closer: ']'; readonly items: unknown[] }
  | {
      readonly closer: '}'
      readonly fields: Record<string, unknown>
      key: string | undefined
      colon: boolean
    }

type Lexer =
  | { readonly in: 'between' }
  | { readonly in: 'string'; readonly quote: string; readonly isKey: boolean; text: string; escape: string }
  /** A number, a word or a key without quotes. */
  | { readonly in: 'bare'; text: string }

const words: Readonly<Record<string, boolean | null>> = {
  true: true,
  false: false,
  null: null,
  True: true,
  False: false,
  None: null,
}
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }
const between: Lexer = { in: 'between' }

export class JsonReader {
  readonly #watched: string | undefined
  readonly #open: Container[] = []
  #lexer: Lexer = between
  #root: unknown
  #state: 'open' | 'complete' | 'failed' = 'open'
  /** JSON text since the last `take`. */
  #text = ''
  /** Whether the container in hand has something already. */
  readonly #filled: boolean[] = []

  /** @param watched Of an object: take the text of this field alone. */
  constructor(watched?: string) {
    this.#watched = watched
  }

  get state(): 'open' | 'complete' | 'failed' {
    return this.#state
  }

  /** Reads on. @returns how many characters belong to the value; less than all once it is complete or failed. */
  push(text: string): number {
    let at = 0
    while (at < text.length && this.#state === 'open') {
      const used = this.#step(text, at)
      if (used === undefined) this.#state = 'failed'
      else at += used
    }
    return at
  }

  /** Nothing follows: a number or a word that was in hand is whole. */
  end(): void {
    if (this.#state === 'open' && this.#lexer.in === 'bare' && this.#open.length === 0) this.#bareEnds()
    if (this.#state === 'open') this.#state = 'failed'
  }

  /** New JSON text. All of it together is the beginning of a JSON text, and a whole one once the value is complete. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  /**
   * What is there so far: whole numbers and words, strings as far as they came, no key without its value. Later reading
   * does not change it.
   */
  get value(): unknown {
    const lexer = this.#lexer
    let inner: unknown = lexer.in === 'string' && !lexer.isKey ? lexer.text : undefined
    for (const container of this.#open.toReversed()) {
      if (container.closer === ']') {
        inner = inner === undefined ? [...container.items] : [...container.items, inner]
      } else {
        const fields = { ...container.fields }
        if (inner !== undefined && container.key !== undefined) setField(fields, container.key, inner)
        inner = fields
      }
    }
    return this.#open.length > 0 || inner !== undefined ? inner : this.#root
  }

  /** A field of the outermost object, once it is whole. */
  field(name: string): unknown {
    const root = this.#open[0]
    const fields = root?.closer === '}' ? root.fields : this.#root
    return typeof fields === 'object' && fields !== null && Object.hasOwn(fields, name)
      ? (fields as Record<string, unknown>)[name]
      : undefined
  }

  /** One token, or as much of it as there is. @returns its length; undefined if it does not fit */
  #step(text: string, at: number): number | undefined {
    const lexer = this.#lexer
    if (lexer.in === 'string') return this.#string(lexer, text, at)
    if (lexer.in === 'bare') return this.#bare(lexer, text, at)
    const char = text[at] ?? ''
    if (/\s/.test(char)) return 1
    const top = this.#open.at(-1)
    const keyNext = top?.closer === '}' && top.key === undefined
    switch (char) {
      case '{':
      case '[':
        return this.#opens(char) ? 1 : undefined
      case '}':
      case ']':
        return this.#closes(char) ? 1 : undefined
      case ',': // as good as a space: it may be missing, or one too many
        return top ? 1 : undefined
      case ':':
        if (top?.closer !== '}' || top.key === undefined || top.colon) return undefined
        top.colon = true
        return 1
      case '"':
      case "'":
        if (!keyNext && !this.#begins('"')) return undefined
        this.#lexer = { in: 'string', quote: char, isKey: keyNext, text: '', escape: '' }
        return 1
      default:
        if (!/[-+.\w]/.test(char)) return undefined
        this.#lexer = { in: 'bare', text: '' }
        return 0
    }
  }

  /** Whether a value may stand here; writes what stands before it. */
  #begins(opening: string): boolean {
    const top = this.#open.at(-1)
    if (this.#open.length >= mostDepth) return false
    if (top?.closer === '}') {
      if (top.key === undefined || !top.colon) return false
      this.#write(`${this.#comma()}${JSON.stringify(top.key)}:`, true)
    } else {
      this.#write(this.#comma())
    }
    this.#write(opening)
    return true
  }

  #comma(): string {
    const comma = this.#filled.at(-1) ? ',' : ''
    if (this.#filled.length > 0) this.#filled[this.#filled.length - 1] = true
    return comma
  }

  #opens(char: '{' | '['): boolean {
    if (!this.#begins(char)) return false
    this.#open.push(
      char === '[' ? { closer: ']', items: [] } : { closer: '}', fields: {}, key: undefined, colon: false },
    )
    this.#filled.push(false)
    return true
  }

  #closes(char: '}' | ']'): boolean {
    const top = this.#open.at(-1)
    if (top?.closer !== char || (top.closer === '}' && top.key !== undefined)) return false
    this.#open.pop()
    this.#filled.pop()
    this.#write(char)
    this.#put(top.closer === ']' ? top.items : top.fields)
    return true
  }

  #put(value: unknown): void {
    this.#lexer = between
    const top = this.#open.at(-1)
    if (top?.closer === ']') top.items.push(value)
    else if (top) {
      setField(top.fields, top.key ?? '', value)
      top.key = undefined
      top.colon = false
    } else {
      this.#root = value
      this.#state = 'complete'
    }
  }

  #string(lexer: Extract<Lexer, { in: 'string' }>, text: string, at: number): number {
    if (lexer.escape !== '') return this.#escape(lexer, text[at] ?? '')
    const plain = lexer.quote === '"' ? /[^"\\]*/y : /[^'\\]*/y
    plain.lastIndex = at
    const run = plain.exec(text)?.[0] ?? ''
    if (run !== '') {
      this.#append(lexer, run)
      return run.length
    }
    if (text[at] === '\\') lexer.escape = '\\'
    else this.#stringEnds(lexer)
    return 1
  }

  #stringEnds(lexer: Extract<Lexer, { in: 'string' }>): void {
    const top = this.#open.at(-1)
    if (lexer.isKey && top?.closer === '}') {
      top.key = lexer.text
      this.#lexer = between
      return
    }
    this.#write('"')
    this.#put(lexer.text)
  }

  /** `char` stands behind a backslash and what came after it. */
  #escape(lexer: Extract<Lexer, { in: 'string' }>, char: string): number {
    lexer.escape += char
    if (lexer.escape[1] !== 'u') {
      lexer.escape = ''
      this.#append(lexer, escapes[char] ?? char)
    } else if (lexer.escape.length > 2 && !/[\da-f]/i.test(char)) {
      const rest = lexer.escape.slice(1, -1) // no code: the letters themselves
      lexer.escape = ''
      this.#append(lexer, rest)
      return 0
    } else if (lexer.escape.length === 6) {
      const code = parseInt(lexer.escape.slice(2), 16)
      lexer.escape = ''
      this.#append(lexer, String.fromCharCode(code))
    }
    return 1
  }

  #append(lexer: Extract<Lexer, { in: 'string' }>, run: string): void {
    lexer.text += run
    if (!lexer.isKey) this.#write(escaped(run))
  }

  #bare(lexer: Extract<Lexer, { in: 'bare' }>, text: string, at: number): number | undefined {
    const run = /[-+.\w]*/y
    run.lastIndex = at
    const more = run.exec(text)?.[0] ?? ''
    lexer.text += more
    if (at + more.length < text.length && !this.#bareEnds()) return undefined
    return more.length
  }

  #bareEnds(): boolean {
    const text = this.#lexer.in === 'bare' ? this.#lexer.text : ''
    const top = this.#open.at(-1)
    if (top?.closer === '}' && top.key === undefined) {
      top.key = text
      this.#lexer = between
      return true
    }
    const value = Object.hasOwn(words, text) ? words[text] : numberOf(text)
    if (value === undefined || !this.#begins(JSON.stringify(value))) {
      this.#state = 'failed'
      return false
    }
    this.#put(value)
    return true
  }

  /** @param outside Not part of the value: its key. */
  #write(text: string, outside = false): void {
    if (this.#watched === undefined) {
      this.#text += text
      return
    }
    const [root] = this.#open
    const inner = this.#open.length > 1 || !outside
    if (root?.closer === '}' && root.key === this.#watched && root.colon && inner) this.#text += text
  }
}

/** `__proto__` is a name as any other. */
function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true })
}

/** `text` between the quotes of a JSON string. */
export function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function numberOf(text: string): number | undefined {
  const number = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN
  return Number.isFinite(number) ? number : undefined
}
