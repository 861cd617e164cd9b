/** What the server did so far, as Prometheus reads it. */
import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { QwenVL, StreamPart } from '../index'

/** Seconds: from a cached picture's first token to a long answer on a slow machine. */
const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = this.#counter('requests_total', 'Requests answered.', ['path', 'status'])
  readonly #promptTokens = this.#counter('prompt_tokens_total', 'Tokens of prompts, pictures included.')
  readonly #cachedTokens = this.#counter(
    'cached_tokens_total',
    'Of these, tokens that were not computed again.',
  )
  readonly #completionTokens = this.#counter('completion_tokens_total', 'Generated tokens.')
  readonly #images = this.#counter('images_total', 'Pictures, by where their embedding came from.', [
    'source',
  ])
  readonly #firstToken = this.#histogram('first_token_seconds', 'From a request to its first token.')
  readonly #answer = this.#histogram('answer_seconds', 'From a request to the end of its answer.')

  constructor(model: QwenVL, running: () => number) {
    this.#gauge('requests_running', 'Requests under way.', running)
    this.#gauge('answers_running', 'Answers that are computed now.', () => model.stats().requests.running)
    this.#gauge('answers_waiting', 'Requests that wait for their turn.', () => model.stats().requests.waiting)
    this.#gauge('kv_cells_used', 'Cells of the KV memory in use.', () => model.stats().kv.used)
    this.#gauge('embedding_cache_bytes', 'Embeddings kept in memory.', () => model.stats().embeddings.bytes)
    this.#gauge('resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss())
  }

  get type(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  /** By the route that took them: there may be any number of paths. */
  readonly countRequests: MiddlewareHandler = async (c, next) => {
    await next()
    this.#requests.inc({ path: routePath(c, -1), status: c.res.status })
  }

  /** Passes an answer on and counts it. */
  async *watch(parts: AsyncIterable<StreamPart>): AsyncGenerator<StreamPart, void, undefined> {
    const started = performance.now()
    const seconds = () => (performance.now() - started) / 1000
    let begun = false
    for await (const part of parts) {
      if (part.type === 'image') {
        this.#images.inc({ source: part.source })
      } else if (part.type === 'finish') {
        const { promptTokens, cachedTokens, completionTokens } = part.usage
        this.#promptTokens.inc(promptTokens)
        this.#cachedTokens.inc(cachedTokens)
        this.#completionTokens.inc(completionTokens)
        this.#answer.observe(seconds())
      } else if (!begun) {
        begun = true
        this.#firstToken.observe(seconds())
      }
      yield part
    }
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `qwenvl_${name}`, help, labelNames, registers: [this.#registry] })
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name: `qwenvl_${name}`, help, buckets, registers: [this.#registry] })
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name: `qwenvl_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value())
      },
    })
  }
}
