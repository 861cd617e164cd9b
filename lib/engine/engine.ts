/** Promise and callback face of the native engine: routes its events to the requests they belong to. */
import { isMainThread } from 'node:worker_threads'
import { whenAborted } from '../abort'
import { AbortError, QwenVLError, fromNative, throwIfAborted } from '../errors'
import { addon } from './binding'
import type { EngineEvent, EngineInfo, LogLine } from './events'
import type {
  EngineParams,
  EngineRequest,
  EngineStats,
  GgufFile,
  NativeAddon,
  NativeEngine,
  Resizing,
} from './binding'
import { backendFolder } from './platform'

/** Native work in flight gets this long to stop when the process exits. */
const exitDeadlineMs = 5000

/** Of each kind of request. */
type WithoutId<Request> = Request extends unknown ? Omit<Request, 'id'> : never

type RequestEvent = Extract<EngineEvent, { readonly request: number }>

/** What can be done with a request that was submitted. */
export interface SubmittedRequest {
  readonly cancel: () => void
  /** Tells the engine that `events` text events were consumed; without it the request is parked after 256. */
  readonly acknowledge: (events: number) => void
}

// Engines that run something are held; idle ones only as long as the caller holds them, so that a forgotten model is
// collected and freed.
const known = new Map<number, WeakRef<Engine>>()
const busy = new Map<number, Engine>()

function dispatch(event: EngineEvent): void {
  const engine = busy.get(event.engine) ?? known.get(event.engine)?.deref()
  try {
    engine?.receive(event)
  } catch (error) {
    // A listener of ours threw: never into native code, never swallowed.
    queueMicrotask(() => {
      throw error
    })
  }
  if (event.type === 'closed') known.delete(event.engine)
}

function dispatchText(engine: number, request: number, text: string, token: number): void {
  dispatch({ engine, type: 'text', request, text, tokens: [token] })
}

let channel: number | undefined

/** The addon with its backends loaded and its events connected, and the channel that these events come by. */
function connected(): { readonly native: NativeAddon; readonly channel: number } {
  const native = addon()
  if (channel === undefined) {
    channel = native.initialize(backendFolder(), dispatch, dispatchText)
    // process.exit() and uncaught errors skip the native cleanup hook, but not this listener.
    if (isMainThread) process.once('exit', () => native.stopAll(exitDeadlineMs))
  }
  return { native, channel }
}

/** The addon, ready for everything but engines. */
export function initializedAddon(): NativeAddon {
  return connected().native
}

/** Calls into native code; its coded errors become the classes of lib/errors.ts. */
export function callNative<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw convertNative(error)
  }
}

/** By shape: the addon's errors belong to the main realm, which jest or a vm context is not. */
function convertNative(error: unknown): unknown {
  if (QwenVLError.isInstance(error) || typeof error !== 'object' || error === null) return error
  const native = error as { code?: unknown; message: string; detail?: unknown }
  if (typeof native.code !== 'string' || typeof native.detail !== 'string') return error
  return fromNative({ code: native.code, message: native.message, detail: native.detail })
}

/**
 * The checked header of a GGUF file, read off the event loop.
 * @throws ModelLoadError FILE_NOT_FOUND, NOT_GGUF, GGUF_CORRUPT, GGUF_TRUNCATED
 */
export function inspectGguf(path: string): Promise<GgufFile> {
  return ask((addon) => addon.inspectGguf(path))
}

/** The reference's bicubic (Pillow's fixed-point scheme), RGB bytes in and out, off the event loop. */
export function resizeBicubic(...picture: Resizing): Promise<Uint8Array> {
  return ask((addon) => addon.resizeBicubic(...picture))
}

/** The same with the shorter weights of torchvision, which scales bytes so: the two differ by a level now and then. */
export function resizeTorchvision(...picture: Resizing): Promise<Uint8Array> {
  return ask((addon) => addon.resizeTorchvision(...picture))
}

/** The same for a frame of a video: torchvision's bicubic in float. */
export function resizeFrame(...frame: Resizing): Promise<Uint8Array> {
  return ask((addon) => addon.resizeFrame(...frame))
}

/** Off the event loop; what goes wrong, also at once, rejects with an error of ours. */
async function ask<T>(question: (addon: NativeAddon) => Promise<T>): Promise<T> {
  try {
    return await question(initializedAddon())
  } catch (error) {
    throw convertNative(error)
  }
}

/** GBNF for the values of a JSON schema, off the event loop. @throws InvalidArgumentError */
export async function schemaToGrammar(schema: string): Promise<string> {
  try {
    return await initializedAddon().schemaToGrammar(schema)
  } catch (error) {
    throw convertNative(error)
  }
}

export interface OpenOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the loaded share, 0 to 1, in whole percents. */
  readonly onProgress?: ((progress: number) => void) | undefined
  /** What llama.cpp logs; called as long as the engine lives. */
  readonly onLog?: ((line: LogLine) => void) | undefined
  /** Something is amiss that stops nothing; called as long as the engine lives. */
  readonly onWarning?: ((warning: EngineWarning) => void) | undefined
}

