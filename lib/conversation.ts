/** A conversation → the prompt that the engine takes: media read and sized, template rendered, text tokenised. */
import { availableParallelism } from 'node:os'
import type { Engine } from './engine/engine'
import { resizeBicubic, resizeFrame } from './engine/engine'
import { ContextOverflowError, QwenVLError, UnsupportedModelError, invalidArgument } from './errors'
import { videoPad, visionEnd, visionStart } from './generations'
import { encoderBytes } from './cost'
import type { EncoderShape } from './cost'
import type { Generation, VideoRules } from './generations'
import type { Grid, ImageGeometry, Size } from './media/geometry'
import { inspectImage, prepareImage } from './media/image'
import type { PreparedImage } from './media/image'
import type { SourceOptions } from './media/source'
import { inspectVideo, prepareVideo } from './media/video'
import type { InspectedVideo, PreparedVideo, VideoReading } from './media/video'
import { temporalPatch } from './media/videosampling'
import type { VideoGeometry } from './media/videosize'
import type { LoadOptions } from './options'
import { placePairs } from './prompt/clips'
import type { ImageEmbedding, ImageOptions } from './prompt/messages'
import type { TimeOffset } from './prompt/mrope'
import type { NormalisedMessage, NormalisedPart } from './prompt/normalise'
import type { ChatTemplate, Piece, RenderOptions } from './prompt/template'
import { countCells, tokenisePrompt } from './prompt/tokens'
import type { Medium, TokenisedPrompt } from './prompt/tokens'
import type { ImageReport, VideoReport } from './stream'

type ImagePart = Extract<NormalisedPart, { type: 'image' }>
type VideoPart = Extract<NormalisedPart, { type: 'video' }>
type MediaPart = Exclude<NormalisedPart, { type: 'text' }>
type PreparedMedium = PreparedImage | PreparedVideo | ImageEmbedding
/** What is known of a picture or video before it is encoded. */
type Unencoded<Report> = Omit<Report, 'encodeMs' | 'cached'>

/** What a prompt is made with. */
export interface PromptMaker {
  readonly engine: Engine
  readonly generation: Generation
  readonly template: ChatTemplate
  readonly padToken: number
  /** Sizes of the encoder, and the largest processed area that it has memory for. Undefined without a projector. */
  readonly encoder: (EncoderShape & { readonly affordablePixels: number }) | undefined
  readonly options: LoadOptions
}

export interface PreparedPrompt extends TokenisedPrompt {
  /** The rendered template, pictures and videos as one placeholder each. */
  readonly text: string
  /** In the order of the conversation. */
  readonly images: ReadonlyArray<Unencoded<ImageReport>>
  readonly videos: ReadonlyArray<Unencoded<VideoReport>>
  /** What the engine encodes, in its order: pictures, and of videos every pair of frames. */
  readonly encodings: ReadonlyArray<{ readonly type: 'image' | 'video'; readonly index: number }>
  /** Milliseconds for reading, decoding and resizing all pictures and videos. */
  readonly decodeImageMs: number
}

/** What a picture becomes and takes, known from its header. */
export interface ImageCost {
  /** Size of the upright original, and what the model sees of it, in pixels. */
  readonly original: Size
  readonly processed: Size
  readonly grid: Grid
  /** Tokens in the prompt. */
  readonly tokens: number
  /** Memory that the encoder takes for it, in bytes: an upper bound within about a fifth. */
  readonly encoderBytes: number
}

/** Pictures and videos that were read for an earlier turn, by their part. */
export type PictureMemory = WeakMap<MediaPart, PreparedMedium>

/**
 * @throws InvalidArgumentError, ImageError, VideoError, UnsupportedModelError PROJECTOR_MISSING, QwenVLError
 *   TEMPLATE_FAILED, ContextOverflowError for a video that could not fit, AbortError
 */
