/** One conversation of several turns. Only what is new is computed: the engine keeps the KV cells of earlier turns. */
import { preparePrompt } from './conversation'
import type { PictureMemory, PromptMaker } from './conversation'
import { generate } from './generate'
import type { Generator } from './generate'
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
  /** Turns wait for each other: each needs the answer before it. */
  #last: Promise<unknown> = Promise.resolve()

  /** @internal Use `QwenVL.createChat()`. */
  constructor(maker: PromptMaker & Generator, options: ChatOptions) {
    const { system, messages = [], ...defaults } = options
    this.#maker = maker
    this.#defaults = checkGenerateOptions(defaults)
    const opening: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
    const all = [...opening, ...messages]
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
  send(...content: ReadonlyArray<string | ContentPart>): Promise<GenerationResult> {
    return this.stream(content).result
  }

  /** As `send`, streamed and with options for this turn. */
  stream(
    content: string | ReadonlyArray<string | ContentPart>,
    options: GenerateOptions = {},
  ): GenerationStream {
    const settings = { ...this.#defaults, ...checkGenerateOptions(options) }
    const [turn] = normaliseMessages([{ role: 'user', content }])
    const before = this.#last
    const stream = new GenerationStream(async (push, signal) => {
      await before.catch(() => undefined)
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
    this.#last = stream.settled
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
