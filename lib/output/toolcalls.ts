/** Calls of tools as models write them, read while they arrive, in each of the three forms. Never throws. */
import type { ToolForm } from '../generations'
import type { TextBuffer } from './buffer'
import { JsonReader, escaped } from './json'

/** News of a call. */
export interface CallNews {
  readonly name: string
  /** JSON text of the arguments that came since the last news. */
  readonly delta: string
  /** The arguments so far. */
  readonly arguments: Readonly<Record<string, unknown>>
  readonly done: boolean
  /** What is wrong with a call that is over. */
  readonly problem?: string
}

/** Reads calls from behind the marker that opens one. */
export interface CallReader {
  /**
   * Takes what it can from the buffer.
   * @param ended Nothing follows.
   * @returns true behind the end of the call
   */
  read(buffer: TextBuffer, ended: boolean, tell: (news: CallNews) => void): boolean
}

/** What a parameter's text means where a form does not say: itself, JSON, or whichever fits. */
export type ParameterKind = 'text' | 'json' | 'either'
export type KindOf = (tool: string, parameter: string) => ParameterKind

/** Text that opens a call. */
export const callMarkers: Readonly<Record<ToolForm, string>> = {
  hermes: '<tool_call>',
  xml: '<tool_call>',
  'qwen-agent': '✿FUNCTION✿',
}

/** Texts that end an answer in a form, besides its end. */
export const callStops: Readonly<Record<ToolForm, readonly string[]>> = {
  hermes: [],
  xml: [],
  'qwen-agent': ['✿RESULT✿', '✿RETURN✿'],
}

export function callReader(form: ToolForm, kindOf: KindOf): CallReader {
  switch (form) {
    case 'hermes':
      return new HermesCall()
    case 'xml':
      return new XmlCall(kindOf)
    case 'qwen-agent':
      return new AgentCall()
  }
}

const cutOff = 'The call is cut off.'
const noJson = 'The arguments are no valid JSON object.'
const callEnd = ['</tool_call>']

/** `{"name": "f", "arguments": {…}}` */
class HermesCall implements CallReader {
  readonly #json = new JsonReader('arguments')
  #held = ''
  #name: string | undefined
  #told = false

