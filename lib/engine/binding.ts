/**
 * The native addon, typed, and the only place that loads it. `native/binding/addon.cpp` registers exactly these names.
 * Nothing here decides anything: policy lives in the callers.
 */
import type { EngineEvent } from './events'
import { loadAddon } from './platform'

/** Versions that the binary was built from. */
export interface BuildInfo {
  /** Version of qwenvl-native the binary belongs to; must equal package.json's. */
  readonly version: string
  /** Tag of the vendored llama.cpp. */
  readonly llamaCpp: string
  /** SHA-256 of native/llama.cpp.json: of our edits to it. */
  readonly edits: string
  /** Node-API version the addon was compiled for. */
  readonly napi: number
  /** True where ggml backends are separate files beside the binary (release build). */
  readonly dynamicBackends: boolean
}

/** A compute device as ggml lists it. Memory in bytes; 0 where the backend does not tell. */
export interface Device {
  readonly name: string
  readonly description: string
  readonly kind: 'cpu' | 'gpu' | 'igpu' | 'accelerator'
  readonly memoryFree: number
  readonly memoryTotal: number
}

/** A registered compute backend, e.g. CPU, CUDA; with what it computes, e.g. AVX2, where it tells. */
export interface Backend {
  readonly name: string
  readonly features: readonly string[]
}

/** A library of a backend that lies beside the binary. */
export interface BackendLibrary {
  readonly file: string
  /** How well it suits this processor; 0 not at all. The best of its kind is used. Missing where there is no choice. */
  readonly score?: number
  /** Why the system cannot load it. */
  readonly problem?: string
}

/** The header of a GGUF file. Arrays of more than 64 elements are left out of `metadata`. */
export interface GgufHeader {
  readonly fileBytes: number
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: readonly GgufTensor[]
}
export interface GgufTensor {
  readonly name: string
  readonly type: string
  readonly shape: readonly number[]
}
/** The header of a file on this machine: where the data of each tensor lie in it, in bytes. */
export interface GgufFile extends GgufHeader {
  readonly tensors: ReadonlyArray<GgufTensor & { readonly offset: number; readonly bytes: number }>
}
export type GgufValue = string | number | boolean | readonly (string | number | boolean)[]

export interface EngineParams {
  readonly model: string
  /** Empty string: no projector, a text-only engine. */
  readonly mmproj: string
  readonly contextSize: number
  readonly batchSize: number
  /** 0: the physical cores that this process may use. */
  readonly threads: number
  /** Layers of the decoder on the GPU; -1 all, 0 none. */
  readonly gpuLayers: number
  readonly flashAttention: 'auto' | 'on' | 'off'
  /** Element type of the KV cells. */
  readonly cacheType: 'f16' | 'f32' | 'q8_0'
  readonly mmap: boolean
  readonly encoderPrecision: 'auto' | 'exact'
  /** Answers that are computed at the same time. */
  readonly parallel: number
  /** Nothing is computed together, so that an answer does not depend on what runs beside it. */
  readonly deterministic: boolean
  /** Load the head for multi-token prediction, if there is one. */
  readonly mtp: boolean
  /** Milliseconds that a step may take while answers are generated. */
  readonly stepMs: number
  /** Tell what llama.cpp logs. */
  readonly log: boolean
  /** Most bytes of embeddings in memory, and in the folder; an empty `cacheDir`: none on the disk. */
  readonly cacheBytes: number
  readonly cacheDir: string
  readonly cacheDirBytes: number
  /** Names what the encoder computes, as a folder in `cacheDir`. */
  readonly encoderIdentity: string
  /** Names all that decides what is computed of a prompt; empty: prompts are not kept in `cacheDir`. */
  readonly promptIdentity: string
  /** Paths of LoRA adapters. */
  readonly adapters: readonly string[]
}

/** Where the embedding of a picture is kept; 'disk' includes the memory. */
export type KeepEmbedding = 'memory' | 'disk' | 'none'

/** Since the engine was opened. */
export interface CacheStats {
  readonly memoryHits: number
  readonly diskHits: number
  readonly misses: number
  /** Embeddings in memory, and their bytes. */
  readonly entries: number
  readonly bytes: number
}

/** The KV memory, in cells: one for each token of text, or row of a picture. */
export interface KvStats {
  readonly cells: number
  readonly used: number
  /** Finished conversations whose cells are kept for the next request, until their room is needed. */
  readonly cachedSequences: number
}

/** As of the end of the last step. */
export interface EngineStats {
  /** Answers that are computed now. */
  readonly running: number
  /** Requests that wait for a place, for room in the KV memory, or for their reader. */
  readonly waiting: number
  readonly kv: KvStats
  readonly embeddings: CacheStats
}

/** A run of the prompt. Positions are M-RoPE positions, computed in TypeScript. */
export type Segment =
  | { readonly tokens: Int32Array; readonly position: number }
  | {
      /** RGB, `width * height * 3` bytes a frame, already at the encoder's exact size. */
      readonly pixels: Uint8Array
      readonly width: number
      readonly height: number
      /** 2: two frames of a video, which become one temporal index. Default 1. */
      readonly frames?: 1 | 2
      /** Among the pairs of one video, whose positions in time may be equal. Default 0. */
      readonly order?: number
      /** Identity of pixels and size: SHA-256, hexadecimal. */
      readonly hash: string
      readonly cache: KeepEmbedding
      /** Embedding rows this picture becomes; checked against the encoder. */
      readonly count: number
      /** `[3 × count]`: all t, then all h, then all w. */
      readonly positions: Int32Array
    }
  | {
      /** `[count × embeddingWidth]` from an earlier encode. */
      readonly embedding: Float32Array
      /** As above. */
      readonly order?: number
      readonly hash: string
      readonly count: number
      readonly positions: Int32Array
    }

