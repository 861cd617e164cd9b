/** A loaded model and everything that can be asked of it. */
import { answer, renderOptions } from './answer'
import type { Answerer } from './answer'
import { Batch } from './batch'
import type { BatchEntry, BatchOptions } from './batch'
import { Chat } from './chat'
import type { ChatOptions, LoadedChatOptions } from './chat'
import { readChatFile } from './chatfile'
import { countPromptTokens, preparePrompt } from './conversation'
import type { PreparedPrompt } from './conversation'
import { embedClip, embedPicture, measureClip, measurePicture } from './encoding'
import type { ImageCost, VideoCost } from './encoding'
import type { CacheStats, KvStats } from './engine/binding'
import { estimate } from './estimate'
import { invalidArgument, throwIfAborted } from './errors'
import { infoOf } from './info'
import type { ModelInfo } from './info'
import { loadAnswerer } from './load'
import { reloadOptions } from './reload'
import { pull } from './models/pull'
import {
  checkEmbedOptions,
  checkGenerateOptions,
  checkLoadOptions,
  checkRunOptions,
  checkTurnOptions,
} from './checks'
import type { EmbedOptions, GenerateOptions, LoadOptions, RunOptions } from './options'
import type { OutputSchema, ValueOf } from './output/schema'
import type { ContentPart, ImageEmbedding, MessagesInput, VideoEmbedding } from './prompt/messages'
import { normaliseContent, normaliseMessages } from './prompt/normalise'
import type { WorkStats } from './requests'
import { run } from './run'
import type { RunResult } from './run'
import { GenerationStream } from './stream'
import type { GenerationResult } from './stream'

/** What the model really sees of a conversation. */
export interface PromptInspection {
  /** The rendered chat template; a picture is one placeholder. */
  readonly text: string
  /** Ids, a picture as so many placeholder ids: the reference's `input_ids`. */
  readonly tokens: Int32Array
  /** M-RoPE positions of every id. */
  readonly positions: { readonly t: Int32Array; readonly h: Int32Array; readonly w: Int32Array }
  /** Position of the first answered token, less the number of ids: the reference's `rope_deltas`. */
  readonly ropeDelta: number
  readonly images: PreparedPrompt['images']
  readonly videos: PreparedPrompt['videos']
}

/** What happened since a model was loaded. */
export interface ModelStats extends WorkStats {
  readonly requests: WorkStats['requests'] & {
    /** Answers that are computed now. */
    readonly running: number
    /** Requests that wait for a place, for room in the KV memory, or for their reader. */
    readonly waiting: number
  }
  readonly kv: KvStats
  /** Pictures and pairs of frames that were looked for in the embedding cache, and what it holds in memory. */
  readonly embeddings: CacheStats
}

export class QwenVL implements AsyncDisposable {
  /** Downloads a model of Hugging Face, or finds it in the cache. */
  static readonly pull = pull
  /** What a model would take, before it is downloaded. */
  static readonly estimate = estimate

  readonly info: ModelInfo
  readonly #maker: Answerer

  private constructor(maker: Answerer) {
    this.#maker = maker
    this.info = infoOf(maker)
  }

  /**
   * Loads a model and its projector; those of Hugging Face are downloaded first. Without a `model` the small one that comes
   * with the package. The event loop stays free; several models may be loaded at once.
   * @param options a string is the `model`
   * @throws InvalidArgumentError for a wrong option; ModelLoadError for a missing, damaged or too large file;
   *   UnsupportedModelError for another kind of model or a projector of another model; DownloadError; AbortError
   */
  static async load(options: LoadOptions | string = {}): Promise<QwenVL> {
    const checked = checkLoadOptions(typeof options === 'string' ? { model: options } : options)
    return new QwenVL(await loadAnswerer(checked))
  }

  /**
   * Answers a conversation.
   * @throws InvalidArgumentError, ImageError, ContextOverflowError, AbortError
   */
  chat<Schema extends OutputSchema | undefined = undefined>(
    messages: MessagesInput,
    options: GenerateOptions<Schema> = {},
  ): Promise<GenerationResult<ValueOf<Schema>>> {
    return promised(() => this.stream(messages, options).result)
  }

  /** Answers a conversation as a stream that starts at once. @throws InvalidArgumentError; the rest comes from the stream */
  stream<Schema extends OutputSchema | undefined = undefined>(
    messages: MessagesInput,
    options: GenerateOptions<Schema> = {},
  ): GenerationStream<GenerationResult<ValueOf<Schema>>> {
    return this.#start(messages, checkGenerateOptions(options))
  }

