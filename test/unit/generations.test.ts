import type { GgufHeader, GgufValue } from '../../lib/engine/binding'
import { QwenVLError } from '../../lib/errors'
import { generations, recogniseGeneration } from '../../lib/generations'

type Metadata = Record<string, GgufValue>

function header(metadata: Metadata, tensors: Record<string, number[]> = {}): GgufHeader {
  return {
    fileBytes: 1,
    metadata,
    tensors: Object.entries(tensors).map(([name, shape]) => ({ name, type: 'F32', shape })),
  }
}

const model = (architecture: string, more: Metadata = {}) =>
  header({ 'general.architecture': architecture, [`${architecture}.embedding_length`]: 64, ...more })

const projector = (
  type: string,
  more: Metadata = {},
  tensors: Record<string, number[]> = { 'mm.2.bias': [64] },
) =>
  header(
    {
      'general.architecture': 'clip',
      'clip.projector_type': type,
      'clip.vision.projection_dim': 64,
      ...more,
    },
    tensors,
  )

const qwen3vl = model('qwen3vl', { 'qwen3vl.n_deepstack_layers': 2 })
const deepstack = {
  'mm.2.bias': [64],
  'v.deepstack.5.fc1.weight': [1],
  'v.deepstack.11.fc1.weight': [1],
  'v.deepstack.11.fc2.weight': [1],
}
const qwen3Projector = projector(
  'qwen3vl_merger',
  { 'clip.vision.is_deepstack_layers': [false, true, false, true] },
  deepstack,
)

function failure(...pair: [GgufHeader, GgufHeader?]): QwenVLError {
  try {
    recogniseGeneration(...pair)
  } catch (error) {
    if (QwenVLError.isInstance(error)) return error
  }
  throw new Error('no QwenVLError was thrown')
}

describe('the table', () => {
  test.each(generations)(
    '$id: sizes agree with each other',
    ({ factor, patchSize, mergeSize, minPixels, maxPixels }) => {
      expect(factor).toBe(patchSize * mergeSize)
      expect(maxPixels).toBe(16384 * factor ** 2)
      expect(minPixels % factor ** 2).toBe(0)
    },
  )

  test('limits are those of the checkpoints', () => {
    const limits = generations.map(({ id, minPixels, maxPixels }) => [id, minPixels, maxPixels])
    expect(limits).toEqual([
      ['qwen2vl', 3136, 12_845_056],
      ['qwen2.5vl', 3136, 12_845_056],
      ['qwen3vl', 65_536, 16_777_216],
      ['qwen3vlmoe', 65_536, 16_777_216],
      ['qwen3.5', 65_536, 16_777_216],
      ['qwen3.5moe', 65_536, 16_777_216],
    ])
  })
})

describe('files that belong together', () => {
  test('the projector tells Qwen2-VL and Qwen2.5-VL apart', () => {
    expect(recogniseGeneration(model('qwen2vl'), projector('qwen2vl_merger')).id).toBe('qwen2vl')
    expect(recogniseGeneration(model('qwen2vl'), projector('qwen2.5vl_merger')).id).toBe('qwen2.5vl')
  })

  test('Qwen3-VL, dense and mixture of experts, with its deepstack levels', () => {
    expect(recogniseGeneration(qwen3vl, qwen3Projector).id).toBe('qwen3vl')
    const moe = model('qwen3vlmoe', { 'qwen3vlmoe.n_deepstack_layers': 2 })
    expect(recogniseGeneration(moe, qwen3Projector).id).toBe('qwen3vlmoe')
  })

  test('Qwen3.5, dense and mixture of experts, whose projector is one of Qwen3-VL without deepstack', () => {
    const flat = projector('qwen3vl_merger', { 'clip.vision.is_deepstack_layers': [false, false] })
    expect(recogniseGeneration(model('qwen35'), flat).id).toBe('qwen3.5')
    expect(recogniseGeneration(model('qwen35moe'), flat).id).toBe('qwen3.5moe')
  })

  test('without a projector, a text-only model', () => {
    expect(recogniseGeneration(model('qwen2vl')).id).toBe('qwen2vl')
    expect(recogniseGeneration(model('qwen2vl', { 'general.basename': 'Qwen2.5-VL' })).id).toBe('qwen2.5vl')
    expect(recogniseGeneration(qwen3vl).id).toBe('qwen3vl')
  })

  test('a projector whose type is written for vision alone', () => {
    const mixed = header({ 'general.architecture': 'clip', 'clip.vision.projector_type': 'qwen2vl_merger' })
    expect(recogniseGeneration(model('qwen2vl'), mixed).id).toBe('qwen2vl')
  })
})