export async function preparePrompt(
  maker: PromptMaker,
  messages: readonly NormalisedMessage[],
  options: RenderOptions,
  signal: AbortSignal | undefined,
  memory: PictureMemory = new WeakMap(),
): Promise<PreparedPrompt> {
  const { engine, generation } = maker
  const rendered = maker.template.render(messages, options)
  const parts = mediaOf(maker, messages)
  const started = performance.now()
  const prepared = await mapLimited(parts, (part) => readMedium(maker, part, signal, memory))
  const decodeImageMs = performance.now() - started
  const media = prepared.map((medium) => mediumOf(medium, generation.video))
  const pieces = placeTimes(maker, rendered.pieces, prepared)
  const prompt = await tokenisePrompt(pieces, (text) => engine.tokenize(text), media, {
    mergeSize: generation.mergeSize,
    pads: { image: maker.padToken, video: prepared.some(isVideo) ? findPadToken(engine, videoPad) : -1 },
  })
  return { ...prompt, text: rendered.text, ...reportsOf(prepared), decodeImageMs }
}

/** Tokens of a conversation; media are measured by their headers, not decoded. @throws like preparePrompt */
export async function countPromptTokens(
  maker: PromptMaker,
  messages: readonly NormalisedMessage[],
  options: RenderOptions,
  signal: AbortSignal | undefined,
): Promise<number> {
  const rendered = maker.template.render(messages, options)
  const measured = await mapLimited(mediaOf(maker, messages), async (part) => {
    if (part.type === 'embedding') return part.embedding
    const reading = sourceOptions(maker, part.options, signal)
    return part.type === 'video'
      ? inspectVideo(part.source, part.options, videoGeometry(maker), reading)
      : inspectImage(part.source, geometryOf(maker, part.options), reading)
  })
  const inPairs = maker.generation.video.time === 'text'
  const counts = measured.map((medium) =>
    'times' in medium && inPairs ? medium.tokens / medium.grid.t : medium.tokens,
  )
  const pieces = placeTimes(maker, rendered.pieces, measured)
  return countCells(pieces, (text) => maker.engine.tokenize(text), counts)
}

/** Size, tokens and memory of one picture, from its header. @throws UnsupportedModelError PROJECTOR_MISSING, ImageError */
export async function measurePicture(
  maker: PromptMaker,
  { source, options }: ImagePart,
  signal: AbortSignal | undefined,
): Promise<ImageCost> {
  const encoder = encoderOf(maker)
  // Whoever asks for the cost wants to hear it of too large a picture, too.
  const geometry = { ...geometryOf(maker, options), affordablePixels: undefined }
  const measured = await inspectImage(source, geometry, sourceOptions(maker, options, signal))
  const { width, height, original, grid, tokens } = measured
  const bytes = Math.ceil(encoderBytes(encoder, width * height))
  return { original, processed: { width, height }, grid, tokens, encoderBytes: bytes }
}

/** @throws UnsupportedModelError PROJECTOR_MISSING */
export function encoderOf({ encoder }: PromptMaker): NonNullable<PromptMaker['encoder']> {
  if (encoder) return encoder
  throw new UnsupportedModelError(
    'PROJECTOR_MISSING',
    'Pictures need a projector. Pass `mmproj` to QwenVL.load().',
  )
}

/** Reads one picture and brings it to the size that the encoder takes. */
export async function readPicture(
  maker: PromptMaker,
  picture: ImagePart,
  signal: AbortSignal | undefined,
  memory?: PictureMemory,
): Promise<PreparedImage> {
  const known = memory?.get(picture)
  if (known && 'pixels' in known) return known
  const geometry = geometryOf(maker, picture.options)
  const prepared = await prepareImage(
    picture.source,
    geometry,
    resizeBicubic,
    sourceOptions(maker, picture.options, signal),
  )
  memory?.set(picture, prepared)
  return prepared
}

