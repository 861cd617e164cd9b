/**
 * A running answer: an async iterable of typed parts and a promise of the whole. Leaving the loop cancels the
 * request; a reader that stops reading holds back only this request.
 */
import { whenAborted } from './abort'
import type { EmbeddingSource, TokenLogprob } from './engine/events'
import { AbortError, QwenVLError } from './errors'
import type { Grid, Size } from './media/geometry'
import type { Evicted } from './room'
import type { ParsedToolCall } from './tools'

/** What became of one picture of the prompt. */
export interface ImageReport {
  /** Size in pixels of the upright original; missing for an embedding that does not know it. */
  readonly original?: Size
  /** Size in pixels that the model saw. */
  readonly processed: Size
  /** In vision patches. */
  readonly grid: Grid
  /** Embedding rows: tokens that the picture takes in the prompt. */
  readonly tokens: number
  /** Milliseconds in the vision encoder; 0 when nothing had to be encoded. */
  readonly encodeMs: number
  /** True when it was known from an earlier request: `source` is 'kv', 'memory' or 'disk'. */
  readonly cached: boolean
  /**
   * Where its embedding came from: 'encoder'; the cache in 'memory' or on the 'disk'; 'kv' nowhere, for the KV cells of an
   * earlier request were reused; 'caller' for an embedding that was a message part.
   */
  readonly source: EmbeddingSource
}

/** What became of one video of the prompt. */
export interface VideoReport {
  /** Size in pixels of an upright frame of the original. */
  readonly original: Size
  /** Size in pixels of a frame that the model saw. */
  readonly processed: Size
  /** In vision patches; `t` counts pairs of frames. */
  readonly grid: Grid
  /** Embedding rows: tokens that the frames take in the prompt. */
  readonly tokens: number
  /** Frames that were chosen; of an odd number the last is shown twice. */
  readonly frames: number
  /** Chosen frames per second of the video. */
  readonly sampleFps: number
  /** Seconds from the video's beginning, for each pair of frames. */
  readonly times: readonly number[]
  /** Milliseconds in the vision encoder. */
  readonly encodeMs: number
  /** True when no pair had to be encoded. */
  readonly cached: boolean
  /** Pairs of frames that had to be encoded. */
  readonly encodedPairs: number
}

/**
 * 'stop': a stop token or stop string; 'tool-calls': the same, and tools are called; 'length': `maxTokens` or the context;
 * 'cancelled': the reader left.
 */
export type FinishReason = 'stop' | 'tool-calls' | 'length' | 'cancelled'

export interface Usage {
  /** KV cells of the prompt: text tokens and picture rows. */
  readonly promptTokens: number
  /** Of these, cells of an earlier request that were reused. */
  readonly cachedTokens: number
  /** Generated tokens, the stop token included. */
  readonly completionTokens: number
  /** With `speculate`: tokens that were guessed ahead. */
  readonly guessedTokens?: number
  /** With `speculate`: guessed tokens that became part of the answer. */
  readonly acceptedTokens?: number
}

/** Wall-clock milliseconds of the phases of a request. */
export interface Timings {
  /** Waiting for earlier requests. */
  readonly queueMs: number
  /** Reading, decoding and resizing pictures. */
  readonly decodeImageMs: number
  /** In the vision encoder. */
  readonly encodeMs: number
  /** Computing the prompt's KV cells. */
  readonly prefillMs: number
  readonly generateMs: number
}

/** Tokens per second; 0 where nothing was computed. */
export interface Rates {
  /** Of the prompt, those that were not reused. */
  readonly prefill: number
  /** Of the answer, without the first, which comes with the prompt. */
  readonly generate: number
}

/** What a part of the answer was generated as; on the first of the parts that the tokens gave. */
export interface NewTokens {
  readonly tokens: readonly number[]
  readonly logprobs?: readonly TokenLogprob[]
}

/** Of the answer, or of the thought before it. */
interface TextPart<Type> extends NewTokens {
  readonly type: Type
  /** New text only; may be empty while a character or a possible end of the text is incomplete. */
  readonly text: string
}

/** The end; `step`: of `run`, the end of an answer that calls tools. */
interface EndPart<Type> {
  readonly type: Type
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly rates: Rates
}

/** A part of the answer, in the order of its making. */
export type StreamPart =
  | ({ readonly type: 'image'; /** In the conversation, from 0. */ readonly index: number } & ImageReport)
  | ({ readonly type: 'video'; /** Among the videos, from 0. */ readonly index: number } & VideoReport)
  | TextPart<'text'>
  | TextPart<'reasoning'>
  | ({
      readonly type: 'tool-call'
      /** Among the calls of the answer, from 0. */
      readonly index: number
      readonly id: string
      readonly name: string
      /** New JSON text of the arguments: all of a call's together are the beginning of a JSON object, and all of it at the end. */
      readonly delta: string
      /** The arguments so far: strings as far as they came. */
      readonly arguments: Readonly<Record<string, unknown>>
      readonly done: boolean
      /** What is wrong with a call that is done and cannot be read. */
      readonly problem?: string
    } & NewTokens)
  | {
      /** With `schema`: the value so far, not checked; strings as far as they came. */
      readonly type: 'object'
      readonly value: unknown
    }
  | {
      /** Of `run`: a call was answered, or refused. */
      readonly type: 'tool-result'
      readonly call: ParsedToolCall
      /** What `run` of the tool gave; undefined for a refused call. */
      readonly output: unknown
    }
  | ({
      /** Of a chat: what had to go to make room for the answer that follows. */ readonly type: 'evicted'
    } & Evicted)
  | EndPart<'finish'>
  | EndPart<'step'>

