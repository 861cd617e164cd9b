/**
 * What the files of a model say themselves about how to use it: sampling values (`general.sampling.*`, which the
 * converter takes from generation_config.json) and bounds of a picture. Where they are silent, the generation's hold.
 */
import type { GgufHeader } from './engine/binding'
import type { Generation, SamplingDefaults } from './generations'
import { utilsBounds } from './media/geometry'
import type { LoadOptions } from './options'

const samplingKeys = {
  temperature: ['temp', 0, Infinity],
  topK: ['top_k', 0, 2 ** 31 - 1],
  topP: ['top_p', 0, 1],
  minP: ['min_p', 0, 1],
  repetitionPenalty: ['penalty_repeat', 0.01, Infinity],
} as const satisfies Partial<Record<keyof SamplingDefaults, readonly [string, number, number]>>

/**
 * The generation with the values that its files declare; unusable ones count as absent.
 * @param options The bounds of `reference: 'qwen-vl-utils'` hold whatever the files say.
 */
export function withDeclared(
  generation: Generation,
  { reference }: Pick<LoadOptions, 'reference'>,
  model: GgufHeader,
  mmproj?: GgufHeader,
): Generation {
  const sampling = Object.entries(samplingKeys).flatMap(([name, [key, least, most]]) => {
    const value = number(model, `general.sampling.${key}`, least, most)
    return value === undefined ? [] : [[name, value] as const]
  })
  const bounds = reference === 'qwen-vl-utils' ? utilsBounds(generation.factor) : boundsIn(mmproj, generation)
  return { ...generation, ...bounds, sampling: { ...generation.sampling, ...Object.fromEntries(sampling) } }
}

function boundsIn(
  mmproj: GgufHeader | undefined,
  generation: Generation,
): Partial<Pick<Generation, 'minPixels' | 'maxPixels'>> {
  const least = generation.factor ** 2
  const minPixels = number(mmproj, 'clip.vision.image_min_pixels', least, 2 ** 31) ?? generation.minPixels
  const maxPixels = number(mmproj, 'clip.vision.image_max_pixels', least, 2 ** 31) ?? generation.maxPixels
  return minPixels <= maxPixels ? { minPixels, maxPixels } : {}
}

const largestUsualContext = 8192

/** Tokens of context where nobody asks for a number: what the model was trained for, but not more than 8192. */
export function usualContext(model: GgufHeader, { architecture }: Generation): number {
  return Math.min(
    largestUsualContext,
    number(model, `${architecture}.context_length`, 1, Infinity) ?? Infinity,
  )
}

function number(
  header: GgufHeader | undefined,
  key: string,
  least: number,
  most: number,
): number | undefined {
  const value = header?.metadata[key]
  return typeof value === 'number' && value >= least && value <= most ? value : undefined
}
