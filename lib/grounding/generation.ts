/** What grounding needs to know of a model's generation. */
import { invalidArgument } from '../errors'
import { generations } from '../generations'
import type { Generation, GenerationId } from '../generations'
import type { ImageOptions } from '../prompt/messages'

/** Coordinates of an answer: 0 to 1000 of the picture, or pixels of the picture as the model saw it. */
export type Coordinates = Generation['coordinates']

/** Tokens of a picture below which the models' boxes get visibly worse. */
const groundingTokens = 1024

/**
 * Picture options for grounding: at least 1024 tokens, so that small things keep enough detail. Only the smallest
 * size changes; a large picture stays as it is, and so do the pictures of a model that takes no larger ones.
 * @param model `vl.info`
 * @throws InvalidArgumentError
 */
export function groundingPreset(model: {
  readonly generation: GenerationId
  readonly image?: { readonly maxPixels: number }
}): ImageOptions {
  const wanted = groundingTokens * generationOf(model).factor ** 2
  return { minPixels: Math.min(wanted, model.image?.maxPixels ?? wanted) }
}

/** @throws InvalidArgumentError */
export function coordinatesOf(model: {
  readonly generation: GenerationId
  readonly coordinates?: Coordinates | undefined
}): Coordinates {
  const generation = generationOf(model)
  const { coordinates = generation.coordinates } = model
  if (coordinates !== 'relative1000' && coordinates !== 'processedPixels') {
    throw invalidArgument('coordinates', "'relative1000' or 'processedPixels'", coordinates)
  }
  return coordinates
}

function generationOf(model: { readonly generation: GenerationId }): Generation {
  const id: unknown = (model as Partial<typeof model> | undefined)?.generation
  const generation = generations.find((candidate) => candidate.id === id)
  if (generation) return generation
  const known = generations.map((candidate) => `'${candidate.id}'`).join(', ')
  throw invalidArgument('generation', `one of ${known}, as in \`vl.info\``, id)
}
