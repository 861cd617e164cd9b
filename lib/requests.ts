/**
 * The requests of one model: how many there may be at a time, and what became of them; told to whoever traces by
 * `node:diagnostics_channel`. Texts and pictures are not told.
 */
import { channel, tracingChannel } from 'node:diagnostics_channel'
import { QueueFullError, QwenVLError } from './errors'
import { abortable } from './media/abort'
import { Spent } from './spent'
import type {
  FinishReason,
  ImageReport,
  PushPart,
  Rates,
  StreamPart,
  Timings,
  Usage,
  VideoReport,
} from './stream'

/** What was asked for: `chat()` or `stream()`; `run()` or `runStream()`; a turn of a `Chat`, or its KV memory; an embedding. */
export type RequestKind = 'answer' | 'run' | 'turn' | 'save' | 'embedding'

/** What subscribers of the tracing channel `qwenvl-native:request` get: the same object from start to end. */
export interface RequestTrace {
  /** Unique among the requests of a model. */
  readonly id: number
  readonly kind: RequestKind
  /** `info.description` of the model. */
  readonly model: string
  /** At the end; of `run` and turns the sum of all answers. Undefined for embeddings. */
  result?: RequestSummary | undefined
  /** What ended it, if anything did. */
  error?: unknown
}

/** What a request took. */
export interface RequestSummary {
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly rates: Rates
}

/** What subscribers of the channel `qwenvl-native:media` get, for each picture and video of a request. */
export type MediumTrace =
  | ({ readonly type: 'image'; readonly request: number; readonly index: number } & ImageReport)
  | ({ readonly type: 'video'; readonly request: number; readonly index: number } & VideoReport)

/** Counts of requests since a model was loaded. */
export interface RequestStats {
  /** That have not ended: being read, waiting, or computed. */
  readonly active: number
  readonly completed: number
  /** Ended by an error. */
  readonly failed: number
  /** Ended by a signal, or left by their reader. */
  readonly cancelled: number
  /** Refused with a QueueFullError. */
  readonly refused: number
}

/** What all requests together took. */
export interface WorkStats {
  readonly requests: RequestStats
  readonly tokens: Usage
  /** Sums; requests that ran side by side count each their own time. */
  readonly timings: Timings
  /** Means over all requests. */
  readonly rates: Rates
}

const requestChannel = tracingChannel<unknown, RequestTrace>('qwenvl-native:request')
const mediaChannel = channel('qwenvl-native:media')

export class Requests {
  readonly #model: string
  readonly #limit: number
  #last = 0
  #active = 0
  readonly #ended = { completed: 0, failed: 0, cancelled: 0, refused: 0 }
  readonly #spent = new Spent()
  readonly #waiting: Array<() => void> = []

  /** @param limit Most requests at a time, those under way included. */
  constructor(model: string, limit: number) {
    this.#model = model
    this.#limit = limit
  }

  get stats(): WorkStats {
    const { usage: tokens, timings, rates } = this.#spent
    return { requests: { active: this.#active, ...this.#ended }, tokens, timings, rates }
  }

  /** Does the work of one request, whose parts go by `push`. @throws QueueFullError */
  async run<R>(kind: RequestKind, push: PushPart, work: (push: PushPart) => Promise<R>): Promise<R> {
    this.#enter()
    const trace: RequestTrace = { id: ++this.#last, kind, model: this.#model }
    const spent = new Spent()
    let finishReason: FinishReason | undefined
    const watched: PushPart = (part, consumed) => {
      if (part.type === 'finish' || part.type === 'step') {
        finishReason = part.finishReason
        for (const sum of [spent, this.#spent]) sum.add(part)
      }
      tellMedium(trace, part)
      push(part, consumed)
    }
    try {
      let result: R | undefined
      await requestChannel.tracePromise(async () => {
        result = await work(watched)
        const { usage, timings, rates } = spent
        return finishReason && { finishReason, usage, timings, rates }
      }, trace)
      this.#ended[finishReason === 'cancelled' ? 'cancelled' : 'completed']++
      return result as R
    } catch (error) {
      this.#ended[QwenVLError.isInstance(error) && error.code === 'ABORTED' ? 'cancelled' : 'failed']++
      throw error
    } finally {
      this.#active--
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  /** Begins a request as soon as one more would be taken. @throws AbortError */
  async whenRoom<R>(signal: AbortSignal, begin: () => Promise<R>): Promise<R> {
    while (this.#active >= this.#limit)
      await abortable(new Promise<void>((resolve) => this.#waiting.push(resolve)), signal)
    return begin() // in the same turn, before another one takes the place
  }

  #enter(): void {
    if (this.#active >= this.#limit) {
      this.#ended.refused++
      throw new QueueFullError(
        'QUEUE_FULL',
        `The model has ${this.#active} requests, as many as it takes. Ask again when some have ended, use batch(), or ` +
          'load with a larger `maxQueue`.',
        { details: { active: this.#active } },
      )
    }
    this.#active++
  }
}

function tellMedium({ id }: RequestTrace, part: StreamPart): void {
  if ((part.type === 'image' || part.type === 'video') && mediaChannel.hasSubscribers)
    mediaChannel.publish({ ...part, request: id } satisfies MediumTrace)
}