/** What is amiss. `CACHE_UNWRITABLE`: embeddings cannot be kept in `cacheDir`; told once. */
export interface EngineWarning {
  readonly code: string
  readonly message: string
}

export class Engine {
  readonly #native: NativeEngine
  readonly #requests = new Map<number, (event: RequestEvent) => void>()
  readonly #closed: Promise<void>
  #resolveClosed: () => void = () => undefined
  #loading: { resolve: (info: EngineInfo) => void; reject: (error: Error) => void } | undefined
  #onProgress: ((progress: number) => void) | undefined
  readonly #onWarning: OpenOptions['onWarning']
  readonly #onLog: OpenOptions['onLog']
  #nextRequest = 1
  #disposed = false
  #info: EngineInfo | undefined

  private constructor(params: Omit<EngineParams, 'log'>, { onProgress, onWarning, onLog }: OpenOptions) {
    this.#native = callNative(() => {
      const { native, channel } = connected()
      return native.openEngine({ ...params, log: onLog !== undefined }, channel)
    })
    this.#onProgress = onProgress
    this.#onWarning = onWarning
    this.#onLog = onLog
    this.#closed = new Promise((resolve) => (this.#resolveClosed = resolve))
    known.set(this.#native.id, new WeakRef(this))
    busy.set(this.#native.id, this)
  }

  /**
   * Loads a model on a thread of its own.
   * @throws ModelLoadError, UnsupportedModelError, AbortError
   */
  static async open(params: Omit<EngineParams, 'log'>, options: OpenOptions = {}): Promise<Engine> {
    const { signal } = options
    throwIfAborted(signal)
    const engine = new Engine(params, options)
    const forget = whenAborted(signal, () => engine.#native.close())
    try {
      engine.#info = await new Promise<EngineInfo>((resolve, reject) => {
        engine.#loading = { resolve, reject }
      })
      return engine
    } catch (error) {
      throw signal?.aborted ? new AbortError(signal.reason) : error
    } finally {
      forget()
      engine.#loading = undefined
      engine.#onProgress = undefined
      busy.delete(engine.#native.id)
    }
  }

  get info(): EngineInfo {
    if (!this.#info) throw new QwenVLError('INTERNAL', 'The engine is still loading.')
    return this.#info
  }

  get disposed(): boolean {
    return this.#disposed
  }

  /** Starts a request; `onEvent` hears its events in order, the last is one `end` or `error`. */
  submit(request: WithoutId<EngineRequest>, onEvent: (event: RequestEvent) => void): SubmittedRequest {
    this.#throwIfDisposed()
    const id = this.#nextRequest++
    callNative(() => this.#native.submit({ ...request, id }))
    this.#requests.set(id, onEvent)
    busy.set(this.#native.id, this)
    return {
      cancel: () => this.#native.cancel(id),
      acknowledge: (events) => this.#native.acknowledge(id, events),
    }
  }

  /** Ids of a text; control tokens in it are matched only with `parseSpecial`. */
  async tokenize(text: string, parseSpecial = false): Promise<Int32Array> {
    this.#throwIfDisposed()
    try {
      return await this.#native.tokenize(text, parseSpecial)
    } catch (error) {
      throw convertNative(error)
    }
  }

  detokenize(tokens: Int32Array, special = true): string {
    this.#throwIfDisposed()
    return callNative(() => this.#native.detokenize(tokens, special))
  }

  /** What it is doing and holding. */
  stats(): EngineStats {
    this.#throwIfDisposed()
    return this.#native.stats()
  }

  /** Cancels what runs and frees the model's memory. Idempotent. */
  async close(): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = true
      busy.set(this.#native.id, this) // else whoever waits for the end could be collected with us
      this.#native.close()
    }
    await this.#closed
  }

  /** Called by the dispatcher. */
  receive(event: EngineEvent): void {
    switch (event.type) {
      case 'progress':
        this.#onProgress?.(event.progress)
        return
      case 'ready':
        this.#loading?.resolve(event.info)
        return
      case 'failed':
        this.#disposed = true
        this.#loading?.reject(fromNative(event))
        return
      case 'warning':
        this.#onWarning?.(event)
        return
      case 'log':
        this.#onLog?.({ level: event.level, message: event.message })
        return
      case 'closed':
        this.#disposed = true
        busy.delete(this.#native.id)
        this.#resolveClosed()
        return
    }
    const listener = this.#requests.get(event.request)
    if (event.type === 'end' || event.type === 'error') {
      this.#requests.delete(event.request)
      if (this.#requests.size === 0 && !this.#disposed) busy.delete(this.#native.id) // else until it is closed
    }
    listener?.(event)
  }

  #throwIfDisposed(): void {
    if (this.#disposed) {
      throw new QwenVLError('DISPOSED', 'The model was disposed. Load it again with QwenVL.load().')
    }
  }
}
