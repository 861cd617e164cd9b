/** A conversation → the prompt that the engine takes: pictures read and sized, template rendered, text tokenised. */
import { availableParallelism } from 'node:os'
import type { Engine } from './engine/engine'
import { resizeBicubic } from './engine/engine'
import { QwenVLError, UnsupportedModelError, invalidArgument } from './errors'
import type { Generation } from './generations'
import type { ImageGeometry } from './media/geometry'
import { inspectImage, prepareImage } from './media/image'
import type { PreparedImage } from './media/image'
import type { SourceOptions } from './media/source'
import type { LoadOptions } from './options'
import type { ImageEmbedding, ImageOptions } from './prompt/messages'
import type { NormalisedMessage, NormalisedPart } from './prompt/normalise'
import type { ChatTemplate, RenderOptions, RenderedPrompt } from './prompt/template'
import { countCells, tokenisePrompt } from './prompt/tokens'
import type { Medium, TokenisedPrompt } from './prompt/tokens'
import type { ImageReport } from './stream'

type ImagePart = Extract<NormalisedPart, { type: 'image' }>
type Picture = Exclude<NormalisedPart, { type: 'text' }>

/** What a prompt is made with. */
export interface PromptMaker {
  readonly engine: Engine
  readonly generation: Generation
  readonly template: ChatTemplate
  readonly padToken: number
  readonly options: LoadOptions
}

export interface PreparedPrompt extends TokenisedPrompt {
  /** The rendered template, pictures as one placeholder each. */
  readonly text: string
  /** In the order of the conversation. */
  readonly images: ReadonlyArray<Omit<ImageReport, 'encodeMs' | 'cached'>>
  /** Milliseconds for reading, decoding and resizing all pictures. */
  readonly decodeImageMs: number
}

/** Pictures that were read for an earlier turn, by their part. */
export type PictureMemory = WeakMap<ImagePart, PreparedImage>

/**
 * @throws InvalidArgumentError, ImageError, UnsupportedModelError PROJECTOR_MISSING, QwenVLError TEMPLATE_FAILED,
 *   AbortError
 */
export async function preparePrompt(
  maker: PromptMaker,
  messages: readonly NormalisedMessage[],
  options: RenderOptions,
  signal: AbortSignal | undefined,
  memory: PictureMemory = new WeakMap(),
): Promise<PreparedPrompt> {
  const rendered = render(maker, messages, options)
  const pictures = picturesOf(maker, messages)
  const started = performance.now()
  const prepared = await mapLimited(pictures, async (picture) =>
    picture.type === 'embedding'
      ? checkWidth(maker, picture.embedding)
      : readPicture(maker, picture, signal, memory),
  )
  const decodeImageMs = performance.now() - started
  const media = prepared.map(mediumOf)
  const { mergeSize } = maker.generation
  const prompt = await tokenisePrompt(rendered.pieces, (text) => maker.engine.tokenize(text), media, {
    mergeSize,
    padToken: maker.padToken,
  })
  return { ...prompt, text: rendered.text, images: prepared.map(reportOf), decodeImageMs }
}

/** Tokens of a conversation; pictures are measured by their headers, not decoded. @throws like preparePrompt */
export async function countPromptTokens(
  maker: PromptMaker,
  messages: readonly NormalisedMessage[],
  options: RenderOptions,
  signal: AbortSignal | undefined,
): Promise<number> {
  const rendered = render(maker, messages, options)
  const counts = await mapLimited(picturesOf(maker, messages), async (picture) => {
    if (picture.type === 'embedding') return picture.embedding.tokens
    const geometry = geometryOf(maker, picture.options)
    return (await inspectImage(picture.source, geometry, sourceOptions(maker, picture.options, signal)))
      .tokens
  })
  return countCells(rendered.pieces, (text) => maker.engine.tokenize(text), counts)
}

/** Reads one picture and brings it to the size that the encoder takes. */
export async function readPicture(
  maker: PromptMaker,
  picture: ImagePart,
  signal: AbortSignal | undefined,
  memory?: PictureMemory,
): Promise<PreparedImage> {
  const known = memory?.get(picture)
  if (known) return known
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

function render(
  { template }: PromptMaker,
  messages: readonly NormalisedMessage[],
  options: RenderOptions,
): RenderedPrompt {
  return template.render(messages, options)
}

function picturesOf({ engine }: PromptMaker, messages: readonly NormalisedMessage[]): Picture[] {
  const pictures = messages
    .flatMap(({ parts }) => parts)
    .filter((part): part is Picture => part.type !== 'text')
  if (pictures.length > 0 && !engine.info.hasVision) {
    throw new UnsupportedModelError(
      'PROJECTOR_MISSING',
      'The conversation has pictures, but the model was loaded without a projector. Pass `mmproj` to QwenVL.load().',
    )
  }
  return pictures
}

function geometryOf({ generation, options }: PromptMaker, picture: ImageOptions): ImageGeometry {
  return {
    patchSize: generation.patchSize,
    mergeSize: generation.mergeSize,
    minPixels:
      picture.minPixels ?? Math.min(options.minPixels ?? generation.minPixels, picture.maxPixels ?? Infinity),
    maxPixels:
      picture.maxPixels ?? Math.max(options.maxPixels ?? generation.maxPixels, picture.minPixels ?? 0),
    resizedHeight: picture.resizedHeight,
    resizedWidth: picture.resizedWidth,
    reference: options.reference,
  }
}

function sourceOptions(
  { options }: PromptMaker,
  picture: ImageOptions,
  signal: AbortSignal | undefined,
): SourceOptions {
  return {
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

function mediumOf(picture: PreparedImage | ImageEmbedding): Medium {
  const { grid, tokens: count, hash } = picture
  if ('data' in picture) return { grid, count, hash, embedding: picture.data }
  return { grid, count, hash, pixels: picture.pixels, width: picture.width, height: picture.height }
}

function reportOf(picture: PreparedImage | ImageEmbedding): Omit<ImageReport, 'encodeMs' | 'cached'> {
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

/** Id of the picture placeholder. @throws UnsupportedModelError when the vocabulary has none. */
export function findPadToken(engine: Engine, text: string): number {
  const token = engine.info.controlTokens.find((candidate) => candidate.text === text)
  if (token) return token.id
  throw new QwenVLError(
    'UNSUPPORTED_MODEL',
    `The model's vocabulary has no ${text} token: it is no Qwen-VL model.`,
  )
}
