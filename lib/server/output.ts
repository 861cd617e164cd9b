/** The output of OpenAI's Responses API: the items of an answer, whole, or as the events that build them. */
import { randomUUID } from 'node:crypto'
import type { StreamPart } from '../index'
import type { Answer } from './answer'
import type { ServerEvent } from './events'

type Kind = 'reasoning' | 'message' | 'function_call'

/** An item while it is written. */
interface Item {
  readonly kind: Kind
  readonly id: string
  /** Of a call: what its result names, and what it calls. */
  readonly call: { readonly id: string; readonly name: string }
  text: string
}

const prefixes = { reasoning: 'rs', message: 'msg', function_call: 'fc' } as const

function newItem(kind: Kind, call = { id: '', name: '' }, text = ''): Item {
  return { kind, id: `${prefixes[kind]}_${randomUUID().replaceAll('-', '')}`, call, text }
}

/** The items of an answer. */
export function outputOf({ text, reasoning, calls }: Answer): object[] {
  return [
    ...(reasoning === '' ? [] : [newItem('reasoning', undefined, reasoning)]),
    ...(text === '' && calls.length > 0 ? [] : [newItem('message', undefined, text)]),
    ...calls.map(({ id, name, arguments: json }) => newItem('function_call', { id, name }, json)),
  ].map((item) => written(item, 'completed'))
}

function written({ kind, id, call, text }: Item, status: 'in_progress' | 'completed') {
  switch (kind) {
    case 'reasoning':
      return { id, type: kind, summary: [], content: [{ type: 'reasoning_text', text }], status }
    case 'message':
      return { id, type: kind, role: 'assistant', status, content: [contentPart(text)] }
    case 'function_call':
      return { id, type: kind, call_id: call.id, name: call.name, arguments: text, status }
  }
}

function contentPart(text: string) {
  return { type: 'output_text', text, annotations: [], logprobs: [] }
}

/** Turns the parts of an answer into events, and keeps the finished items. */
export class OutputEvents {
  readonly items: object[] = []
  #open: Item | undefined;

  /** What a part gives. */
  *add(part: StreamPart): Generator<ServerEvent, void, undefined> {
    switch (part.type) {
      case 'reasoning':
      case 'text': {
        if (part.text === '') return
        const kind = part.type === 'text' ? 'message' : part.type
        if (this.#open?.kind !== kind) yield* this.#begin(newItem(kind))
        yield* this.#write(part.text)
        return
      }
      case 'tool-call': {
        const { id, name, delta } = part
        if (this.#open?.call.id !== id) yield* this.#begin(newItem('function_call', { id, name }))
        if (delta !== '') yield* this.#write(delta)
        return
      }
    }
  }

  /** An answer of nothing is an empty message. */
  *end(): Generator<ServerEvent, void, undefined> {
    if (!this.#open && this.items.length === 0) yield* this.#begin(newItem('message'))
    yield* this.#finish()
  }

  *#begin(item: Item): Generator<ServerEvent, void, undefined> {
    yield* this.#finish()
    this.#open = item
    const { kind } = item
    const empty = { ...written(item, 'in_progress'), ...(kind !== 'function_call' && { content: [] }) }
    yield { type: 'response.output_item.added', output_index: this.items.length, item: empty }
    if (kind === 'message')
      yield { type: 'response.content_part.added', ...this.#place(item), part: contentPart('') }
  }

  *#write(delta: string): Generator<ServerEvent, void, undefined> {
    const item = this.#open
    if (!item) return
    item.text += delta
    yield { type: `response.${streams[item.kind]}.delta`, ...this.#place(item), delta, ...logprobsOf(item) }
  }

  *#finish(): Generator<ServerEvent, void, undefined> {
    const item = this.#open
    if (!item) return
    this.#open = undefined
    const { kind, text, call } = item
    const whole =
      kind === 'function_call' ? { name: call.name, arguments: text } : { text, ...logprobsOf(item) }
    yield { type: `response.${streams[kind]}.done`, ...this.#place(item), ...whole }
    if (kind === 'message')
      yield { type: 'response.content_part.done', ...this.#place(item), part: contentPart(text) }
    const done = written(item, 'completed')
    yield { type: 'response.output_item.done', output_index: this.items.length, item: done }
    this.items.push(done)
  }

  #place({ kind, id }: Item) {
    return {
      item_id: id,
      output_index: this.items.length,
      ...(kind !== 'function_call' && { content_index: 0 }),
    }
  }
}

const streams = {
  reasoning: 'reasoning_text',
  message: 'output_text',
  function_call: 'function_call_arguments',
} as const

function logprobsOf({ kind }: Item) {
  return kind === 'message' ? { logprobs: [] } : {}
}
