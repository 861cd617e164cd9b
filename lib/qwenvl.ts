/** A loaded model and everything that can be asked of it. */
import { resolve } from 'node:path'
import { answer, renderOptions } from './answer'
import { Chat } from './chat'
import type { ChatOptions } from './chat'
import { countPromptTokens, findPadToken, preparePrompt } from './conversation'
import type { PreparedPrompt, PromptMaker } from './conversation'
import { embedClip, embedPicture, measureClip, measurePicture } from './encoding'
import type { ImageCost, VideoCost } from './encoding'
import { affordablePixels, encoderShape, freeMemory } from './cost'
import { usualContext, withDeclared } from './declared'
import type { CacheStats, GgufHeader } from './engine/binding'
import { Engine, initializedAddon, inspectGguf } from './engine/engine'
import type { EngineWarning } from './engine/engine'
import { estimate } from './estimate'
import { invalidArgument, throwIfAborted } from './errors'
import type { Generator } from './generate'
import { imagePad, recogniseGeneration, stopTexts } from './generations'
import type { Generation, GenerationId, SamplingDefaults } from './generations'
import { encoderIdentity } from './identity'
import { temporalPatch } from './media/videosampling'
import { localFiles } from './models/local'
import { pull } from './models/pull'
import { checkGenerateOptions, checkLoadOptions, checkRunOptions } from './options'
import type { GenerateOptions, LoadOptions, RunOptions } from './options'
import type { OutputSchema, ValueOf } from './output/schema'
import type { ContentPart, ImageEmbedding, MessagesInput, VideoEmbedding } from './prompt/messages'
import { normaliseContent, normaliseMessages } from './prompt/normalise'
import { ChatTemplate } from './prompt/template'
import { run } from './run'
import type { RunResult } from './run'
import { checkModelNumbers, checkProjectorTensors } from './soundness'
import { GenerationStream } from './stream'
import type { GenerationResult } from './stream'

const defaultBatchSize = 512
const defaultParallel = 4
const defaultStepMs = 100
const defaultCacheBytes = 256e6
const defaultCacheDirBytes = 4e9

/** Facts of a loaded model. */
export interface ModelInfo {
  readonly generation: GenerationId
  /** E.g. "Qwen2.5-VL". */
  readonly generationName: string
  /** llama.cpp's line, e.g. "qwen2vl 3B Q4_K - Medium". */
  readonly description: string
  readonly parameters: number
  /** Bytes of the decoder's weights. */
  readonly modelBytes: number
  /** Tokens that fit, prompt and answer together; and what the model was trained for. */
  readonly contextSize: number
  readonly trainContextSize: number
  readonly vocabSize: number
  /** Values in a row of an image embedding. */
  readonly embeddingWidth: number
  /** Devices that decode and that encode pictures; `encoder` is undefined without a projector. */
  readonly decoder: string
  readonly encoder: string | undefined
  /** Type in which the encoder's weights are multiplied, e.g. "f16"; see the option `encoderPrecision`. */
  readonly encoderWeights: string | undefined
  readonly threads: number
  /** How pictures are sized, unless a picture says otherwise. Sides are multiples of `factor`; areas in pixels; a token covers `factor²` pixels. */
  readonly image: { readonly factor: number; readonly minPixels: number; readonly maxPixels: number }
  /** Sampling values that hold where a call gives none. */
  readonly sampling: SamplingDefaults
}

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

/** Counts since a model was loaded. */
export interface ModelStats {
  /** Pictures and pairs of frames that were looked for in the embedding cache, and what it holds in memory. */
  readonly embeddings: CacheStats
}

export class QwenVL implements AsyncDisposable {
  /** Downloads a model of Hugging Face, or finds it in the cache. */
  static readonly pull = pull
  /** What a model would take, before it is downloaded. */
  static readonly estimate = estimate

  readonly info: ModelInfo
  readonly #maker: PromptMaker & Generator

