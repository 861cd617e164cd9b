/** One conversation of several turns. Only what is new is computed: the engine keeps the KV cells of earlier turns. */
import type { Answerer } from './answer'
import { readChatFile, writeChatFile } from './chatfile'
import { invalidArgument } from './errors'
import { abortable } from './media/abort'
import { checkTurnOptions } from './options'
import type { TurnOptions } from './options'
import type { ContentPart, Message } from './prompt/messages'
import { normaliseMessages } from './prompt/normalise'
import type { NormalisedMessage } from './prompt/normalise'
import { readMedia } from './reading'
import type { MediaPart, PictureMemory } from './reading'
import { run } from './run'
import type { RunResult } from './run'
import { GenerationStream } from './stream'

/** How a chat starts; the rest are defaults for every turn. */
export interface ChatOptions extends Omit<TurnOptions, 'signal'> {
  /** System message. */
  readonly system?: string
  /** Turns that were held before. */
  readonly messages?: readonly Message[]
}

/** What is said: parts of a message of the user, or whole messages, such as results of tools. */
export type ChatContent = string | ContentPart | Message

interface State {
  readonly history: readonly NormalisedMessage[]
  readonly defaults: TurnOptions
  readonly pictures: PictureMemory
}

export class Chat {
  readonly #maker: Answerer
  readonly #defaults: TurnOptions
  #history: readonly NormalisedMessage[]
  readonly #pictures: PictureMemory
  /** Turns that have not ended. */
  readonly #running = new Set<GenerationStream<RunResult>>()

  private constructor(maker: Answerer, { history, defaults, pictures }: State) {
    this.#maker = maker
    this.#history = history
    this.#defaults = defaults
    this.#pictures = pictures
  }

  /** @internal Use `QwenVL.createChat()`. */
  static begin(maker: Answerer, options: ChatOptions): Chat {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object', options)
    const { system, messages = [], ...defaults } = options
    if (!Array.isArray(messages)) throw invalidArgument('messages', 'an array of messages', messages)
    const opening: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
    const all = [...opening, ...(messages as readonly Message[])]
    return new Chat(maker, {
      history: all.length > 0 ? normaliseMessages(all) : [],
      defaults: checkTurnOptions(defaults),
      pictures: new WeakMap(),
    })
  }

  /** @internal Use `QwenVL.loadChat()`. */
  static async load(
    maker: Answerer,
    file: string,
    options: Omit<ChatOptions, 'system' | 'messages'>,
  ): Promise<Chat> {
    const defaults = checkTurnOptions(options)
    const pictures: PictureMemory = new WeakMap()
    const history = await readChatFile(file, maker, pictures)
    return new Chat(maker, { history, defaults, pictures })
  }

  /** Messages so far, the answers included. */
  get length(): number {
    return this.#history.length
  }

  /**
   * Says something and waits for the answer; tools that are called are run on the way. A turn that fails or is cancelled is
   * forgotten: the conversation is as before it.
   * @throws like `QwenVL.chat()`
   */
  async send(...content: readonly ChatContent[]): Promise<RunResult> {
    return this.stream(content).result
  }

  /** As `send`, streamed and with options for this turn. */
  stream(
    content: ChatContent | readonly ChatContent[],
    options: TurnOptions = {},
  ): GenerationStream<RunResult> {
    const settings = checkTurnOptions({ ...this.#defaults, ...options })
    const said = saidBy(content)
    const before = [...this.#running]
    const stream = new GenerationStream(async (push, signal) => {
      // This turn needs the answers before it. Asking for a result takes the brake off an answer that nobody reads.
      await abortable(Promise.allSettled(before.map(({ result }) => result)), signal)
      const { result, history } = await this.#maker.requests.run('turn', push, (watched) =>
        run(this.#maker, [...this.#history, ...said], settings, watched, signal, this.#pictures),
      )
      if (result.finishReason !== 'cancelled') this.#history = history
      return result
    }, settings.signal)
    const ended = () => this.#running.delete(stream)
    this.#running.add(stream)
    stream.settled.then(ended, ended)
    return stream
  }

  /**
   * A second chat that goes on from here, without the turns that have not ended. What was computed so far is computed for
   * both.
   */
  fork(): Chat {
    return new Chat(this.#maker, {
      history: this.#history,
      defaults: this.#defaults,
      pictures: this.#pictures,
    })
  }

  /**
   * Writes the conversation with its pictures and videos as the model saw them, for `QwenVL.loadChat()`; its options are
   * not part of it. Waits for turns that have not ended. An existing file is replaced at once or not at all.
   * @throws ImageError, VideoError for media that were never read; ChatFileError CHAT_NOT_WRITABLE; AbortError
   */
  async save(file: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'a path', file)
    await abortable(Promise.allSettled([...this.#running].map(({ result }) => result)), signal)
    const history = this.#history
    const media = history.flatMap(({ parts }) =>
      parts.filter((part): part is MediaPart => part.type !== 'text'),
    )
    const prepared = await readMedia(this.#maker, media, signal, this.#pictures)
    const byPart = new Map(media.map((part, index) => [part, prepared[index]]))
    await writeChatFile(file, this.#maker, history, (part) => byPart.get(part), signal)
  }
}

/** A message of the user, or messages that were given whole. @throws InvalidArgumentError */
function saidBy(content: ChatContent | readonly ChatContent[]): NormalisedMessage[] {
  const given: readonly unknown[] = Array.isArray(content) ? content : [content]
  if (!given.some(isMessage)) return normaliseMessages([{ role: 'user', content }])
  for (const [index, each] of given.entries()) {
    if (!isMessage(each) || (each.role !== 'tool' && each.role !== 'user'))
      throw invalidArgument(
        `content[${index}]`,
        'a message of the user or of a tool, as the others are',
        each,
      )
  }
  return normaliseMessages(given)
}

function isMessage(value: unknown): value is { readonly role: unknown } {
  return typeof value === 'object' && value !== null && 'role' in value
}
