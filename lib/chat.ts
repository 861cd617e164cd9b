/** One conversation of several turns. Only what is new is computed: the engine keeps the KV cells of earlier turns. */
import type { Answerer } from './answer'
import type { PictureMemory } from './reading'
import { invalidArgument } from './errors'
import { abortable } from './media/abort'
import { checkRunOptions } from './options'
import type { RunOptions } from './options'
import type { ContentPart, Message } from './prompt/messages'
import { normaliseMessages } from './prompt/normalise'
import type { NormalisedMessage } from './prompt/normalise'
import { run } from './run'
import type { RunResult } from './run'
import { GenerationStream } from './stream'

/** How a chat starts; the rest are defaults for every turn. */
export interface ChatOptions extends Omit<RunOptions, 'signal'> {
  /** System message. */
  readonly system?: string
  /** Turns that were held before. */
  readonly messages?: readonly Message[]
}

export class Chat {
  readonly #maker: Answerer
  readonly #defaults: RunOptions
  readonly #history: NormalisedMessage[]
  readonly #pictures: PictureMemory = new WeakMap()
  /** Turns that have not ended. */
  readonly #running = new Set<GenerationStream<RunResult>>()

  /** @internal Use `QwenVL.createChat()`. */
  constructor(maker: Answerer, options: ChatOptions) {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object', options)
    const { system, messages = [], ...defaults } = options
    if (!Array.isArray(messages)) throw invalidArgument('messages', 'an array of messages', messages)
    this.#maker = maker
    this.#defaults = checkRunOptions(defaults)
    const opening: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
    const all = [...opening, ...(messages as readonly Message[])]
    this.#history = all.length > 0 ? normaliseMessages(all) : []
  }

  /** Messages so far, the answers included. */
  get length(): number {
    return this.#history.length
  }

  /**
   * Says something and waits for the answer; tools that are called are run on the way. A turn that fails or is cancelled is forgotten: the conversation is as
   * before it.
   * @throws like `QwenVL.chat()`
   */
  async send(...content: ReadonlyArray<string | ContentPart>): Promise<RunResult> {
    return this.stream(content).result
  }

  /** As `send`, streamed and with options for this turn. */
  stream(
    content: string | ReadonlyArray<string | ContentPart>,
    options: RunOptions = {},
  ): GenerationStream<RunResult> {
    const settings = checkRunOptions({ ...this.#defaults, ...options })
    const [turn] = normaliseMessages([{ role: 'user', content }])
    const before = [...this.#running]
    const stream = new GenerationStream(async (push, signal) => {
      // This turn needs the answers before it. Asking for a result takes the brake off an answer that nobody reads.
      await abortable(Promise.allSettled(before.map(({ result }) => result)), signal)
      const messages = turn ? [...this.#history, turn] : this.#history
      const { result, history } = await this.#maker.requests.run('turn', push, (watched) =>
        run(this.#maker, messages, settings, watched, signal, this.#pictures),
      )
      if (result.finishReason !== 'cancelled') this.#history.splice(0, Infinity, ...history)
      return result
    }, settings.signal)
    const ended = () => this.#running.delete(stream)
    this.#running.add(stream)
    stream.settled.then(ended, ended)
    return stream
  }
}