describe('files that do not', () => {
  test('another architecture: the message lists what is supported', () => {
    const error = failure(model('llama'))
    expect(error).toMatchObject({ name: 'UnsupportedModelError', code: 'UNSUPPORTED_MODEL' })
    expect(error.message).toContain("'llama'")
    for (const { name } of generations) expect(error.message).toContain(name)
  })

  test('a header without an architecture', () => {
    expect(failure(header({})).code).toBe('UNSUPPORTED_MODEL')
  })

  test.each<[string, GgufHeader, GgufHeader, RegExp]>([
    ['swapped', qwen3Projector, qwen3vl, /are swapped/],
    ['two projectors', qwen3Projector, qwen3Projector, /Both files are projectors/],
    [
      'two models',
      qwen3vl,
      qwen3vl,
      /is not a projector: its architecture is 'qwen3vl'.*Take the mmproj file/,
    ],
    [
      'a projector of another generation',
      qwen3vl,
      projector('qwen2.5vl_merger'),
      /is for Qwen2.5-VL \('qwen2.5vl_merger'\), but the model is Qwen3-VL\. Take the mmproj file/,
    ],
    ['a projector of another family', qwen3vl, projector('gemma3'), /is for another model \('gemma3'\)/],
    [
      'an earlier one',
      model('qwen2vl'),
      qwen3Projector,
      /is for Qwen3-VL .* the model is Qwen2-VL or Qwen2.5-VL/,
    ],
    [
      'the sister generation, by the model’s own name',
      model('qwen2vl', { 'general.basename': 'Qwen2-VL' }),
      projector('qwen2.5vl_merger'),
      /is for Qwen2.5-VL .* the model is Qwen2-VL\./,
    ],
    [
      'another declared width',
      model('qwen2vl'),
      projector('qwen2vl_merger', { 'clip.vision.projection_dim': 32 }, {}),
      /width 32, but the model takes 64/,
    ],
    [
      'another width of the tensors',
      model('qwen2vl'),
      projector('qwen2vl_merger', {}, { 'mm.2.bias': [48] }),
      /width 48, but the model takes 64/,
    ],
    [
      'other deepstack levels declared',
      qwen3vl,
      projector('qwen3vl_merger', { 'clip.vision.is_deepstack_layers': [true, false] }, deepstack),
      /has 1 deepstack levels, but the model takes 2/,
    ],
    [
      'deepstack levels where the model takes none',
      model('qwen35'),
      qwen3Projector,
      /has 2 deepstack levels, but the model takes 0/,
    ],
    [
      'other deepstack levels in the tensors',
      model('qwen3vl', { 'qwen3vl.n_deepstack_layers': 3 }),
      projector('qwen3vl_merger', {}, deepstack),
      /has 2 deepstack levels, but the model takes 3/,
    ],
  ])('%s', (_, text, mmproj, message) => {
    const error = failure(text, mmproj)
    expect(error).toMatchObject({ name: 'UnsupportedModelError', code: 'PROJECTOR_MISMATCH' })
    expect(error.message).toMatch(message)
  })

  test('a projector alone', () => {
    const error = failure(qwen3Projector)
    expect(error.code).toBe('UNSUPPORTED_MODEL')
    expect(error.message).toContain('pass it as `mmproj`')
  })
})
