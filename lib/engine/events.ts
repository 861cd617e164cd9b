/** What the native engine tells, typed; `native/binding/convert_out.cpp` writes exactly these fields. */

/** What the engine knows after loading. */
export interface EngineInfo {
  readonly contextSize: number
  readonly trainContextSize: number
  readonly vocabSize: number
  /** Width of an input embedding row: hidden size × (1 + deepstack levels). */
  readonly embeddingWidth: number
  readonly usesMrope: boolean
  readonly hasVision: boolean
  readonly eogTokens: readonly number[]
  /** Text of every control token: never produced from user text. */
  readonly controlTokens: ReadonlyArray<{ readonly id: number; readonly text: string }>
  readonly decoderDevice: string
  readonly encoderDevice: string
  /** Type of most of the encoder's weights in memory, e.g. "bf16"; empty without an encoder. */
  readonly encoderWeights: string
  /** A head for multi-token prediction is loaded. */
  readonly mtp: boolean
  readonly threads: number
  readonly modelBytes: number
  readonly parameters: number
  /** llama.cpp's one-line description, e.g. "qwen2vl 2B Q4_0". */
  readonly description: string
}

/** Wall-clock milliseconds of the phases of one request. */
export interface NativeTimings {
  readonly queueMs: number
  readonly encodeMs: number
  readonly prefillMs: number
  readonly generateMs: number
}

/** Where the embedding of a picture came from: 'kv' nowhere, for its KV cells were reused; 'caller' with the request. */
export type EmbeddingSource = 'encoder' | 'memory' | 'disk' | 'kv' | 'caller'

/** How likely a token was. */
export interface TokenChance {
  readonly token: number
  /** Natural logarithm of the probability before sampling changed it. */
  readonly logprob: number
  /** What it adds to the answer, as UTF-8: perhaps only a part of a character, of the token that ends it nothing. */
  readonly bytes: readonly number[]
}

/** A token of an answer, with the best alternatives that were asked for. */
export interface TokenLogprob extends TokenChance {
  readonly top: readonly TokenChance[]
}

/** A line that llama.cpp logged. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
}

/**
 * Events, in order per request; the last one of a request is always exactly one `end` or `error`.
 * Events without `request` belong to the engine.
 */
export type EngineEvent = { readonly engine: number } & (
  | { readonly type: 'progress'; readonly progress: number }
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly detail: string }
  | { readonly type: 'closed' }
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
  | { readonly type: 'log'; readonly level: LogLine['level']; readonly message: string }
  | {
      readonly type: 'image'
      readonly request: number
      readonly index: number
      readonly encodeMs: number
      readonly source: EmbeddingSource
    }
  | {
      readonly type: 'embedding'
      readonly request: number
      readonly data: Float32Array
      readonly encodeMs: number
    }
  | {
      readonly type: 'state'
      readonly request: number
      /** That are in the file now, or back from it; 0: none. And their bytes in it. */
      readonly tokens: number
      readonly bytes: number
    }
  | {
      readonly type: 'text'
      readonly request: number
      readonly text: string
      readonly tokens: readonly number[]
      readonly logprobs?: readonly TokenLogprob[]
    }
  | {
      readonly type: 'end'
      readonly request: number
      readonly reason: 'stop' | 'length' | 'cancelled'
      readonly promptTokens: number
      /** Prompt tokens whose KV cells were reused. */
      readonly cachedTokens: number
      readonly completionTokens: number
      /** Tokens that were guessed and computed ahead, and how many of them became part of the answer. */
      readonly guessedTokens: number
      readonly acceptedTokens: number
      readonly timings: NativeTimings
    }
  | {
      readonly type: 'error'
      readonly request: number
      readonly code: string
      readonly message: string
      readonly detail: string
    }
)
