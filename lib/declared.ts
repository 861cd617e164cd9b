/**
 * What the files of a model say themselves about how to use it: sampling values (`general.sampling.*`, which the
 * converter takes from generation_config.json) and bounds of a picture. Where they are silent, the generation's hold.
 */
import type { GgufHeader } from './engine/binding'
import type { Generation, SamplingDefaults } from './generations'

const samplingKeys = {
  temperature: ['temp', 0, Infinity],
  topK: ['top_k', 0, 2 ** 31 - 1],
  topP: ['top_p', 0, 1],
  minP: ['min_p', 0, 1],
  repetitionPenalty: ['penalty_repeat', 0.01, Infinity],
} as const satisfies Partial<Record<keyof SamplingDefaults, readonly [string, number, number]>>

/** The generation with the values that its files declare; unusable ones count as absent. */
export function withDeclared(generation: Generation, model: GgufHeader, mmproj?: GgufHeader): Generation {
  const sampling = Object.entries(samplingKeys).flatMap(([name, [key, least, most]]) => {
    const value = number(model, `general.sampling.${key}`, least, most)
    return value === undefined ? [] : [[name, value] as const]
  })
  const { factor } = generation
  const minPixels =
    number(mmproj, 'clip.vision.image_min_pixels', factor ** 2, 2 ** 31) ?? generation.minPixels
  const maxPixels =
    number(mmproj, 'clip.vision.image_max_pixels', factor ** 2, 2 ** 31) ?? generation.maxPixels
  const bounds = minPixels <= maxPixels ? { minPixels, maxPixels } : {}
  return { ...generation, ...bounds, sampling: { ...generation.sampling, ...Object.fromEntries(sampling) } }
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