  read(buffer: TextBuffer, ended: boolean, tell: (news: CallNews) => void): boolean {
    if (this.#json.state === 'open') {
      const text = buffer.takeAll()
      buffer.unshift(text.slice(this.#json.push(text)))
      this.#held += this.#json.take()
      this.#progress(tell)
      if (this.#json.state === 'open' && !ended) return false
    }
    const found = buffer.takeUntil(callEnd)
    if (!found && !ended) {
      buffer.takeSafe(callEnd)
      return false
    }
    if (!found) buffer.takeAll()
    this.#finish(tell)
    return true
  }

  #progress(tell: (news: CallNews) => void): void {
    const name = this.#json.field('name')
    if (typeof name === 'string') this.#name = name
    // Arguments that are a text with JSON in it are unpacked when they are whole.
    if (this.#name === undefined || this.#held === '' || this.#held.startsWith('"')) return
    this.#tell(tell, { delta: this.#held, arguments: this.#arguments(), done: false })
    this.#held = ''
  }

  #arguments(): Record<string, unknown> {
    const value = this.#json.value
    const given = isRecord(value) ? value.arguments : undefined
    return isRecord(given) ? given : {}
  }

  #finish(tell: (news: CallNews) => void): void {
    const { state } = this.#json
    const given = this.#json.field('arguments')
    if (state !== 'complete' || this.#name === undefined) {
      const problem = state === 'open' ? cutOff : state === 'failed' ? noJson : 'The call has no name.'
      this.#tell(tell, { delta: this.#held, arguments: this.#arguments(), done: true, problem })
    } else if (isRecord(given)) {
      this.#tell(tell, { delta: this.#held, arguments: given, done: true })
    } else {
      const unpacked = given === undefined || given === null ? {} : parseObject(given)
      const problem = unpacked ? {} : { problem: noJson }
      const delta = this.#told ? this.#held : JSON.stringify(unpacked ?? {})
      this.#tell(tell, { delta, arguments: unpacked ?? {}, done: true, ...problem })
    }
  }

  #tell(tell: (news: CallNews) => void, news: Omit<CallNews, 'name'>): void {
    this.#told = true
    tell({ name: this.#name ?? '', ...news })
  }
}

/** `<function=f>`, `<parameter=p>` with the value on lines of its own, … */
class XmlCall implements CallReader {
  readonly #kindOf: KindOf
  readonly #fields: Record<string, unknown> = {}
  #state: 'function' | 'name' | 'between' | 'parameter' | 'value' | 'closing' = 'function'
  #name = ''
  #parameter = ''
  /** Text of the value so far. */
  #value = ''
  #fresh = false
  #delta = ''

  constructor(kindOf: KindOf) {
    this.#kindOf = kindOf
  }

  read(buffer: TextBuffer, ended: boolean, tell: (news: CallNews) => void): boolean {
    while (this.#step(buffer));
    if (this.#state === 'closing') {
      const found = buffer.takeUntil(callEnd)
      if (!found && !ended) {
        buffer.takeSafe(callEnd)
        return false
      }
      if (!found) buffer.takeAll()
      this.#tell(tell, { done: true })
      return true
    }
    if (this.#delta !== '') this.#tell(tell, { done: false })
    if (!ended) return false
    buffer.takeAll()
    this.#tell(tell, { done: true, problem: cutOff })
    return true
  }

  /** False where more text is needed. */
  #step(buffer: TextBuffer): boolean {
    switch (this.#state) {
      case 'function':
        if (!buffer.takeUntil(['<function='])) return false
        this.#state = 'name'
        return true
      case 'name': {
        const found = buffer.takeUntil(['>'])
        if (!found) return false
        this.#name = found.before.trim()
        this.#delta = '{'
        this.#state = 'between'
        return true
      }
      case 'between': {
        const found = buffer.takeUntil(['<parameter=', '</function>', ...callEnd])
        if (!found) return false
        this.#state = found.marker === '<parameter=' ? 'parameter' : 'closing'
        if (this.#state === 'closing') this.#delta += '}'
        // The end of a call without the end of its function.
        if (callEnd.includes(found.marker)) buffer.unshift(found.marker)
        return true
      }
      case 'parameter': {
        const found = buffer.takeUntil(['>'])
        if (!found) return false
        this.#parameter = found.before.trim()
        this.#value = ''
        this.#fresh = true
        const comma = Object.keys(this.#fields).length > 0 ? ',' : ''
        this.#delta += `${comma}${JSON.stringify(this.#parameter)}:${this.#isText() ? '"' : ''}`
        this.#state = 'value'
        return true
      }
      case 'value':
        return this.#valueStep(buffer)
      case 'closing':
        return false
    }
  }

  #valueStep(buffer: TextBuffer): boolean {
    if (this.#fresh) {
      if (buffer.isEmpty) return false
      if (buffer.startsWith('\n') && !buffer.startsWith('\n</parameter>')) {
        if (buffer.mayStartWith('\n</parameter>')) return false
        buffer.unshift(buffer.takeAll().slice(1))
      }
      this.#fresh = false
    }
    const ends = ['\n</parameter>', '</parameter>']
    const found = buffer.takeUntil(ends)
    this.#append(found ? found.before : buffer.takeSafe(ends))
    if (!found) return false
    const value = this.#isText() ? this.#value : valueOf(this.#value, this.#kind() === 'either')
    this.#delta += this.#isText() ? '"' : JSON.stringify(value)
    setOwn(this.#fields, this.#parameter, value)
    this.#state = 'between'
    return true
  }

  #append(text: string): void {
    this.#value += text
    if (this.#isText()) this.#delta += escaped(text)
  }

  #kind(): ParameterKind {
    return this.#kindOf(this.#name, this.#parameter)
  }

  #isText(): boolean {
    return this.#kind() === 'text'
  }

  #tell(tell: (news: CallNews) => void, state: { done: boolean; problem?: string }): void {
    const fields = { ...this.#fields }
    if (this.#state === 'value' && this.#isText()) setOwn(fields, this.#parameter, this.#value)
    tell({ name: this.#name, delta: this.#delta, arguments: fields, ...state })
    this.#delta = ''
  }
}

/** `✿FUNCTION✿: f`, and on the next line `✿ARGS✿: {…}`; further `✿ARGS✿` call it again. */
class AgentCall implements CallReader {
  #name: string | undefined
  #json = new JsonReader()
  #skippedColon = false

  read(buffer: TextBuffer, ended: boolean, tell: (news: CallNews) => void): boolean {
    const marks = ['✿ARGS✿', '✿FUNCTION✿', '✿RESULT✿', '✿RETURN✿']
    for (;;) {
      if (this.#name === undefined) {
        const found = buffer.takeUntil(marks)
        if (!found && !ended) return false
        const text = found ? found.before : buffer.takeAll()
        this.#name = text.replace(/^:/, '').trim()
        if (found?.marker !== '✿ARGS✿') {
          if (found) buffer.unshift(found.marker)
          const problem = found ? {} : { problem: cutOff }
          tell({ name: this.#name, delta: '{}', arguments: {}, done: true, ...problem })
          return true
        }
      }
      if (!this.#arguments(buffer, ended, tell)) return false
      const found = buffer.takeUntil(marks)
      if (!found && !ended) {
        buffer.takeSafe(marks)
        return false
      }
      if (!found) buffer.takeAll()
      this.#done(tell)
      if (found?.marker !== '✿ARGS✿') {
        if (found) buffer.unshift(found.marker)
        return true
      }
      this.#json = new JsonReader()
      this.#skippedColon = false
    }
  }

  /** False where more text is needed. */
  #arguments(buffer: TextBuffer, ended: boolean, tell: (news: CallNews) => void): boolean {
    if (this.#json.state !== 'open') return true
    if (!this.#skippedColon) {
      buffer.dropSpace()
      if (buffer.isEmpty && !ended) return false
      if (buffer.startsWith(':')) buffer.unshift(buffer.takeAll().slice(1))
      this.#skippedColon = true
    }
    const text = buffer.takeAll()
    buffer.unshift(text.slice(this.#json.push(text)))
    if (this.#json.state !== 'open') return true
    const delta = this.#json.take()
    if (delta !== '') tell({ name: this.#name ?? '', delta, arguments: this.#fields(), done: false })
    return ended
  }

  #fields(): Record<string, unknown> {
    const { value } = this.#json
    return isRecord(value) ? value : {}
  }

  #done(tell: (news: CallNews) => void): void {
    const { state, value } = this.#json
    const problem = state === 'open' ? cutOff : state === 'complete' && isRecord(value) ? undefined : noJson
    const delta = this.#json.take()
    tell({
      name: this.#name ?? '',
      delta,
      arguments: this.#fields(),
      done: true,
      ...(problem !== undefined && { problem }),
    })
  }
}

/** The value that a text means; `orText`: itself if it is no JSON. */
function valueOf(text: string, orText: boolean): unknown {
  const reader = new JsonReader()
  const rest = text.slice(reader.push(text))
  reader.end()
  return reader.state === 'complete' && rest.trim() === ''
    ? reader.value
    : orText || text !== ''
      ? text
      : null
}

function parseObject(text: unknown): Record<string, unknown> | undefined {
  const value = typeof text === 'string' ? valueOf(text, true) : undefined
  return isRecord(value) ? value : undefined
}

function setOwn(fields: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
