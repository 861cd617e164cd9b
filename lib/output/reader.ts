/** The text of an answer, while it arrives → its thought, its text and its calls of tools. */
import type { ToolForm } from '../generations'
import { TextBuffer } from './buffer'
import { callMarkers, callReader } from './toolcalls'
import type { CallNews, CallReader, KindOf } from './toolcalls'

/** A piece of an answer, in its order. */
export type AnswerPiece =
  | { readonly type: 'reasoning' | 'text'; readonly text: string }
  | ({
      readonly type: 'tool-call'
      /** Among the calls of the answer, from 0. */ readonly index: number
    } & CallNews)

/** How an answer begins and what may be in it. */
export interface AnswerShape {
  /** The prompt opened a thought. */
  readonly inThought: boolean
  /** Form of the calls; without it no text is one. */
  readonly calls?: { readonly form: ToolForm; readonly kindOf: KindOf } | undefined
  /** The answer goes on behind the text `✿RETURN✿` of Qwen-Agent. */
  readonly continues?: boolean | undefined
}

const thoughtStart = '<think>'
const thoughtEnd = ['</think>']

export class AnswerReader {
  readonly #shape: AnswerShape
  readonly #buffer = new TextBuffer()
  #state: 'start' | 'thought' | 'text' | 'call'
  #skipSpace = true
  #call: CallReader | undefined
  #calls = 0

  constructor(shape: AnswerShape) {
    this.#shape = shape
    this.#state = shape.inThought ? 'thought' : 'start'
  }

  /** What is being read. */
  get current(): 'reasoning' | 'text' | 'call' {
    return this.#state === 'thought' ? 'reasoning' : this.#state === 'call' ? 'call' : 'text'
  }

  push(text: string): AnswerPiece[] {
    this.#buffer.push(text)
    return this.#read(false)
  }

  /** Nothing follows. */
  end(): AnswerPiece[] {
    return this.#read(true)
  }

  #read(ended: boolean): AnswerPiece[] {
    const pieces: AnswerPiece[] = []
    while (this.#step(pieces, ended));
    return pieces
  }

  /** False where more text is needed. */
  #step(pieces: AnswerPiece[], ended: boolean): boolean {
    switch (this.#state) {
      case 'start':
        return this.#start(ended)
      case 'thought':
        return this.#thought(pieces, ended)
      case 'text':
        return this.#text(pieces, ended)
      case 'call':
        return this.#callStep(pieces, ended)
    }
  }

  #start(ended: boolean): boolean {
    const buffer = this.#buffer
    if (this.#shape.continues) {
      // The colon behind `✿RETURN✿` is left to the model: it may be one token with what follows.
      if (buffer.isEmpty && !ended) return false
      if (buffer.startsWith(':')) buffer.unshift(buffer.takeAll().slice(1))
      this.#state = 'text'
      return true
    }
    const text = buffer.takeAll()
    buffer.unshift(text)
    const begun = text.trimStart()
    if (begun.startsWith(thoughtStart)) {
      buffer.takeUntil([thoughtStart])
      this.#state = 'thought'
      return true
    }
    if (thoughtStart.startsWith(begun) && !ended) return false
    this.#skipSpace = false
    this.#state = 'text'
    return true
  }

  #thought(pieces: AnswerPiece[], ended: boolean): boolean {
    const found = this.#buffer.takeUntil(thoughtEnd)
    const text = found
      ? found.before.trimEnd()
      : ended
        ? this.#buffer.takeAll()
        : this.#buffer.takeSafe(thoughtEnd, true)
    this.#add(pieces, 'reasoning', text)
    if (!found) return false
    this.#state = 'text'
    this.#skipSpace = true
    return true
  }

  #text(pieces: AnswerPiece[], ended: boolean): boolean {
    const { calls } = this.#shape
    if (!calls) {
      this.#add(pieces, 'text', this.#buffer.takeAll())
      return false
    }
    const markers = [callMarkers[calls.form]]
    const found = this.#buffer.takeUntil(markers)
    if (found) {
      this.#add(pieces, 'text', found.before.trimEnd())
      this.#call = callReader(calls.form, calls.kindOf)
      this.#state = 'call'
      return true
    }
    this.#add(pieces, 'text', ended ? this.#buffer.takeAll() : this.#buffer.takeSafe(markers, true))
    return false
  }

  #callStep(pieces: AnswerPiece[], ended: boolean): boolean {
    const over = this.#call?.read(this.#buffer, ended, (news) => {
      pieces.push({ type: 'tool-call', index: this.#calls, ...news })
      if (news.done) this.#calls++
    })
    if (!over) return false
    this.#state = 'text'
    this.#skipSpace = true
    return true
  }

  /** Adds a piece of text; spaces at the very beginning of a thought, or behind one or a call, are none of it. */
  #add(pieces: AnswerPiece[], type: 'reasoning' | 'text', text: string): void {
    const rest = this.#skipSpace ? text.trimStart() : text
    if (rest === '') return
    this.#skipSpace = false
    pieces.push({ type, text: rest })
  }
}
