/** One conversation of several turns. Only what is new is computed: the engine keeps the KV cells of earlier turns. */
import type { Answerer } from './answer'
import { messagesOf, writeChatFile } from './chatfile'
import type { ChatFile, SavedChat } from './chatfile'
import { invalidArgument } from './errors'
import { abortable } from './media/abort'
import { checkTurnOptions } from './checks'
import type { TurnOptions } from './options'
import type { ContentPart, Message } from './prompt/messages'
import { normaliseMessages } from './prompt/normalise'
import type { NormalisedMessage } from './prompt/normalise'
import type { QwenVL } from './qwenvl'
import { readMedia } from './reading'
import type { MediaPart, PictureMemory } from './reading'
import { run } from './run'
import type { RunResult } from './run'
import { appendState, takeState } from './state'
import { GenerationStream } from './stream'

/** How a chat starts; the rest are defaults for every turn. */
export interface ChatOptions extends Omit<TurnOptions, 'signal'> {
  /** System message. */
  readonly system?: string
  /** Turns that were held before. */
  readonly messages?: readonly Message[]
}

/** How a saved chat goes on: defaults for every turn. */
export type LoadedChatOptions = Omit<ChatOptions, 'system' | 'messages'>

/** What is said: parts of a message of the user, or whole messages, such as results of tools. */
export type ChatContent = string | ContentPart | Message

interface State {
  readonly model: QwenVL
  readonly history: readonly NormalisedMessage[]
  readonly defaults: TurnOptions
  readonly pictures: PictureMemory
}

export interface SaveOptions {
  /** Keep the KV memory too. Default false. */
  readonly kv?: boolean
  /** Stops saving. */
  readonly signal?: AbortSignal
}

export class Chat {
  /** What answers. A chat does not dispose of it. */
  readonly model: QwenVL
  readonly #maker: Answerer
  readonly #defaults: TurnOptions
  #history: readonly NormalisedMessage[]
  readonly #pictures: PictureMemory
  /** Turns that have not ended. */
  readonly #running = new Set<GenerationStream<RunResult>>()

  private constructor(maker: Answerer, { model, history, defaults, pictures }: State) {
    this.model = model
    this.#maker = maker
    this.#history = history
    this.#defaults = defaults
    this.#pictures = pictures
  }

  /** @internal Use `QwenVL.createChat()`. */
  static begin(model: QwenVL, maker: Answerer, options: ChatOptions): Chat {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object', options)
    const { system, messages = [], ...defaults } = options
    if (!Array.isArray(messages)) throw invalidArgument('messages', 'an array of messages', messages)
    const opening: readonly Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
    const all = [...opening, ...(messages as readonly Message[])]
    return new Chat(maker, {
      model,
      history: all.length > 0 ? normaliseMessages(all) : [],
      defaults: checkTurnOptions(defaults),
      pictures: new WeakMap(),
    })
  }

  /** @internal Use `QwenVL.loadChat()`. @param defaults As `checkTurnOptions` lets them through. */
  static async load(model: QwenVL, maker: Answerer, file: ChatFile, defaults: TurnOptions): Promise<Chat> {
    const pictures: PictureMemory = new WeakMap()
    const history = messagesOf(file, maker, pictures)
    const { path, stateOffset } = file
    if (stateOffset !== undefined) await takeState(maker, path, stateOffset)
    return new Chat(maker, { model, history, defaults, pictures })
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
      model: this.model,
      history: this.#history,
      defaults: this.#defaults,
      pictures: this.#pictures,
    })
  }

  /**
   * Writes the conversation with its pictures and videos as the model saw them, for `QwenVL.loadChat()`; its options are
   * not part of it. Waits for turns that have not ended. An existing file is replaced at once or not at all.
   *
   * `kv` keeps what was computed too, and computes what was not: a loaded chat then answers at once. That takes some 30 kB
   * (2B) to 150 kB (8B) for each token, less with `cacheType: 'q8_0'`; of hybrid models also 20 to 150 MB for each state.
   * @throws ImageError, VideoError for media that were never read; ChatFileError CHAT_NOT_WRITABLE; AbortError; with `kv`
   *   whatever a turn throws
   */
  async save(file: string, { signal, kv = false }: SaveOptions = {}): Promise<SavedChat> {
    if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'a path', file)
    await abortable(Promise.allSettled([...this.#running].map(({ result }) => result)), signal)
    const history = this.#history
    const media = history.flatMap(({ parts }) =>
      parts.filter((part): part is MediaPart => part.type !== 'text'),
    )
    const prepared = await readMedia(this.#maker, media, signal, this.#pictures)
    const byPart = new Map(media.map((part, index) => [part, prepared[index]]))
    const maker = this.#maker
    const keep = (path: string) =>
      maker.requests.run('save', ignore, () =>
        appendState(maker, path, history, this.#defaults, this.#pictures, signal),
      )
    return writeChatFile(file, maker, history, (part) => byPart.get(part), signal, kv ? keep : undefined)
  }
}

/** Saving has no parts. */
const ignore = () => undefined

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
