/** A conversation → the prompt that the engine takes: media read and sized, template rendered, text tokenised. */
import type { KeepEmbedding } from './engine/binding'
import type { Engine } from './engine/engine'
import { QwenVLError, UnsupportedModelError } from './errors'
import { videoPad, visionEnd, visionStart } from './generations'
import type { VideoRules } from './generations'
import type { Size } from './media/geometry'
import type { PreparedImage } from './media/image'
import type { InspectedVideo, PreparedVideo } from './media/video'
import { temporalPatch } from './media/videosampling'
import { placePairs } from './prompt/clips'
import type { ImageEmbedding, VideoEmbedding } from './prompt/messages'
import type { TimeOffset } from './prompt/mrope'
import type { NormalisedMessage } from './prompt/normalise'
import type { ChatTemplate, Piece, RenderOptions } from './prompt/template'
import { countCells, tokenisePrompt } from './prompt/tokens'
import type { Medium, TokenisedPrompt } from './prompt/tokens'
import { inspectMedia, keepOf, readMedia } from './reading'
import type { MediaPart, MediaReader, PictureMemory, PreparedMedium } from './reading'
import type { ImageReport, VideoReport } from './stream'

/** What is known of a picture or video before it is encoded. */
type Unencoded<Report> = Omit<Report, 'encodeMs' | 'cached' | 'source' | 'encodedPairs'>

/** What a prompt is made with. */
export interface PromptMaker extends MediaReader {
  readonly template: ChatTemplate
  readonly padToken: number
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
  const prepared = await readMedia(maker, parts, signal, memory)
  const decodeImageMs = performance.now() - started
  const media = prepared.map((medium, index) => mediumOf(medium, generation.video, keepOf(parts[index])))
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
  const measured = await inspectMedia(maker, mediaOf(maker, messages), signal)
  const inPairs = maker.generation.video.time === 'text'
  const counts = measured.map((medium) =>
    'times' in medium && inPairs ? medium.tokens / medium.grid.t : medium.tokens,
  )
  const pieces = placeTimes(maker, rendered.pieces, measured)
  return countCells(pieces, (text) => maker.engine.tokenize(text), counts)
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

function isVideo(medium: PreparedMedium): medium is PreparedVideo | VideoEmbedding {
  return 'times' in medium
}

function mediumOf(medium: PreparedMedium, rules: VideoRules, cache: KeepEmbedding): Medium {
  const { grid, tokens: count } = medium
  if (isVideo(medium)) {
    const { width, height } = processedSize(medium)
    const pairs = 'pairs' in medium ? medium.pairs : encodedPairs(medium)
    return { grid, count, pairs, width, height, cache, timeOffset: timeOffset(medium, rules) }
  }
  if ('data' in medium) return { grid, count, hash: medium.hash, embedding: medium.data }
  const { width, height, hash, pixels } = medium
  return { grid, count, hash, pixels, width, height, cache }
}

function encodedPairs({ data, hashes }: VideoEmbedding) {
  const values = data.length / hashes.length
  return hashes.map((hash, pair) => ({ hash, embedding: data.subarray(pair * values, (pair + 1) * values) }))
}

/** Place of a pair on the time axis, in the reference's precision: the product is cut off, not rounded. */
function timeOffset(
  { sampleFps }: Pick<PreparedVideo, 'sampleFps'>,
  { time, ticksPerSecond }: VideoRules,
): TimeOffset {
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
      encodings.push(...medium.times.map(() => ({ type: 'video' as const, index: videos.length })))
      videos.push(videoReportOf(medium))
    } else {
      encodings.push({ type: 'image', index: images.length })
      images.push(reportOf(medium))
    }
  }
  return { images, videos, encodings }
}

function videoReportOf(video: InspectedVideo | VideoEmbedding): Unencoded<VideoReport> {
  const { original, grid, tokens, frames, sampleFps, times } = video
  return { original, processed: processedSize(video), grid, tokens, frames, sampleFps, times }
}

function reportOf(picture: PreparedImage | ImageEmbedding): Unencoded<ImageReport> {
  const { grid, tokens, original } = picture
  return { ...(original && { original }), processed: processedSize(picture), grid, tokens }
}

/** Of an embedding, `width` is something else. */
function processedSize(medium: Size | ImageEmbedding | VideoEmbedding): Size {
  return 'processed' in medium ? medium.processed : { width: medium.width, height: medium.height }
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
