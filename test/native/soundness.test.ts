/** Every number and every tensor that llama.cpp would trust is checked before: changed one by one, each is refused. */
import { inspectGguf } from '../../lib/engine/engine'
import type { GgufHeader } from '../../lib/engine/binding'
import { recogniseGeneration } from '../../lib/generations'
import { checkModelNumbers, checkProjectorTensors } from '../../lib/soundness'
import { fixtureIds, pair } from '../support/fixtures'

describe.each(fixtureIds)('%s', (id) => {
  let model: GgufHeader
  let projector: GgufHeader
  let generation: ReturnType<typeof recogniseGeneration>
  beforeAll(async () => {
    const files = pair(id)
    model = await inspectGguf(files.model)
    projector = await inspectGguf(files.mmproj)
    generation = recogniseGeneration(model, projector)
  })

  const corrupt = (reason: RegExp) =>
    expect.objectContaining({
      name: 'ModelLoadError',
      code: 'GGUF_CORRUPT',
      message: expect.stringMatching(reason),
    })
  const checkProjector = (change: Partial<GgufHeader>) => () =>
    checkProjectorTensors({ ...projector, ...change }, generation)
  const withTensor = (index: number, change: Partial<GgufHeader['tensors'][number]>) =>
    checkProjector({
      tensors: projector.tensors.map((tensor, i) => (i === index ? { ...tensor, ...change } : tensor)),
    })

  test('good files pass, in both precisions', async () => {
    checkProjector({})()
    checkModelNumbers(model, generation)
    const half = pair(id, 'f16')
    checkProjectorTensors(await inspectGguf(half.mmproj), generation)
    checkModelNumbers(await inspectGguf(half.model), generation)
  })

  test('a tensor that is missing or renamed', () => {
    for (const [index, { name }] of projector.tensors.entries()) {
      expect(withTensor(index, { name: 'renamed' })).toThrow(corrupt(/is missing/))
      expect(checkProjector({ tensors: projector.tensors.filter((tensor) => tensor.name !== name) })).toThrow(
        corrupt(/Download the file again/),
      )
    }
  })

  test('a tensor of another shape', () => {
    for (const [index, { shape }] of projector.tensors.entries()) {
      for (const axis of shape.keys()) {
        const changed = shape.map((side, i) => (i === axis ? side + 1 : side))
        expect(withTensor(index, { shape: changed })).toThrow(corrupt(/shape|square/))
      }
    }
  })

  test('a tensor of a type that is not computed with', () => {
    for (const index of projector.tensors.keys()) {
      expect(withTensor(index, { type: 'i32' })).toThrow(corrupt(/type i32/))
      expect(withTensor(index, { type: 'f64' })).toThrow(corrupt(/type f64/))
    }
  })

  const numbers = [
    'clip.vision.embedding_length',
    'clip.vision.attention.head_count',
    'clip.vision.block_count',
    'clip.vision.projection_dim',
    'clip.vision.patch_size',
    'clip.vision.image_size',
    'clip.vision.attention.layer_norm_epsilon',
  ]
  test.each(numbers)('a projector whose %s is impossible', (key) => {
    for (const value of [undefined, 0.5, -1, 2 ** 31, 'x', true, [1]]) {
      if (key.endsWith('epsilon') && value === 0.5) continue
      const metadata = { ...projector.metadata, [key]: value } as GgufHeader['metadata']
      expect(checkProjector({ metadata })).toThrow(corrupt(/./))
    }
  })

  test('a projector with windows that it cannot have', () => {
    const metadata = { ...projector.metadata, 'clip.vision.n_wa_pattern': 1 }
    expect(checkProjector({ metadata })).toThrow(corrupt(/n_wa_pattern/))
  })

  test.each(['clip.vision.image_mean', 'clip.vision.image_std'])(
    'a projector whose %s is no colour',
    (key) => {
      for (const value of [undefined, 1, [1, 2], [1, 2, 'x'], [1, 2, NaN]]) {
        const metadata = { ...projector.metadata, [key]: value } as GgufHeader['metadata']
        expect(checkProjector({ metadata })).toThrow(corrupt(new RegExp(key)))
      }
    },
  )

  const modelNumbers = [
    'embedding_length',
    'block_count',
    'context_length',
    'attention.head_count',
    'attention.head_count_kv',
    'rope.dimension_sections',
    'attention.layer_norm_rms_epsilon',
  ]
  test.each(modelNumbers)('a model whose %s is impossible', (name) => {
    for (const value of [0, 0.3, -1, 2 ** 31, 'x', [1]]) {
      if (name.endsWith('epsilon') && (value === 0 || value === 0.3)) continue
      const metadata = {
        ...model.metadata,
        [`${generation.architecture}.${name}`]: value,
      } as GgufHeader['metadata']
      expect(() => checkModelNumbers({ ...model, metadata }, generation)).toThrow(corrupt(/./))
    }
  })

  /** Of the generations with experts, and with layers that keep a state. */
  const others: ReadonlyArray<[name: string, values: readonly unknown[]]> = [
    ['expert_count', [undefined, 0, 1, 2 ** 11, 'x']],
    ['expert_used_count', [undefined, 0, 5, 2 ** 11]],
    ['expert_feed_forward_length', [0, 0.5, 'x']],
    ['rope.dimension_count', [undefined, 0, 14, 2 ** 11]],
    ['ssm.conv_kernel', [undefined, 0, 2 ** 11]],
    ['ssm.state_size', [undefined, 0, 15]],
    ['ssm.group_count', [undefined, 0, 3]],
    ['ssm.time_step_rank', [undefined, 0, 5]],
    ['ssm.inner_size', [undefined, 0, 65]],
    ['full_attention_interval', [0, 0.5, 2 ** 11]],
    ['nextn_predict_layers', [-1, 4, 'x']],
  ]
  const asked = others.filter(([name]) =>
    name.startsWith('expert') ? id.endsWith('moe') : id.startsWith('qwen3.5'),
  )
  if (asked.length > 0) {
    test.each(asked)('a model whose %s is impossible', (name, values) => {
      for (const value of values) {
        const key = `${generation.architecture}.${name}`
        const metadata = { ...model.metadata, [key]: value } as GgufHeader['metadata']
        expect(() => checkModelNumbers({ ...model, metadata }, generation)).toThrow(corrupt(/./))
      }
    })
  }
})

test('old files with the names of the two feed-forward halves swapped pass', async () => {
  const files = pair('qwen2vl')
  const [model, projector] = [await inspectGguf(files.model), await inspectGguf(files.mmproj)]
  const swapped = projector.tensors.map((tensor) => ({
    ...tensor,
    name: tensor.name.replace(/ffn_(up|down)/, (_, half: string) => (half === 'up' ? 'ffn_down' : 'ffn_up')),
  }))
  const generation = recogniseGeneration(model, projector)
  expect(() => checkProjectorTensors({ ...projector, tensors: swapped }, generation)).not.toThrow()
})