async function readMedium(
  maker: PromptMaker,
  part: MediaPart,
  signal: AbortSignal | undefined,
  memory: PictureMemory,
): Promise<PreparedMedium> {
  if (part.type === 'embedding') return checkWidth(maker, part.embedding)
  return part.type === 'video'
    ? readVideo(maker, part, signal, memory)
    : readPicture(maker, part, signal, memory)
}

async function readVideo(
  maker: PromptMaker,
  part: VideoPart,
  signal: AbortSignal | undefined,
  memory: PictureMemory,
): Promise<PreparedVideo> {
  const known = memory.get(part)
  if (known && isVideo(known)) return known
  const prepared = await prepareVideo(
    part.source,
    part.options,
    videoGeometry(maker),
    { picture: resizeBicubic, frame: resizeFrame },
    sourceOptions(maker, {}, signal),
    (video) => refuseTooLong(maker, video),
  )
  memory.set(part, prepared)
  return prepared
}

/** Decoding takes minutes and the memory of all its frames: not for a video that cannot fit. */
function refuseTooLong({ engine }: PromptMaker, { tokens, frames }: InspectedVideo): void {
  const { contextSize } = engine.info
  if (tokens < contextSize) return
  throw new ContextOverflowError(
    'CONTEXT_OVERFLOW',
    `The video takes ${tokens} tokens with ${frames} frames, the context holds ${contextSize}. Lower \`totalPixels\`, ` +
      '`maxPixels`, `maxFrames` or `fps` of the video, or load with a larger `contextSize`.',
    { details: { promptTokens: tokens, contextSize, frames } },
  )
}

function mediaOf({ engine }: PromptMaker, messages: readonly NormalisedMessage[]): MediaPart[] {
  const media = messages
    .flatMap(({ parts }) => parts)
    .filter((part): part is MediaPart => part.type !== 'text')
  if (media.length > 0 && !engine.info.hasVision) {
    throw new UnsupportedModelError(
      'PROJECTOR_MISSING',
      'The conversation has pictures or videos, but the model was loaded without a projector. Pass `mmproj` to ' +
        'QwenVL.load().',
    )
  }
  return media
}

/** The seconds of frame pairs, for generations that read them. */
function placeTimes(
  { engine, generation }: PromptMaker,
  pieces: readonly Piece[],
  media: ReadonlyArray<InspectedVideo | object>,
): readonly Piece[] {
  const videos = media.flatMap((medium, index) => ('times' in medium ? [[index, medium.times] as const] : []))
  if (generation.video.time !== 'text' || videos.length === 0) return pieces
  const tokens = { start: findPadToken(engine, visionStart), end: findPadToken(engine, visionEnd) }
  return placePairs(pieces, new Map(videos), tokens)
}

function videoGeometry({ generation, options }: PromptMaker): VideoGeometry {
  const { patchSize, mergeSize, video } = generation
  const { processor, minPixels, maxPixels } = video
  return {
    patchSize,
    mergeSize,
    processor,
    minPixels,
    maxPixels,
    reference: options.reference ?? 'qwen-vl-utils',
  }
}

function geometryOf({ generation, options, encoder }: PromptMaker, picture: ImageOptions): ImageGeometry {
  const affordable = encoder?.affordablePixels ?? Infinity
  const most = options.largeImages === 'shrink' ? affordable : Infinity
  const minPixels =
    picture.minPixels ?? Math.min(options.minPixels ?? generation.minPixels, picture.maxPixels ?? Infinity)
  const maxPixels =
    picture.maxPixels ?? Math.max(options.maxPixels ?? generation.maxPixels, picture.minPixels ?? 0)
  return {
    patchSize: generation.patchSize,
    mergeSize: generation.mergeSize,
    minPixels: Math.min(minPixels, most),
    maxPixels: Math.min(maxPixels, most),
    affordablePixels: affordable,
    resizedHeight: picture.resizedHeight,
    resizedWidth: picture.resizedWidth,
    reference: options.reference,
  }
}

