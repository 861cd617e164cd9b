/**
 * Looks whether the numbers in a model's header are possible, and whether a projector's tensors are those that its
 * numbers promise. llama.cpp takes them on trust: a damaged file ends the process in an assertion or a bad read.
 * (It does check a model's tensors itself, and the other parts of a header are checked by `read_gguf_header`.)
 */
import type { GgufHeader } from './engine/binding'
import { ModelLoadError } from './errors'
import type { Generation } from './generations'

type Tensors = ReadonlyMap<string, GgufHeader['tensors'][number]>
type Shape = readonly number[]

const mostBlocks = 512
/** Types that weights may have; llama.cpp computes with no others. */
const weightTypes = /^(f32|f16|bf16|q\d.*|iq\d.*|tq\d.*|mxfp4|nvfp4)$/
const kernelTypes = /^(f32|f16|bf16)$/

/** @throws ModelLoadError GGUF_CORRUPT naming what does not fit */
export function checkModelNumbers(header: GgufHeader, generation: Generation): void {
  const { architecture } = generation
  const width = whole(header, `${architecture}.embedding_length`, 1)
  whole(header, `${architecture}.block_count`, 1, mostBlocks)
  whole(header, `${architecture}.context_length`, 1, 1 << 30)
  const heads = whole(header, `${architecture}.attention.head_count`, 1)
  const kvHeads = header.metadata[`${architecture}.attention.head_count_kv`] ?? heads
  if (typeof kvHeads !== 'number' || !(kvHeads >= 1) || heads % kvHeads !== 0) {
    throw corrupt(`${String(kvHeads)} key-value heads do not divide ${heads} heads`)
  }
  const headSize = header.metadata[`${architecture}.attention.key_length`] ?? width / heads
  if (!Number.isInteger(headSize)) throw corrupt(`${heads} attention heads do not divide a width of ${width}`)
  const sections = header.metadata[`${architecture}.rope.dimension_sections`]
  const turned = Array.isArray(sections) ? sections.reduce<number>((sum, part) => sum + Number(part), 0) : NaN
  const turnedSize = generation.hybrid
    ? whole(header, `${architecture}.rope.dimension_count`, 2, Number(headSize))
    : headSize
  if (turned * 2 !== turnedSize)
    throw corrupt(`the rope sections do not make up a head of ${String(turnedSize)}`)
  checkEpsilon(header, `${architecture}.attention.layer_norm_rms_epsilon`)
  if (generation.experts) checkExperts(header, generation)
  if (generation.hybrid) checkStates(header, generation)
}

function checkExperts(header: GgufHeader, { architecture }: Generation): void {
  const experts = whole(header, `${architecture}.expert_count`, 1, 1024)
  whole(header, `${architecture}.expert_used_count`, 1, experts)
  optional(header, `${architecture}.expert_feed_forward_length`, 1)
  expectValue(header, `${architecture}.expert_group_count`, 0, 'optional')
}

/** Of the layers that keep a state: value heads share key heads evenly, and both are of one size. */
function checkStates(header: GgufHeader, { architecture }: Generation): void {
  const key = (name: string) => `${architecture}.${name}`
  const size = whole(header, key('ssm.state_size'), 1)
  const keyHeads = whole(header, key('ssm.group_count'), 1)
  const valueHeads = whole(header, key('ssm.time_step_rank'), 1)
  whole(header, key('ssm.conv_kernel'), 1, 1 << 10)
  expectValue(header, key('ssm.inner_size'), valueHeads * size)
  if (valueHeads % keyHeads !== 0)
    throw corrupt(`${keyHeads} key heads do not divide ${valueHeads} value heads`)
  optional(header, key('full_attention_interval'), 1, mostBlocks)
  optional(header, key('nextn_predict_layers'), 0, whole(header, key('block_count'), 1) - 1)
}