  private constructor(maker: PromptMaker & Generator) {
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
    const { signal, onProgress, flashAttention = 'auto', cacheDir } = checked
    throwIfAborted(signal)
    const { model, mmproj } = await localFiles(checked)
    const header = await inspectGguf(model)
    const projector = mmproj === undefined ? undefined : await inspectGguf(mmproj)
    const generation = withDeclared(recogniseGeneration(header, projector), header, projector)
    checkModelNumbers(header, generation)
    if (projector) checkProjectorTensors(projector, generation)
    const engine = await Engine.open(
      {
        model,
        mmproj: mmproj ?? '',
        contextSize: checked.contextSize ?? usualContext(header, generation),
        batchSize: checked.batchSize ?? defaultBatchSize,
        threads: checked.threads ?? 0,
        gpuLayers: checked.gpuLayers ?? -1,
        flashAttention,
        cacheType: checked.cacheType ?? 'f16',
        mmap: checked.mmap ?? true,
        encoderPrecision: checked.encoderPrecision ?? 'auto',
        parallel: checked.parallel ?? defaultParallel,
        deterministic: checked.deterministic ?? false,
        stepMs: checked.stepMs ?? defaultStepMs,
        cacheBytes: checked.cacheBytes ?? defaultCacheBytes,
        cacheDir: cacheDir === undefined ? '' : resolve(cacheDir),
        cacheDirBytes: checked.cacheDirBytes ?? defaultCacheDirBytes,
        encoderIdentity:
          mmproj !== undefined && projector && cacheDir
            ? await encoderIdentity(mmproj, projector, { flashAttention })
            : '',
      },
      { signal, onProgress, onWarning: checked.onWarning ?? emitWarning },
    )
    try {
      const own = header.metadata['tokenizer.chat_template']
      const source = checked.chatTemplate ?? (typeof own === 'string' ? own : generation.chatTemplate)
      return new QwenVL({
        engine,
        generation,
        template: new ChatTemplate(source, engine.info.controlTokens, generation.tools),
        padToken: findPadToken(engine, imagePad),
        encoder: projector && measuredEncoder(engine, generation, projector, checked),
        stopTokens: engine.info.controlTokens
          .filter(({ text }) => stopTexts.includes(text))
          .map(({ id }) => id),
        sampling: generation.sampling,
        options: checked,
      })
    } catch (error) {
      await engine.close()
      throw error
    }
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
    const settings = checkGenerateOptions(options)
    const normalised = normaliseMessages(messages)
    return new GenerationStream(async (push, signal) => {
      const { result } = await answer(this.#maker, normalised, settings, push, signal)
      return result as GenerationResult<ValueOf<Schema>>
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
      const { result } = await run(this.#maker, normalised, settings, push, signal)
      return result as RunResult<ValueOf<Schema>>
    }, settings.signal)
  }

  /** Starts a conversation that remembers its turns. @throws InvalidArgumentError */
  createChat(options: ChatOptions = {}): Chat {
    return new Chat(this.#maker, options)
  }

  /**
   * What the vision encoder makes of one picture. The result is a message part: the encoding is paid once.
   * @throws InvalidArgumentError, ImageError, UnsupportedModelError PROJECTOR_MISSING, AbortError
   */
  async embedImage(
    picture: ContentPart,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ImageEmbedding> {
    throwIfAborted(signal)
    const [part] = normaliseContent([picture], 'picture')
    if (part?.type === 'embedding') return part.embedding
    if (part?.type !== 'image') throw invalidArgument('picture', 'a picture: image(source)', picture)
    return embedPicture(this.#maker, part, signal)
  }

  /**
   * What the vision encoder makes of one video. The result is a message part: decoding and encoding are paid once.
   * @throws InvalidArgumentError, VideoError, ImageError, UnsupportedModelError PROJECTOR_MISSING, ContextOverflowError
   *   for a video that no prompt could hold, AbortError
   */
  async embedVideo(
    clip: ContentPart,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<VideoEmbedding> {
    throwIfAborted(signal)
    const [part] = normaliseContent([clip], 'clip')
    if (part?.type === 'video_embedding') return part.embedding
    if (part?.type !== 'video') throw invalidArgument('clip', 'a video: video(source)', clip)
    return embedClip(this.#maker, part, signal)
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
    return { embeddings: this.#maker.engine.cacheStats() }
  }

  /** Cancels what runs and frees the model's memory now, not at some garbage collection. Idempotent. */
  async dispose(): Promise<void> {
    await this.#maker.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

function infoOf({ engine, generation, options, sampling }: PromptMaker & Generator): ModelInfo {
  const { info } = engine
  return {
    generation: generation.id,
    generationName: generation.name,
    description: info.description,
    parameters: info.parameters,
    modelBytes: info.modelBytes,
    contextSize: info.contextSize,
    trainContextSize: info.trainContextSize,
    vocabSize: info.vocabSize,
    embeddingWidth: info.embeddingWidth,
    decoder: info.decoderDevice,
    encoder: info.hasVision ? info.encoderDevice : undefined,
    encoderWeights: info.hasVision ? info.encoderWeights : undefined,
    threads: info.threads,
    image: imageSizes(generation, options),
    sampling,
  }
}

function emitWarning({ code, message }: EngineWarning): void {
  process.emitWarning(message, { type: 'QwenVLWarning', code })
}

function measuredEncoder(
  { info }: Engine,
  generation: Generation,
  projector: GgufHeader,
  { encoderMemory, flashAttention }: LoadOptions,
): NonNullable<PromptMaker['encoder']> {
  const shape = encoderShape(projector, generation, {
    rowWidth: info.embeddingWidth,
    flashAttention: flashAttention !== 'off',
  })
  const device = initializedAddon()
    .devices()
    .find(({ description }) => description === info.encoderDevice)
  const bytes = encoderMemory ?? freeMemory(device)
  const affordable = {
    picture: affordablePixels(shape, bytes),
    frame: affordablePixels(shape, bytes, temporalPatch),
  }
  return { ...shape, affordable }
}

function imageSizes(generation: Generation, options: LoadOptions): ModelInfo['image'] {
  const { factor, minPixels, maxPixels } = generation
  return { factor, minPixels: options.minPixels ?? minPixels, maxPixels: options.maxPixels ?? maxPixels }
}

/** Async functions never throw synchronously. */
function promised<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}