function sourceOptions(
  { options }: PromptMaker,
  picture: ImageOptions,
  signal: AbortSignal | undefined,
): SourceOptions & VideoReading {
  return {
    ffmpegPath: options.ffmpegPath,
    maxBytes: options.maxImageBytes,
    maxInputPixels: options.maxInputPixels,
    timeoutMs: options.imageTimeoutMs,
    allowPrivateAddresses: options.allowPrivateAddresses,
    page: picture.page,
    signal,
  }
}

function checkWidth({ engine }: PromptMaker, embedding: ImageEmbedding): ImageEmbedding {
  const { embeddingWidth } = engine.info
  if (embedding.width === embeddingWidth) return embedding
  throw invalidArgument(
    'embedding',
    `of width ${embeddingWidth}, as this model's own embedImage() makes it`,
    embedding.width,
  )
}

function isVideo(medium: PreparedMedium): medium is PreparedVideo {
  return 'pairs' in medium
}

function mediumOf(medium: PreparedMedium, rules: VideoRules): Medium {
  const { grid, tokens: count } = medium
  if ('data' in medium) return { grid, count, hash: medium.hash, embedding: medium.data }
  const { width, height } = medium
  if (!isVideo(medium)) return { grid, count, hash: medium.hash, pixels: medium.pixels, width, height }
  return { grid, count, pairs: medium.pairs, width, height, timeOffset: timeOffset(medium, rules) }
}

/** Place of a pair on the time axis, in the reference's precision: the product is cut off, not rounded. */
function timeOffset({ sampleFps }: PreparedVideo, { time, ticksPerSecond }: VideoRules): TimeOffset {
  if (time !== 'seconds') return (index) => index
  const { fround } = Math
  const secondsPerPair = fround(temporalPatch / sampleFps)
  return (index) => Math.trunc(fround(fround(index * secondsPerPair) * ticksPerSecond))
}

function reportsOf(
  prepared: readonly PreparedMedium[],
): Pick<PreparedPrompt, 'images' | 'videos' | 'encodings'> {
  const images: Array<Unencoded<ImageReport>> = []
  const videos: Array<Unencoded<VideoReport>> = []
  const encodings: Array<PreparedPrompt['encodings'][number]> = []
  for (const medium of prepared) {
    if (isVideo(medium)) {
      encodings.push(...medium.pairs.map(() => ({ type: 'video' as const, index: videos.length })))
      videos.push(videoReportOf(medium))
    } else {
      encodings.push({ type: 'image', index: images.length })
      images.push(reportOf(medium))
    }
  }
  return { images, videos, encodings }
}

function videoReportOf(video: PreparedVideo): Unencoded<VideoReport> {
  const { original, width, height, grid, tokens, frames, sampleFps, times } = video
  return { original, processed: { width, height }, grid, tokens, frames, sampleFps, times }
}

function reportOf(picture: PreparedImage | ImageEmbedding): Unencoded<ImageReport> {
  const { grid, tokens, original } = picture
  const processed = 'data' in picture ? picture.processed : { width: picture.width, height: picture.height }
  return { ...(original && { original }), processed, grid, tokens }
}

/** Like Promise.all, but not all at once: a decoded picture may take hundreds of megabytes. */
async function mapLimited<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length)
  const queue = items.entries()
  const workers = Array.from({ length: Math.min(items.length, availableParallelism(), 4) }, async () => {
    for (const [index, item] of queue) results[index] = await work(item)
  })
  await Promise.all(workers)
  return results
}

/** Id of a control token that Qwen-VL needs. @throws UnsupportedModelError when the vocabulary has none. */
export function findPadToken(engine: Engine, text: string): number {
  const token = engine.info.controlTokens.find((candidate) => candidate.text === text)
  if (token) return token.id
  throw new QwenVLError(
    'UNSUPPORTED_MODEL',
    `The model's vocabulary has no ${text} token: it is no Qwen-VL model.`,
  )
}