/** The whole answer. `Value`: what `schema` asks for. */
export interface GenerationResult<Value = unknown> {
  /** Without thought and calls of tools. */
  readonly text: string
  /** The thought before the answer, of models that think. */
  readonly reasoning?: string
  /** In their order; empty where no tools were given. */
  readonly toolCalls: readonly ParsedToolCall[]
  /** With `schema`: the value, checked. Undefined without one, for calls of tools, and for a cancelled answer. */
  readonly value: Value
  /** Ids of the answer, without the stop token. */
  readonly tokens: Int32Array
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly rates: Rates
  readonly images: readonly ImageReport[]
  readonly videos: readonly VideoReport[]
  /** One entry a token, when `logprobs` was asked for. */
  readonly logprobs?: readonly TokenLogprob[]
}

/**
 * Makes the answer: calls `push` for every part with a function to be called once the part was consumed. Resolves
 * with reason 'cancelled' after `signal` fired.
 */
export type Producer<Result> = (push: PushPart, signal: AbortSignal) => Promise<Result>

/** Takes a part, and what is to be called once it was consumed. */
export type PushPart = (part: StreamPart, consumed: () => void) => void

const noCredit = () => undefined

type NextPart = IteratorResult<StreamPart, undefined>

export class GenerationStream<
  Result extends GenerationResult = GenerationResult,
> implements AsyncIterable<StreamPart> {
  readonly #abort = new AbortController()
  /** Made and not read. */
  readonly #parts: Array<{ readonly part: StreamPart; consumed: () => void }> = []
  /** Those who wait for a part; never while there is one. */
  readonly #readers: Array<(next: NextPart | Promise<NextPart>) => void> = []
  readonly #result: Promise<Result>
  #error: Error | undefined
  #ended = false
  #iterated = false
  #collecting = false

  /** Starts at once. @internal */
  constructor(producer: Producer<Result>, signal?: AbortSignal) {
    this.#result = this.#run(producer, signal)
    // Whoever reads the parts sees the error there; without a reader of `result` it must not end the process.
    this.#result.catch(() => undefined)
  }

  /**
   * The whole answer. Asking for it takes the brake off: parts are collected whether or not they are read.
   * @throws what ended the request; AbortError when the caller's signal fired
   */
  get result(): Promise<Result> {
    this.#collecting = true
    for (const entry of this.#parts) {
      entry.consumed()
      entry.consumed = noCredit
    }
    return this.#result
  }

  /** Settles with the request, without taking the brake off. @internal */
  get settled(): Promise<unknown> {
    return this.#result
  }

  /** The whole text. @throws like `result` */
  async text(): Promise<string> {
    return (await this.result).text
  }

  /** Ends the request; `result` then resolves with what was generated so far. Idempotent. */
  cancel(): void {
    this.#abort.abort()
  }

  /**
   * Parts as they come. Leaving the loop early cancels the request.
   * @throws QwenVLError STREAM_CONSUMED on a second loop
   */
  [Symbol.asyncIterator](): AsyncIterator<StreamPart, undefined> {
    if (this.#iterated) {
      throw new QwenVLError(
        'STREAM_CONSUMED',
        'A stream can be read once. Keep its parts, or await `stream.result`.',
      )
    }
    this.#iterated = true
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel()
        await this.#result.catch(() => undefined)
        return { done: true, value: undefined }
      },
    }
  }

  /** The parts as a web stream, with its own back-pressure; cancelling it cancels the request. */
  toReadableStream(): ReadableStream<StreamPart> {
    const iterator = this[Symbol.asyncIterator]()
    return new ReadableStream<StreamPart>(
      {
        async pull(controller) {
          const { done, value } = await iterator.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
        async cancel() {
          await iterator.return?.()
        },
      },
      { highWaterMark: 0 },
    )
  }

  async #run(producer: Producer<Result>, signal: AbortSignal | undefined): Promise<Result> {
    const abort = () => this.#abort.abort()
    const forget = whenAborted(signal, abort)
    try {
      const result = await producer((part, consumed) => this.#push(part, consumed), this.#abort.signal)
      if (signal?.aborted && result.finishReason === 'cancelled') throw new AbortError(signal.reason)
      return result
    } catch (error) {
      if (!signal?.aborted && this.#abort.signal.aborted && error instanceof AbortError)
        return this.#leftEarly() as Result
      this.#error = signal?.aborted ? new AbortError(signal.reason) : (error as Error)
      throw this.#error
    } finally {
      forget()
      this.#ended = true
      for (const give of this.#readers.splice(0)) give(this.#next())
    }
  }

  #push(part: StreamPart, consumed: () => void): void {
    const give = this.#readers.shift()
    if (give || this.#collecting) consumed()
    if (give) give({ done: false, value: part })
    else this.#parts.push({ part, consumed: this.#collecting ? noCredit : consumed })
  }

  /** The reader left before the engine knew of the request. */
  #leftEarly(): GenerationResult {
    const finish = {
      finishReason: 'cancelled',
      usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
      timings: { queueMs: 0, decodeImageMs: 0, encodeMs: 0, prefillMs: 0, generateMs: 0 },
      rates: { prefill: 0, generate: 0 },
    } as const
    this.#push({ type: 'finish', ...finish }, noCredit)
    const nothing = { text: '', toolCalls: [], value: undefined, tokens: new Int32Array() }
    return { ...nothing, ...finish, images: [], videos: [] }
  }

  /** Not async: that would be two promises and three turns of the microtask queue more for every token. */
  #next(): Promise<NextPart> {
    const next = this.#parts.shift()
    if (next) {
      next.consumed()
      return Promise.resolve({ done: false, value: next.part })
    }
    if (!this.#ended) return new Promise((resolve) => this.#readers.push(resolve))
    const error = this.#error
    this.#error = undefined
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined })
  }
}
