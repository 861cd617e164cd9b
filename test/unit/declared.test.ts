/** What the files of a model declare about its use wins over the generation's values, if it can be used. */
import { withDeclared } from '../../lib/declared'
import type { GgufHeader } from '../../lib/engine/binding'
import { generations } from '../../lib/generations'

const [generation] = generations.filter(({ id }) => id === 'qwen3vl')
if (!generation) throw new Error('no qwen3vl')
const header = (metadata: GgufHeader['metadata']): GgufHeader => ({ fileBytes: 0, metadata, tensors: [] })
const empty = header({})
const only = (key: string, value: number) => header({ [`clip.vision.image_${key}_pixels`]: value })

test('silent files leave the generation as it is', () => {
  expect(withDeclared(generation, {}, empty, empty)).toEqual(generation)
  expect(withDeclared(generation, {}, empty)).toEqual(generation)
})

test('sampling: what the converter wrote from generation_config.json', () => {
  const model = header({
    'general.sampling.temp': 0,
    'general.sampling.top_k': 1,
    'general.sampling.top_p': 0.9,
    'general.sampling.min_p': 0.05,
    'general.sampling.penalty_repeat': 1.1,
  })
  expect(withDeclared(generation, {}, model).sampling).toEqual({
    ...generation.sampling,
    temperature: 0,
    topK: 1,
    topP: 0.9,
    minP: 0.05,
    repetitionPenalty: 1.1,
  })
})

test.each([
  ['general.sampling.temp', -1],
  ['general.sampling.top_p', 1.5],
  ['general.sampling.top_k', Number.NaN],
  ['general.sampling.penalty_repeat', 0],
  ['general.sampling.temp', 'hot'],
])('%s = %p cannot be used and counts as absent', (key, value) => {
  expect(withDeclared(generation, {}, header({ [key]: value })).sampling).toEqual(generation.sampling)
})

test('bounds of a picture come from the projector', () => {
  const mmproj = header({ 'clip.vision.image_min_pixels': 4096, 'clip.vision.image_max_pixels': 102_400 })
  expect(withDeclared(generation, {}, empty, mmproj)).toMatchObject({ minPixels: 4096, maxPixels: 102_400 })
})

test('one bound alone is enough; bounds that cross are left out', () => {
  expect(withDeclared(generation, {}, empty, only('max', 102_400))).toMatchObject({
    minPixels: generation.minPixels,
    maxPixels: 102_400,
  })
  expect(withDeclared(generation, {}, empty, only('max', generation.minPixels - 1))).toEqual(generation)
  expect(withDeclared(generation, {}, empty, only('max', 10))).toEqual(generation) // less than one token
})

test('the bounds of qwen-vl-utils hold whatever a projector declares: 4 to 16384 tokens', () => {
  const utils = withDeclared(generation, { reference: 'qwen-vl-utils' }, empty, only('max', 102_400))
  const token = generation.factor ** 2
  expect(utils).toMatchObject({ minPixels: 4 * token, maxPixels: 16_384 * token })
})
