/** What the routes work with: the model under its names, and the requests that are under way. */
import type { Context } from 'hono'
import { whenAborted } from '../abort'
import { QwenVLError } from '../errors'
import type { GenerateOptions, GenerationStream, Message, QwenVL, StreamPart } from '../index'
import { bodyReader } from './body'
import { HttpError } from './failure'
import { MediaGate } from './media'
import { Metrics } from './metrics'
import type { ServerSettings } from './options'

export class Service {
  readonly model: QwenVL
  readonly settings: ServerSettings
  /** When the model began to be served, in seconds. */
  readonly created = Math.floor(Date.now() / 1000)
  readonly metrics: Metrics
  readonly readBody: ReturnType<typeof bodyReader>
  readonly #running = new Set<AbortController>()
  #closing = false

  constructor(model: QwenVL, settings: ServerSettings) {
    this.model = model
    this.settings = settings
    this.readBody = bodyReader(settings)
    this.metrics = new Metrics(model, () => this.#running.size)
  }

  /** The name that is told. */
  get name(): string {
    return this.settings.modelName[0] ?? ''
  }

  get closing(): boolean {
    return this.#closing
  }

  /** @throws HttpError 404 for a name that the model has not */
  checkName(name: string | undefined): void {
    const { modelName } = this.settings
    if (name === undefined || modelName.includes(name)) return
    throw new HttpError(
      404,
      `The model \`${name.slice(0, 200)}\` does not exist. Here is: ${modelName.join(', ')}.`,
      {
        param: 'model',
        code: 'model_not_found',
      },
    )
  }

  gate(): MediaGate {
    return new MediaGate(this.settings)
  }

  /** Work for a request: its signal fires when the client leaves, when it takes too long, and when the server ends. */
  begin(c: Context): Work {
    if (this.#closing) throw closed()
    const abort = new AbortController()
    const forget = whenAborted(c.req.raw.signal, () => abort.abort())
    const { timeoutMs } = this.settings
    const timer = setTimeout(() => abort.abort(tooSlow(timeoutMs)), timeoutMs)
    timer.unref() // a server keeps its process alive, the limit of an answer need not
    this.#running.add(abort)
    return {
      signal: abort.signal,
      end: () => {
        abort.abort()
        clearTimeout(timer)
        forget()
        this.#running.delete(abort)
      },
    }
  }

  /** Begins an answer. @throws what the library says of its options and messages */
  answer(c: Context, messages: readonly Message[], options: GenerateOptions): BegunAnswer {
    const { work, answers } = this.answers(c, messages, [options])
    const [parts] = answers
    return { work, parts }
  }

  /** Begins several answers to the same messages. @throws like `answer()` */
  answers<const Options extends readonly GenerateOptions[]>(
    c: Context,
    messages: readonly Message[],
    options: Options,
  ) {
    const work = this.begin(c)
    try {
      const answers = options.map((each) =>
        this.metrics.watch(partsOf(this.model.stream(messages, { ...each, signal: work.signal }))),
      ) as { [Index in keyof Options]: BegunAnswer['parts'] }
      return { work, answers }
    } catch (error) {
      work.end()
      throw error
    }
  }

  /** Does something else with the model. */
  async during<T>(c: Context, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const work = this.begin(c)
    try {
      return await run(work.signal)
    } finally {
      work.end()
    }
  }

  /** Takes no more work. */
  close(): void {
    this.#closing = true
  }

  /** Ends all work. */
  cancel(): void {
    for (const abort of this.#running) abort.abort(closed())
  }
}

/** The work for one request. */
export interface Work {
  readonly signal: AbortSignal
  /** To be called when it is over, or nobody waits for it any more: what still runs is cancelled. Idempotent. */
  readonly end: () => void
}

export interface BegunAnswer {
  readonly work: Work
  readonly parts: AsyncGenerator<StreamPart, void, undefined>
}

/**
 * The parts of an answer up to its end. JSON that was cut off, or is against its schema, is given as it is: its finish
 * reason tells, as the APIs have it.
 */
async function* partsOf(stream: GenerationStream): AsyncGenerator<StreamPart, void, undefined> {
  try {
    yield* stream
  } catch (error) {
    const isOutput =
      QwenVLError.isInstance(error) && ['OUTPUT_TRUNCATED', 'OUTPUT_INVALID'].includes(error.code)
    if (!isOutput) throw error
  }
}

function closed(): HttpError {
  return new HttpError(503, 'The server is shutting down.', { code: 'shutting_down' })
}

function tooSlow(timeoutMs: number): HttpError {
  return new HttpError(504, `The answer took longer than ${timeoutMs} ms. Ask for fewer tokens.`, {
    code: 'timeout',
  })
}