/** @throws ModelLoadError GGUF_CORRUPT naming what does not fit */
export function checkProjectorTensors(header: GgufHeader, generation: Generation): void {
  const width = whole(header, 'clip.vision.embedding_length', 1)
  const heads = whole(header, 'clip.vision.attention.head_count', 1)
  const blocks = whole(header, 'clip.vision.block_count', 1, mostBlocks)
  const projected = whole(header, 'clip.vision.projection_dim', 1)
  // A quarter of a head turns with each of four position axes.
  if (width % (heads * 4) !== 0) throw corrupt(`${heads} attention heads do not divide a width of ${width}`)
  const { patchSize, mergeSize } = generation
  expectValue(header, 'clip.vision.patch_size', patchSize)
  expectValue(header, 'clip.vision.spatial_merge_size', mergeSize, 'optional')
  expectValue(header, 'clip.vision.attention.head_count_kv', heads, 'optional')
  expectValue(header, 'clip.vision.attention.key_length', width / heads, 'optional')
  whole(header, 'clip.vision.image_size', 1, 1 << 16)
  checkEpsilon(header, 'clip.vision.attention.layer_norm_epsilon')
  checkWindows(header, generation)
  checkOthers(header)

  const tensors: Tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]))
  const merged = width * mergeSize ** 2
  for (const name of ['v.patch_embd.weight', 'v.patch_embd.weight.1']) {
    expectTensor(tensors, name, [patchSize, patchSize, 3, width], kernelTypes)
  }
  for (let i = 0; i < blocks; i++) checkBlock(tensors, `v.blk.${i}.`, width, generation)
  checkNorm(tensors, 'v.post_ln', width, generation)
  checkMlp(tensors, 'mm.0', 'mm.2', merged, projected)
  if (generation.learnedPositions) checkPositions(tensors, width)
  if (generation.deepstack) checkDeepstack(tensors, merged, projected)
}

/** Every how many blocks attention sees the whole picture; 0 always does. */
function checkWindows(header: GgufHeader, { gatedVision }: Generation): void {
  const key = 'clip.vision.n_wa_pattern'
  if (!gatedVision) expectValue(header, key, 0, 'optional')
  // 1 means always too, but llama.cpp then misses the mask that it does not use.
  else if (whole(header, key, 0) === 1) throw corrupt(`${key} is 1`)
}

function checkEpsilon({ metadata }: GgufHeader, key: string): void {
  const epsilon = metadata[key]
  if (typeof epsilon === 'number' && epsilon >= 0 && epsilon < 1) return
  throw corrupt(`${key} is ${String(epsilon)}`)
}

/** Values that are no sizes. */
function checkOthers({ metadata }: GgufHeader): void {
  for (const key of ['clip.has_vision_encoder', 'clip.has_audio_encoder', 'clip.use_silu', 'clip.use_gelu']) {
    if (metadata[key] !== undefined && typeof metadata[key] !== 'boolean')
      throw corrupt(`${key} is no truth value`)
  }
  for (const key of ['clip.vision.image_mean', 'clip.vision.image_std']) {
    const values = metadata[key]
    const good = Array.isArray(values) && values.length === 3 && values.every(Number.isFinite)
    if (!good) throw corrupt(`${key} is not three numbers`)
  }
}

/** One transformer block of the encoder. */
function checkBlock(tensors: Tensors, block: string, width: number, generation: Generation): void {
  checkNorm(tensors, `${block}ln1`, width, generation)
  checkNorm(tensors, `${block}ln2`, width, generation)
  checkLinear(tensors, `${block}attn_out`, [width, width])
  if (generation.learnedPositions) {
    checkLinear(tensors, `${block}attn_qkv`, [width, 3 * width])
  } else {
    for (const name of ['attn_q', 'attn_k', 'attn_v']) checkLinear(tensors, `${block}${name}`, [width, width])
  }
  // Old files have the names of the two swapped; llama.cpp sees it by their shapes, as we do.
  const [up, down] = ['ffn_up', 'ffn_down']
  const swapped = !generation.learnedPositions && shapeOf(tensors, `${block}${down}.weight`)[0] === width
  const [first, last] = swapped ? [down, up] : [up, down]
  const hidden = shapeOf(tensors, `${block}${first}.weight`)[1] ?? 1
  checkLinear(tensors, `${block}${first}`, [width, hidden])
  checkLinear(tensors, `${block}${last}`, [hidden, width])
  if (generation.gatedVision) checkLinear(tensors, `${block}ffn_gate`, [width, hidden])
}

