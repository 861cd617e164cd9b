/** The output of OpenAI's Responses API: the items of an answer, whole, or as the events that build them. */
import { randomUUID } from 'node:crypto'
import type { StreamPart } from '../index'
import type { Answer } from './answer'
import type { ServerEvent } from './events'
import type { NamedLogprob } from './logprobs'

/** 'incomplete': cut off by a limit. */
type Status = 'in_progress' | 'completed' | 'incomplete'
type Kind = 'reasoning' | 'message' | 'function_call'

/** An item while it is written. */
interface Item {
  readonly kind: Kind
  readonly id: string
  /** Of a call: what its result names, and what it calls. */
  readonly call: { readonly id: string; readonly name: string }
  text: string
  /** Of a message. */
  readonly logprobs: NamedLogprob[]
}

const prefixes = { reasoning: 'rs', message: 'msg', function_call: 'fc' } as const

function newItem(kind: Kind, call = { id: '', name: '' }, text = '', logprobs: NamedLogprob[] = []): Item {
  return { kind, id: `${prefixes[kind]}_${randomUUID().replaceAll('-', '')}`, call, text, logprobs }
}

/** The items of an answer. */
export function outputOf(answer: Answer, logprobs: NamedLogprob[]): object[] {
  const { text, reasoning, calls } = answer
  const items = [
    ...(reasoning === '' ? [] : [newItem('reasoning', undefined, reasoning)]),
    ...(text === '' && calls.length > 0 ? [] : [newItem('message', undefined, text, logprobs)]),
    ...calls.map(({ id, name, arguments: json }) => newItem('function_call', { id, name }, json)),
  ]
  return items.map((item) => written(item, item === items.at(-1) ? lastStatus(answer) : 'completed'))
}

/** Of the last item: a limit cut it off, or nothing did. */
function lastStatus({ finishReason }: Pick<Answer, 'finishReason'>): Status {
  return finishReason === 'length' ? 'incomplete' : 'completed'
}

function written(item: Item, status: Status) {
  const { kind, id, call, text } = item
  switch (kind) {
    case 'reasoning':
      return { id, type: kind, summary: [], content: [contentPart(item)], status }
    case 'message':
      return { id, type: kind, role: 'assistant', status, content: [contentPart(item)] }
    case 'function_call':
      return { id, type: kind, call_id: call.id, name: call.name, arguments: text, status }
  }
}

/** The one part of a thought or a message, as far as it came. */
function contentPart({ kind, text, logprobs }: Item) {
  if (kind === 'reasoning') return { type: 'reasoning_text', text }
  return { type: 'output_text', text, annotations: [], logprobs: [...logprobs] }
}

/** Turns the parts of an answer into events, and keeps the finished items. */
export class OutputEvents {
  readonly items: object[] = []
  #open: Item | undefined
  /** Of tokens that gave no text yet. */
  #early: NamedLogprob[] = [];

  /** What a part gives. @param logprobs its own */
  *add(part: StreamPart, logprobs: readonly NamedLogprob[]): Generator<ServerEvent, void, undefined> {
    this.#early.push(...logprobs)
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
  *end(answer: Answer): Generator<ServerEvent, void, undefined> {
    if (!this.#open && this.items.length === 0) yield* this.#begin(newItem('message'))
    yield* this.#finish(lastStatus(answer))
  }

  *#begin(item: Item): Generator<ServerEvent, void, undefined> {
    yield* this.#finish()
    this.#open = item
    const { kind } = item
    const empty = { ...written(item, 'in_progress'), ...(kind !== 'function_call' && { content: [] }) }
    yield { type: 'response.output_item.added', output_index: this.items.length, item: empty }
    if (kind !== 'function_call')
      yield { type: 'response.content_part.added', ...this.#place(item), part: contentPart(item) }
  }

  *#write(delta: string): Generator<ServerEvent, void, undefined> {
    const item = this.#open
    if (!item) return
    item.text += delta
    const more = item.kind === 'message' ? { logprobs: this.#takeEarly(item) } : {}
    yield { type: `response.${streams[item.kind]}.delta`, ...this.#place(item), delta, ...more }
  }

  *#finish(status: Status = 'completed'): Generator<ServerEvent, void, undefined> {
    const item = this.#open
    if (!item) return
    this.#open = undefined
    const { kind, text, call, logprobs } = item
    if (kind === 'message') this.#takeEarly(item)
    const whole = {
      function_call: { name: call.name, arguments: text },
      message: { text, logprobs },
      reasoning: { text },
    }[kind]
    yield { type: `response.${streams[kind]}.done`, ...this.#place(item), ...whole }
    if (kind !== 'function_call')
      yield { type: 'response.content_part.done', ...this.#place(item), part: contentPart(item) }
    const done = written(item, status)
    yield { type: 'response.output_item.done', output_index: this.items.length, item: done }
    this.items.push(done)
  }

  #takeEarly(item: Item): NamedLogprob[] {
    const early = this.#early
    this.#early = []
    item.logprobs.push(...early)
    return early
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
