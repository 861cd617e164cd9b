/** Answers as server-sent events. */
import type { Failure } from './failure'
import { failureOf } from './failure'
import type { Work } from './service'

/** How an API writes its events. */
export interface EventForm {
  /** Sent when nothing else was for a while, so that nobody on the way hangs up. */
  readonly ping: string
  /** What tells that the answer broke off. */
  readonly failure: (failure: Failure) => string
}

/** An event of an API that names its events. */
export interface ServerEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** Silence after which a ping is sent, and after which the headers are, in ms. */
const silenceMs = 10_000

const encoder = new TextEncoder()

/**
 * A response that streams `frames`. It begins with the first of them: what fails earlier is thrown, and becomes an
 * ordinary HTTP error. A reader that does not read holds the answer back.
 * @param work Ended with the stream, in whatever way that ends.
 */
export async function eventStream(
  frames: AsyncGenerator<string, void, undefined>,
  form: EventForm,
  work: Work,
): Promise<Response> {
  let pending: Promise<IteratorResult<string, void>> | undefined = frames.next()
  try {
    await withinSilence(pending)
  } catch (error) {
    work.end()
    throw error
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const send = (text: string) => controller.enqueue(encoder.encode(text))
        try {
          pending ??= frames.next()
          const step = await withinSilence(pending)
          if (step === undefined) {
            send(form.ping)
            return
          }
          pending = undefined
          if (!step.done) {
            send(step.value)
            return
          }
        } catch (error) {
          send(form.failure(failureOf(error)))
        }
        work.end()
        controller.close()
      },
      async cancel() {
        work.end()
        await frames.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // nginx would gather the events.
      'x-accel-buffering': 'no',
    },
  })
}

/** The value of a promise, or undefined after a time of silence. */
async function withinSilence<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), silenceMs)
  })
  try {
    return await Promise.race([promise, silence])
  } finally {
    clearTimeout(timer)
  }
}

/** An event with JSON in it. */
export function dataFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

/** The same with its name beside it. */
export function namedFrame(value: ServerEvent): string {
  return `event: ${value.type}\n${dataFrame(value)}`
}