function checkPositions(tensors: Tensors, width: number): void {
  expectTensor(tensors, 'v.patch_embd.bias', [width])
  const positions = shapeOf(tensors, 'v.position_embd.weight')[1] ?? 1
  expectTensor(tensors, 'v.position_embd.weight', [width, positions], kernelTypes)
  if (!Number.isInteger(Math.sqrt(positions))) throw corrupt(`${positions} position embeddings are no square`)
}

function checkDeepstack(tensors: Tensors, merged: number, projected: number): void {
  for (const name of tensors.keys()) {
    const level = /^v\.deepstack\.\d+\./.exec(name)?.[0]
    if (level === undefined) continue
    expectTensor(tensors, `${level}norm.weight`, [merged])
    expectTensor(tensors, `${level}norm.bias`, [merged])
    checkMlp(tensors, `${level}fc1`, `${level}fc2`, merged, projected)
  }
}

function checkMlp(tensors: Tensors, first: string, last: string, input: number, output: number): void {
  const hidden = shapeOf(tensors, `${first}.weight`)[1] ?? 1
  checkLinear(tensors, first, [input, hidden])
  checkLinear(tensors, last, [hidden, output])
}

function checkNorm(tensors: Tensors, name: string, width: number, { gatedVision }: Generation): void {
  expectTensor(tensors, `${name}.weight`, [width])
  // The generation with gates normalises by the root mean square, without a bias.
  if (!gatedVision) expectTensor(tensors, `${name}.bias`, [width])
}

function checkLinear(tensors: Tensors, name: string, [input, output]: readonly [number, number]): void {
  expectTensor(tensors, `${name}.weight`, [input, output])
  expectTensor(tensors, `${name}.bias`, [output])
}

function shapeOf(tensors: Tensors, name: string): Shape {
  const tensor = tensors.get(name)
  if (!tensor) throw corrupt(`the tensor ${name} is missing`)
  return tensor.shape
}

/** Vectors are always F32: they are added, not multiplied. */
function expectTensor(tensors: Tensors, name: string, expected: Shape, types = weightTypes): void {
  const shape = shapeOf(tensors, name)
  // Trailing ones are not stored.
  const wanted = expected.slice(0, expected.findLastIndex((side) => side !== 1) + 1)
  if (shape.join('×') !== (wanted.length > 0 ? wanted : [1]).join('×')) {
    throw corrupt(`the tensor ${name} has the shape ${shape.join('×')} instead of ${expected.join('×')}`)
  }
  const type = tensors.get(name)?.type ?? ''
  if (!(expected.length === 1 ? type === 'f32' : types.test(type))) {
    throw corrupt(`the tensor ${name} has the type ${type}`)
  }
}

function whole(header: GgufHeader, key: string, least: number, most = 1 << 20): number {
  const value = header.metadata[key]
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw corrupt(`${key} is ${value === undefined ? 'missing' : String(value)}`)
}

function optional(header: GgufHeader, key: string, least: number, most?: number): void {
  if (header.metadata[key] !== undefined) whole(header, key, least, most)
}

function expectValue(header: GgufHeader, key: string, expected: number, need?: 'optional'): void {
  const value = header.metadata[key]
  if (value === expected || (need === 'optional' && value === undefined)) return
  throw corrupt(`${key} is ${String(value)} instead of ${expected}`)
}

function corrupt(reason: string): ModelLoadError {
  const message = `The model or its projector is damaged or of an unknown kind: ${reason}. Download the file again.`
  return new ModelLoadError('GGUF_CORRUPT', message)
}
