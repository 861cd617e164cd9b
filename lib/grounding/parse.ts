/** The text of an answer → what it points at, in pixels of the original pictures. */
import { invalidArgument } from '../errors'
import type { GenerationId } from '../generations'
import type { Size } from '../media/geometry'
import { toPixels } from './coordinates'
import { coordinatesOf } from './generation'
import type { Coordinates } from './generation'
import type { GroundingItem } from './item'
import { findAll } from './syntax'

/** What is read of a `GenerationResult`; for a text from elsewhere, made by hand. */
export interface GroundedAnswer {
  readonly text: string
  /** The pictures of the conversation, in order. */
  readonly images: ReadonlyArray<{
    /** Size in pixels of the upright original. Where it is unknown, items are in pixels of `processed`. */
    readonly original?: Size | undefined
    /** Size in pixels that the model saw; needed for coordinates of the kind 'processedPixels'. */
    readonly processed?: Size | undefined
  }>
}

/** How to read an answer; `vl.info` will do. */
export interface GroundingOptions {
  readonly generation: GenerationId
  /** For a model that was trained to count otherwise than its generation. Tags are 0 to 1000 always. */
  readonly coordinates?: Coordinates | undefined
  /** The picture of items for which the model names none, from 0. Default: the latest. */
  readonly imageIndex?: number | undefined
}

/**
 * Boxes, points and quads of an answer, clamped to the picture. Reads every spelling of the Qwen-VL models, with text
 * around it, broken or cut off: what is complete is kept, and no text makes it throw. Left out is what lies outside
 * the picture, has no area, or is in a picture that the conversation has not.
 *
 * @throws InvalidArgumentError for a wrong option, or sizes that are missing
 */
export function parseGrounding(answer: GroundedAnswer, options: GroundingOptions): GroundingItem[] {
  const coordinates = coordinatesOf(options)
  const { text, images } = check(answer)
  const { imageIndex: latest = images.length - 1 } = options
  if (options.imageIndex !== undefined && !(latest in images)) {
    throw invalidArgument('imageIndex', `below ${images.length}, the number of pictures`, latest)
  }
  return findAll(text).flatMap(({ numbers, label, imageIndex = latest, fields, isTag }) => {
    const image = images[imageIndex]
    if (!image) return []
    const original = image.original ?? image.processed
    const span = isTag || coordinates === 'relative1000' ? thousand : image.processed
    if (!original || !span) {
      const missing = original ? 'processed' : 'original'
      throw invalidArgument(`answer.images[${imageIndex}].${missing}`, 'a size { width, height }', undefined)
    }
    const shape = toPixels(numbers, span, original)
    return shape ? [{ ...shape, ...(label !== undefined && { label }), imageIndex, fields }] : []
  })
}

const thousand: Size = { width: 1000, height: 1000 }

function check(answer: Partial<GroundedAnswer> | undefined): GroundedAnswer {
  const { text, images } = answer ?? {}
  if (typeof text !== 'string' || !Array.isArray(images)) {
    throw invalidArgument('answer', 'an answer of a model: { text, images }', answer)
  }
  return { text, images: images as GroundedAnswer['images'] }
}
