/** Many conversations, several at a time; results in order. */
import { whenAborted } from './abort'
import { invalidArgument, throwIfAborted } from './errors'
import { abortable } from './media/abort'
import type { GenerateOptions } from './options'
import type { OutputSchema } from './output/schema'
import type { MessagesInput } from './prompt/messages'
import type { GenerationResult } from './stream'

/** A conversation, or one with options of its own. */
export type BatchEntry =
  MessagesInput | { readonly messages: MessagesInput; readonly options?: GenerateOptions | undefined }

/** Options for all conversations, and how many are in work at the same time. */
export interface BatchOptions<
  Schema extends OutputSchema | undefined = OutputSchema | undefined,
> extends GenerateOptions<Schema> {
  /** Conversations in work at the same time. Default: twice `parallel`, so that the next are ready when a place is free. */
  readonly concurrency?: number
}

/** What became of one conversation: a `result`, or an `error`. */
export type BatchItem<Value = unknown> =
  | { readonly index: number; readonly result: GenerationResult<Value>; readonly error?: undefined }
  | { readonly index: number; readonly result?: undefined; readonly error: Error }

/** Finished conversations that wait for one before them, for each in work. */
const mostUnread = 8

type Ask<Value> = (
  messages: MessagesInput,
  options: GenerateOptions | undefined,
  signal: AbortSignal,
) => Promise<GenerationResult<Value>>

/** A promise of all results, and a loop over them. Starts with the first wait or loop; to be used once. */
export class Batch<Value = unknown> implements AsyncIterable<BatchItem<Value>>, Promise<BatchItem<Value>[]> {
  readonly #entries: Iterable<BatchEntry> | AsyncIterable<BatchEntry>
  readonly #concurrency: number
  readonly #signal: AbortSignal | undefined
  readonly #ask: Ask<Value>
  readonly [Symbol.toStringTag] = 'Batch'
  #all: Promise<BatchItem<Value>[]> | undefined

  /** @internal Use `QwenVL.batch()`. */
  constructor(
    entries: Iterable<BatchEntry> | AsyncIterable<BatchEntry>,
    concurrency: number,
    signal: AbortSignal | undefined,
    ask: Ask<Value>,
  ) {
    if (typeof entries === 'string' || !isIterable(entries))
      throw invalidArgument('conversations', 'an array or another iterable of conversations', entries)
    if (!Number.isInteger(concurrency) || concurrency < 1)
      throw invalidArgument('concurrency', 'a whole number from 1', concurrency)
    this.#entries = entries
    this.#concurrency = concurrency
    this.#signal = signal
    this.#ask = ask
  }

  /** All results, in the order of the conversations. @throws AbortError when the signal fires */
  then<A = BatchItem<Value>[], B = never>(
    fulfilled?: ((items: BatchItem<Value>[]) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#all ??= collect(this)
    return this.#all.then(fulfilled, rejected)
  }

  /** As that of a promise. */
  catch<B = never>(
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<BatchItem<Value>[] | B> {
    return this.then(undefined, rejected)
  }

  /** As that of a promise. */
  finally(settled?: (() => void) | null): Promise<BatchItem<Value>[]> {
    return this.then().finally(settled)
  }

  /**
   * Results in the order of the conversations, each as soon as it and all before it are there. A reader that stops
   * reading stops the batch after some conversations; leaving the loop cancels the rest.
   * @throws AbortError when the signal fires; what the iterable throws
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<BatchItem<Value>, undefined> {
    const rest = new AbortController()
    const forget = whenAborted(this.#signal, () => rest.abort(this.#signal?.reason))
    const source = iteratorOf(this.#entries)
    const unread: Array<{ item?: BatchItem<Value> }> = []
    const running = new Set<Promise<void>>()
    let wake: () => void = () => undefined
    const begin = (index: number, entry: BatchEntry) => {
      const place: (typeof unread)[number] = {}
      unread.push(place)
      const work = this.#answer(index, entry, rest.signal).then((item) => {
        place.item = item
        running.delete(work)
        wake()
      })
      running.add(work)
    }
    let [count, ended] = [0, false]
    const hasPlace = () => running.size < this.#concurrency && unread.length < mostUnread * this.#concurrency
    const fill = async () => {
      while (!ended && hasPlace() && !rest.signal.aborted) {
        const next = await source.next()
        if (next.done) ended = true
        else if (!rest.signal.aborted) begin(count++, next.value)
      }
    }
    // The conversations may be long in coming: answers do not wait for the next one.
    let filling: Promise<void> | undefined
    let failure: { readonly error: unknown } | undefined
    try {
      for (;;) {
        throwIfAborted(rest.signal)
        if (failure) throw failure.error
        if (!ended && hasPlace())
          filling ??= fill()
            .catch((error: unknown) => {
              failure = { error }
              ended = true
            })
            .finally(() => {
              filling = undefined
              wake()
            })
        const [first] = unread
        if (first?.item) {
          unread.shift()
          yield first.item
        } else if (first ?? filling) {
          await abortable(new Promise<void>((resolve) => (wake = resolve)), rest.signal)
        } else return undefined
      }
    } finally {
      forget()
      rest.abort()
      await Promise.all(running)
      if (!ended) await leave(source, filling !== undefined)
    }
  }

  async #answer(index: number, entry: BatchEntry, signal: AbortSignal): Promise<BatchItem<Value>> {
    try {
      const { messages, options } = hasOptions(entry) ? entry : { messages: entry, options: undefined }
      return { index, result: await this.#ask(messages, options, signal) }
    } catch (error) {
      return { index, error: error as Error }
    }
  }
}

/** Nothing more is taken. `asked`: for one more, which may never come; it is not waited for. */
async function leave(source: Iterator<unknown> | AsyncIterator<unknown>, asked: boolean): Promise<void> {
  const left = (async () => source.return?.())()
  if (asked) left.catch(() => undefined)
  else await left
}

function hasOptions(entry: BatchEntry): entry is Exclude<BatchEntry, MessagesInput> {
  return typeof entry === 'object' && entry !== null && 'messages' in entry
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

function isIterable(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
  )
}

function iteratorOf<T>(values: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]()
}