/** When and how a thought is ended, in tokens. */
export interface ThoughtLimit {
  readonly budget: number
  /** What ends a thought. */
  readonly end: number
  /** What is written once the budget is spent. */
  readonly closing: Int32Array
}

interface Queued {
  readonly id: number
  /** The higher goes first. */
  readonly priority: number
}

export interface GenerateRequest extends Queued {
  readonly kind: 'generate'
  readonly segments: readonly Segment[]
  /** Position of the first generated token. */
  readonly position: number
  /** 0: until a stop token or the end of the context. */
  readonly maxTokens: number
  readonly stopTokens: Int32Array
  readonly stop: readonly string[]
  /** Log-probabilities: -1 none, 0 of the chosen token, n also the n best. */
  readonly logprobs: number
  /** Token that stands for a picture's rows in the repetition penalty; -1 none. */
  readonly padToken: number
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  /** Ids of tokens, and what is added to the logit of each. */
  readonly biasedTokens: Int32Array
  readonly biases: Float32Array
  readonly seed: number
  /** GBNF; empty string: none. */
  readonly grammar: string
  /** Most tokens that are guessed ahead at a time; 0: none. */
  readonly speculate: number
  /** Scale of each of the engine's adapters. */
  readonly adapters: Float32Array
  /** Limit of the thought that the answer begins in. */
  readonly thought?: ThoughtLimit | undefined
}

export interface EncodeRequest extends Queued {
  readonly kind: 'encode'
  /** Identity of pixels and size: SHA-256, hexadecimal. */
  readonly hash: string
  readonly cache: KeepEmbedding
  readonly pixels: Uint8Array
  readonly width: number
  readonly height: number
  readonly frames?: 1 | 2
  readonly count: number
}

/** Appends to a file what is computed of a prompt. */
export interface SaveStateRequest extends Queued {
  readonly kind: 'saveState'
  readonly segments: readonly Segment[]
  readonly adapters: Float32Array
  readonly path: string
  readonly identity: string
}

/** Takes what was appended at `offset`, if it is whole and of this identity. */
export interface RestoreStateRequest extends Queued {
  readonly kind: 'restoreState'
  readonly path: string
  readonly offset: number
  readonly identity: string
}

export type EngineRequest = GenerateRequest | EncodeRequest | SaveStateRequest | RestoreStateRequest

/** One loaded model with its thread. Every method returns at once; results come as events. */
export interface NativeEngine {
  readonly id: number
  submit(request: EngineRequest): void
  cancel(request: number): void
  /** Credit: `events` text events of `request` were consumed. Past 256 unconsumed ones the request is parked. */
  acknowledge(request: number, events: number): void
  /** Ids of `text`; control tokens are matched only with `parseSpecial`. Needs `ready`. */
  tokenize(text: string, parseSpecial: boolean): Promise<Int32Array>
  /** Text of `tokens`; control tokens are printed only with `special`. */
  detokenize(tokens: Int32Array, special: boolean): string
  stats(): EngineStats
  /** Cancels everything and frees the model; `closed` follows. */
  close(): void
}

/** Arguments cost less than an object. */
export type TextListener = (engine: number, request: number, text: string, token: number) => void

/** What is scaled: RGB rows without gaps; sizes in pixels. */
export type Resizing = [rgb: Uint8Array, width: number, height: number, toWidth: number, toHeight: number]

export interface NativeAddon {
  buildInfo(): BuildInfo
  devices(): Device[]
  backends(): Backend[]
  /** Opens each for a moment. */
  backendLibraries(folder: string): BackendLibrary[]
  inspectGguf(path: string): Promise<GgufFile>
  /** The reference's fixed-point bicubic, off the event loop: Pillow's weights of 22 bits, torchvision's of 16. */
  resizeBicubic(...picture: Resizing): Promise<Uint8Array>
  resizeTorchvision(...picture: Resizing): Promise<Uint8Array>
  /** The same for a frame of a video: the reference's bicubic in float (torchvision). */
  resizeFrame(...picture: Resizing): Promise<Uint8Array>
  /** GBNF for the values of a JSON schema (as JSON text), off the event loop. Depth and sizes are the caller's to bound. */
  schemaToGrammar(schema: string): Promise<string>
  /** Opens an engine; the listener of `channel` hears `ready` or `failed`. */
  openEngine(params: EngineParams, channel: number): NativeEngine
  /**
   * Once per copy of this module: the folder with the ggml backends (absolute) and who hears all events. One token, as
   * most of them are, comes by `onText` if it has no log-probabilities. Returns the channel of these listeners.
   */
  initialize(folder: string, onEvent: (event: EngineEvent) => void, onText: TextListener): number
  /** Stops every engine of the process and waits, at most `deadlineMs`. For the `exit` listener. */
  stopAll(deadlineMs: number): void
}

let loaded: NativeAddon | undefined

/** The addon; loaded on first use so that pure helpers work without a binary. */
export function addon(): NativeAddon {
  return (loaded ??= loadAddon())
}
