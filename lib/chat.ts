/** One conversation of several turns. Only what is new is computed: the engine keeps the KV cells of earlier turns. */
import { preparePrompt } from './conversation'
import type { PictureMemory, PromptMaker } from './conversation'
import { invalidArgument } from './errors'
import { generate } from './generate'
import type { Generator } from './generate'
import { abortable } from './media/abort'
import { checkGenerateOptions } from './options'
import type { GenerateOptions } from './options'
import type { ContentPart, Message } from './prompt/messages'
import { normaliseMessages } from './prompt/normalise'
import type { NormalisedMessage } from './prompt/normalise'
import { GenerationStream } from './stream'
import type { GenerationResult } from './stream'

/** How a chat starts; the rest are defaults for every turn. */
export interface ChatOptions extends Omit<GenerateOptions, 'signal'> {
  /** System message. */
  readonly system?: string
  /** Turns that were held before. */
  readonly messages?: readonly Message[]
}

export class Chat {
  readonly #maker: PromptMaker & Generator
  readonly #defaults: GenerateOptions
  readonly #history: NormalisedMessage[]
  readonly #pictures: PictureMemory = new WeakMap()
  /** Turns that have not ended. */
  readonly #running = new Set<GenerationStream>()

  /** @internal Use `QwenVL.createChat()`. */
  constructor(maker: PromptMaker & Generator, options: ChatOptions) {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object', options)
    const { system, messages = [], ...defaults } = options
    if (!Array.isArray(messages)) throw invalidArgument('messages', 'an array of messages', messages)
    this.#maker = maker
    this.#defaults = checkGenerateOptions(defaults)
    const opening: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
    const all = [...opening, ...(messages as readonly Message[])]
    this.#history = all.length > 0 ? normaliseMessages(all) : []
  }

  /** Messages so far, the answers included. */
  get length(): number {
    return this.#history.length
  }

  /**
   * Says something and waits for the answer. A turn that fails or is cancelled is forgotten: the conversation is as
   * before it.
   * @throws like `QwenVL.chat()`
   */
  async send(...content: ReadonlyArray<string | ContentPart>): Promise<GenerationResult> {
    return this.stream(content).result
  }

  /** As `send`, streamed and with options for this turn. */
  stream(
    content: string | ReadonlyArray<string | ContentPart>,
    options: GenerateOptions = {},
  ): GenerationStream {
    const settings = { ...this.#defaults, ...checkGenerateOptions(options) }
    const [turn] = normaliseMessages([{ role: 'user', content }])
    const before = [...this.#running]
    const stream = new GenerationStream(async (push, signal) => {
      // This turn needs the answers before it. Asking for a result takes the brake off an answer that nobody reads.
      await abortable(Promise.allSettled(before.map(({ result }) => result)), signal)
      const messages = turn ? [...this.#history, turn] : this.#history
      const prompt = await preparePrompt(
        this.#maker,
        messages,
        renderOptions(settings),
        signal,
        this.#pictures,
      )
      const result = await generate(this.#maker, prompt, settings, push, signal)
      if (result.finishReason !== 'cancelled')
        this.#history.splice(0, Infinity, ...messages, answerOf(result, settings))
      return result
    }, settings.signal)
    const ended = () => this.#running.delete(stream)
    this.#running.add(stream)
    stream.settled.then(ended, ended)
    return stream
  }
}

/** What the template needs of the options. */
export function renderOptions({ addVisionId, specialTokens, tools, templateVariables }: GenerateOptions) {
  return {
    ...(addVisionId !== undefined && { addVisionId }),
    ...(specialTokens && { specialTokens }),
    ...(tools && { tools }),
    ...(templateVariables && { variables: templateVariables }),
  }
}

/** The answer as a message. Its ids stand for exactly its text, unless a stop string cut the text. */
function answerOf(result: GenerationResult, { stop }: GenerateOptions): NormalisedMessage {
  const exact = stop === undefined || result.finishReason === 'length'
  return {
    role: 'assistant',
    parts: [{ type: 'text', text: result.text }],
    ...(exact && { tokens: result.tokens }),
  }
}