  #start<Value>(
    messages: MessagesInput,
    settings: GenerateOptions,
  ): GenerationStream<GenerationResult<Value>> {
    const normalised = normaliseMessages(messages)
    return new GenerationStream(async (push, signal) => {
      const { result } = await this.#maker.requests.run('answer', push, async (watched) => {
        const prompt = await preparePrompt(this.#maker, normalised, renderOptions(settings), signal)
        return answer(this.#maker, prompt, settings, watched, signal)
      })
      return result as GenerationResult<Value>
    }, settings.signal)
  }

  /**
   * Answers with tools: runs what the model calls and tells it, until it answers. A tool without `run` ends it too: its
   * call is then the caller's to answer.
   * @throws like `chat()`; ToolError
   */
  run<Schema extends OutputSchema | undefined = undefined>(
    messages: MessagesInput,
    options: RunOptions<Schema> = {},
  ): Promise<RunResult<ValueOf<Schema>>> {
    return promised(() => this.runStream(messages, options).result)
  }

  /** As `run`, streamed: the answers one after the other, with `step` and `tool-result` parts between. */
  runStream<Schema extends OutputSchema | undefined = undefined>(
    messages: MessagesInput,
    options: RunOptions<Schema> = {},
  ): GenerationStream<RunResult<ValueOf<Schema>>> {
    const settings = checkRunOptions(options)
    const normalised = normaliseMessages(messages)
    return new GenerationStream(async (push, signal) => {
      const { result } = await this.#maker.requests.run('run', push, (watched) =>
        run(this.#maker, normalised, settings, watched, signal),
      )
      return result as RunResult<ValueOf<Schema>>
    }, settings.signal)
  }

  /**
   * Answers many conversations, several at a time. Waited for: all results in order. In a loop: one after the other, in
   * order, while the next are computed; leaving the loop cancels the rest. A conversation that fails has an `error`
   * instead of a `result`.
   * @throws InvalidArgumentError; AbortError when the signal fires
   */
  batch<Schema extends OutputSchema | undefined = undefined>(
    conversations: Iterable<BatchEntry> | AsyncIterable<BatchEntry>,
    options: BatchOptions<Schema> = {},
  ): Batch<ValueOf<Schema>> {
    const { concurrency = 2 * this.info.parallel, ...common } = options
    const settings = checkGenerateOptions(common)
    return new Batch(conversations, concurrency, settings.signal, (messages, own, rest) => {
      const asked = checkGenerateOptions({ ...common, ...own })
      const signal = own?.signal ? AbortSignal.any([rest, own.signal]) : rest
      return this.#maker.requests.whenRoom(
        signal,
        () => this.#start<ValueOf<Schema>>(messages, { ...asked, signal }).result,
      )
    })
  }

  /** Starts a conversation that remembers its turns. @throws InvalidArgumentError */
  createChat(options: ChatOptions = {}): Chat {
    return Chat.begin(this, this.#maker, options)
  }

  /**
   * Loads the model that a saved chat names, and goes on with the chat. `chat.model` is the model.
   * @param options Defaults for every turn; `load` says what to load otherwise than the chat's model was, e.g. where the
   *   file is now.
   * @throws like `load()` and `loadChat()` of a model
   */
  static async loadChat(
    file: string,
    { load = {}, ...options }: LoadedChatOptions & { readonly load?: LoadOptions } = {},
  ): Promise<Chat> {
    const defaults = checkTurnOptions(options)
    const saved = await readChatFile(file)
    const model = await QwenVL.load(reloadOptions(saved.content.load, load))
    try {
      return await Chat.load(model, model.#maker, saved, defaults)
    } catch (error) {
      await model.dispose()
      throw error
    }
  }

  /**
   * Goes on with a conversation that `Chat.save()` wrote, by a model of the same generation and vocabulary.
   * @param options Defaults for every turn, which the file has not.
   * @throws ChatFileError FILE_NOT_FOUND, CHAT_CORRUPT, CHAT_FOREIGN; InvalidArgumentError
   */
  async loadChat(file: string, options: LoadedChatOptions = {}): Promise<Chat> {
    const defaults = checkTurnOptions(options)
    return Chat.load(this, this.#maker, await readChatFile(file), defaults)
  }

  /**
   * What the vision encoder makes of one picture. The result is a message part: the encoding is paid once.
   * @throws InvalidArgumentError, ImageError, UnsupportedModelError PROJECTOR_MISSING, AbortError
   */
  async embedImage(picture: ContentPart, options: EmbedOptions = {}): Promise<ImageEmbedding> {
    const checked = checkEmbedOptions(options)
    throwIfAborted(checked.signal)
    const [part] = normaliseContent([picture], 'picture')
    if (part?.type === 'embedding') return part.embedding
    if (part?.type !== 'image') throw invalidArgument('picture', 'a picture: image(source)', picture)
    return this.#maker.requests.run('embedding', ignore, () => embedPicture(this.#maker, part, checked))
  }

  /**
   * What the vision encoder makes of one video. The result is a message part: decoding and encoding are paid once.
   * @throws InvalidArgumentError, VideoError, ImageError, UnsupportedModelError PROJECTOR_MISSING, ContextOverflowError
   *   for a video that no prompt could hold, AbortError
   */
  async embedVideo(clip: ContentPart, options: EmbedOptions = {}): Promise<VideoEmbedding> {
    const checked = checkEmbedOptions(options)
    throwIfAborted(checked.signal)
    const [part] = normaliseContent([clip], 'clip')
    if (part?.type === 'video_embedding') return part.embedding
    if (part?.type !== 'video') throw invalidArgument('clip', 'a video: video(source)', clip)
    return this.#maker.requests.run('embedding', ignore, () => embedClip(this.#maker, part, checked))
  }

  /**
   * What a picture would cost: its processed size, tokens, and memory in the encoder. Only its header is read; of a
   * stream everything. A picture that would be refused is measured too.
   * @throws InvalidArgumentError, ImageError, UnsupportedModelError PROJECTOR_MISSING, AbortError
   */
  async measureImage(
    picture: ContentPart,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ImageCost> {
    const [part] = normaliseContent([picture], 'picture')
    if (part?.type !== 'image') throw invalidArgument('picture', 'a picture: image(source)', picture)
    return measurePicture(this.#maker, part, signal)
  }

  /**
   * What a video would cost: frames, their processed size, tokens, and memory in the encoder. No frame of a file is
   * decoded; of a list the first one's header is read. A video that would be refused is measured too.
   * @throws InvalidArgumentError, VideoError, ImageError, UnsupportedModelError PROJECTOR_MISSING, AbortError
   */
  async measureVideo(
    clip: ContentPart,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<VideoCost> {
    const [part] = normaliseContent([clip], 'clip')
    if (part?.type !== 'video') throw invalidArgument('clip', 'a video: video(source)', clip)
    return measureClip(this.#maker, part, signal)
  }

  /** Tokens that a conversation takes as a prompt. Pictures are measured, not decoded. @throws like `chat()` */
  async countTokens(messages: MessagesInput, options: GenerateOptions = {}): Promise<number> {
    const settings = checkGenerateOptions(options)
    return countPromptTokens(
      this.#maker,
      normaliseMessages(messages),
      renderOptions(settings),
      settings.signal,
    )
  }

  /** What the model would see of a conversation: text, ids, positions, picture sizes. @throws like `chat()` */
  async inspect(messages: MessagesInput, options: GenerateOptions = {}): Promise<PromptInspection> {
    const settings = checkGenerateOptions(options)
    const normalised = normaliseMessages(messages)
    const prompt = await preparePrompt(this.#maker, normalised, renderOptions(settings), settings.signal)
    const { text, tokens, positions, position, cells, images, videos } = prompt
    return { text, tokens, positions, ropeDelta: position - cells, images, videos }
  }

  /** Ids of a text; what reads like a control token is text. @throws QwenVLError DISPOSED */
  tokenize(text: string): Promise<Int32Array> {
    return this.#maker.engine.tokenize(text)
  }

  /** Text of ids, control tokens too. @throws InvalidArgumentError, QwenVLError DISPOSED */
  detokenize(tokens: Int32Array): string {
    return this.#maker.engine.detokenize(tokens)
  }

  /** What happened since the model was loaded. @throws QwenVLError DISPOSED */
  stats(): ModelStats {
    const { running, waiting, kv, embeddings } = this.#maker.engine.stats()
    const { requests, ...work } = this.#maker.requests.stats
    return { requests: { ...requests, running, waiting }, ...work, kv, embeddings }
  }

  /** Cancels what runs and frees the model's memory now, not at some garbage collection. Idempotent. */
  async dispose(): Promise<void> {
    await this.#maker.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

/** An embedding has no parts. */
const ignore = () => undefined

/** Async functions never throw synchronously. */
function promised<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}
