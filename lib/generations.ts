/**
 * Everything that differs between the model generations, in one table; nobody else branches on the generation.
 * Also tells from the two GGUF headers which generation a pair of files is, or why it is none.
 */
import type { GgufHeader } from './engine/binding'
import { UnsupportedModelError } from './errors'

export type GenerationId = 'qwen2vl' | 'qwen2.5vl' | 'qwen3vl' | 'qwen3vlmoe' | 'qwen3.5' | 'qwen3.5moe'

/** Sampling values that a generation was released with. `temperature` 0 is greedy; penalties of 1, 0, 0 are off. */
export interface SamplingDefaults {
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
}

/** The class of transformers that prepares a generation's videos. */
export type VideoProcessor = 'Qwen2VLVideoProcessor' | 'Qwen3VLVideoProcessor'

/**
 * How a generation writes calls of tools: JSON between tags (Hermes), elements with a tag for each parameter, or the lines
 * of Qwen-Agent.
 */
export type ToolForm = 'hermes' | 'xml' | 'qwen-agent'

/** How the cookbooks of a generation tell of a screen. */
export interface ScreenRules {
  /** What the screen's sides are said to be: so many units each, or the pixels of the processed picture. */
  readonly computer: number | 'processedPixels'
  readonly mobile: number | 'processedPixels'
  /** Actions of a phone: with `key` and `open`, or with `answer`. */
  readonly mobileActions: 'key-open' | 'answer'
}

/** How a generation sees videos. */
export interface VideoRules {
  /**
   * How the model is told when a pair of frames was: by its number, by seconds in its positions (`ticksPerSecond`), or
   * by a text before each pair, which then is a vision block of its own.
   */
  readonly time: 'number' | 'seconds' | 'text'
  readonly ticksPerSecond: number
  readonly processor: VideoProcessor
  /** The processor's bounds in pixels: of a frame (Qwen2VLVideoProcessor) or of all frames together. */
  readonly minPixels: number
  readonly maxPixels: number
}

export interface Generation {
  readonly id: GenerationId
  /** Name for people, e.g. "Qwen2.5-VL". */
  readonly name: string
  /** `general.architecture` of the text GGUF. */
  readonly architecture: string
  /** `clip.projector_type` of the projector GGUF. */
  readonly projector: string
  /** Side of a vision patch in pixels. */
  readonly patchSize: number
  /** Patches per side that become one embedding row. */
  readonly mergeSize: number
  /** Sides of a processed picture are multiples of this: `patchSize * mergeSize`. */
  readonly factor: number
  /** Smallest and largest processed area in pixels, from the checkpoints' preprocessor_config.json. */
  readonly minPixels: number
  readonly maxPixels: number
  /** True where vision features also enter the first decoder layers, which widens an embedding row. */
  readonly deepstack: boolean
  /** True where the encoder's blocks have gates (SwiGLU) and norms without bias. */
  readonly gatedVision: boolean
  /** True where the encoder learned its positions, and takes queries, keys and values from one matrix. */
  readonly learnedPositions: boolean
  /** True where most decoder layers keep a state instead of KV cells, and only a part of a head is rotated. */
  readonly hybrid: boolean
  /** True where each token computes with a few of many experts. */
  readonly experts: boolean
  readonly sampling: SamplingDefaults
  /** Coordinates in the model's answers: 0..1000 of the picture, or pixels of the processed picture. */
  readonly coordinates: 'relative1000' | 'processedPixels'
  readonly video: VideoRules
  readonly tools: ToolForm
  readonly screen: ScreenRules
  /** Chat template for a GGUF that carries none. It knows no tools; the checkpoints' own templates may. */
  readonly chatTemplate: string
}

/** Control tokens of pictures and videos in a rendered prompt. The same texts in every generation. */
export const imagePad = '<|image_pad|>'
export const videoPad = '<|video_pad|>'
export const visionStart = '<|vision_start|>'
export const visionEnd = '<|vision_end|>'

/** Control tokens that end an answer, as in the checkpoints' generation_config.json. Not every end-of-text token of llama.cpp's list does. */
export const stopTexts: readonly string[] = ['<|im_end|>', '<|endoftext|>']

/** ChatML with pictures and videos. Qwen2-VL and Qwen2.5-VL say who they are when no system message comes first. */
function chatml(defaultSystem: string): string {
  const opening = `{%- if messages[0].role != 'system' -%}{{- '<|im_start|>system\\n${defaultSystem}<|im_end|>\\n' -}}{%- endif -%}`
  return `
${defaultSystem ? opening : ''}
{%- set seen = namespace(pictures=0, videos=0) -%}
{%- for message in messages -%}
  {{- '<|im_start|>' + message.role + '\\n' -}}
  {%- if message.content is string -%}
    {{- message.content -}}
  {%- else -%}
    {%- for part in message.content -%}
      {%- if part.type == 'image' -%}
        {%- set seen.pictures = seen.pictures + 1 -%}
        {%- if add_vision_id -%}{{- 'Picture ' ~ seen.pictures ~ ': ' -}}{%- endif -%}
        {{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
      {%- elif part.type == 'video' -%}
        {%- set seen.videos = seen.videos + 1 -%}
        {%- if add_vision_id -%}{{- 'Video ' ~ seen.videos ~ ': ' -}}{%- endif -%}
        {{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
      {%- else -%}
        {{- part.text -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}`
}

/** generation_config.json of Qwen2-VL-Instruct and of the first Qwen2.5-VL: greedy but for the repetition penalty. */
const nearlyGreedy: SamplingDefaults = {
  temperature: 0.1,
  topK: 1,
  topP: 0.001,
  minP: 0,
  repetitionPenalty: 1.05,
  presencePenalty: 0,
  frequencyPenalty: 0,
}

/** generation_config.json of Qwen3-VL-Instruct. (Qwen's own evaluation adds a presence penalty of 1.5.) */
const qwen3Sampling: SamplingDefaults = {
  temperature: 0.7,
  topK: 20,
  topP: 0.8,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
}

/** generation_config.json of Qwen3.5; its model card adds the presence penalty, for answers with thoughts and without. */
const qwen35Sampling: SamplingDefaults = {
  temperature: 1,
  topK: 20,
  topP: 0.95,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 1.5,
  frequencyPenalty: 0,
}

const qwen2Video: VideoRules = {
  time: 'number',
  ticksPerSecond: 0,
  processor: 'Qwen2VLVideoProcessor',
  minPixels: 128 * 28 * 28,
  maxPixels: 768 * 28 * 28,
}

const qwen3Video: VideoRules = {
  time: 'text',
  ticksPerSecond: 0,
  processor: 'Qwen3VLVideoProcessor',
  minPixels: 4 * 32 * 32,
  maxPixels: 24_576 * 32 * 32,
}

const qwen2: Generation = {
  id: 'qwen2vl',
  name: 'Qwen2-VL',
  architecture: 'qwen2vl',
  projector: 'qwen2vl_merger',
  patchSize: 14,
  mergeSize: 2,
  factor: 28,
  minPixels: 4 * 28 * 28,
  maxPixels: 16384 * 28 * 28,
  deepstack: false,
  gatedVision: false,
  learnedPositions: false,
  hybrid: false,
  experts: false,
  sampling: nearlyGreedy,
  coordinates: 'relative1000',
  video: qwen2Video,
  tools: 'qwen-agent',
  screen: { computer: 1000, mobile: 1000, mobileActions: 'key-open' },
  chatTemplate: chatml('You are a helpful assistant.'),
}

const qwen3: Generation = {
  id: 'qwen3vl',
  name: 'Qwen3-VL',
  architecture: 'qwen3vl',
  projector: 'qwen3vl_merger',
  patchSize: 16,
  mergeSize: 2,
  factor: 32,
  minPixels: 64 * 32 * 32,
  maxPixels: 16384 * 32 * 32,
  deepstack: true,
  gatedVision: false,
  learnedPositions: true,
  hybrid: false,
  experts: false,
  sampling: qwen3Sampling,
  coordinates: 'relative1000',
  video: qwen3Video,
  tools: 'hermes',
  screen: { computer: 1000, mobile: 999, mobileActions: 'answer' },
  chatTemplate: chatml(''),
}

const qwen35: Generation = {
  ...qwen3,
  id: 'qwen3.5',
  name: 'Qwen3.5',
  architecture: 'qwen35',
  deepstack: false,
  hybrid: true,
  sampling: qwen35Sampling,
  tools: 'xml',
}

/** The supported generations. Qwen2-VL and Qwen2.5-VL share a text architecture: the projector tells them apart. */
export const generations: readonly Generation[] = [
  qwen2,
  {
    ...qwen2,
    id: 'qwen2.5vl',
    name: 'Qwen2.5-VL',
    projector: 'qwen2.5vl_merger',
    gatedVision: true,
    coordinates: 'processedPixels',
    // `tokens_per_second` of the released checkpoints; no GGUF carries it.
    video: { ...qwen2Video, time: 'seconds', ticksPerSecond: 2 },
    tools: 'hermes',
    screen: { computer: 'processedPixels', mobile: 'processedPixels', mobileActions: 'key-open' },
  },
  qwen3,
  { ...qwen3, id: 'qwen3vlmoe', name: 'Qwen3-VL MoE', architecture: 'qwen3vlmoe', experts: true },
  qwen35,
  { ...qwen35, id: 'qwen3.5moe', name: 'Qwen3.5 MoE', architecture: 'qwen35moe', experts: true },
]

/**
 * The generation of a model and its projector, after checking that the two belong together. Without a projector
 * the pair is a text-only model; Qwen2-VL and Qwen2.5-VL are then told apart by the name written into the file.
 * @throws UnsupportedModelError UNSUPPORTED_MODEL or PROJECTOR_MISMATCH; the message names the fix.
 */
export function recogniseGeneration(model: GgufHeader, mmproj?: GgufHeader): Generation {
  const architecture = text(model, 'general.architecture')
  if (architecture === 'clip') throw projectorAsModel(mmproj)
  const candidates = generations.filter((generation) => generation.architecture === architecture)
  const [first] = candidates
  if (!first) throw unsupported(architecture)
  const named = candidates.find((generation) => generation.name === baseName(model))
  if (!mmproj) return named ?? first

  const matching = candidates.find((generation) => generation.projector === projectorType(mmproj))
  if (!matching) throw wrongProjector(candidates, mmproj)
  if (named && named !== matching) throw wrongProjector([named], mmproj)
  checkWidth(model, mmproj, architecture)
  checkDeepstack(model, mmproj, architecture)
  return matching
}

/** Both what the projector declares and what its tensors are: the runtime goes by the tensors. */
function checkWidth(model: GgufHeader, mmproj: GgufHeader, architecture: string): void {
  const width = number(model, `${architecture}.embedding_length`)
  const declared = number(mmproj, 'clip.vision.projection_dim')
  const actual = mmproj.tensors.find((tensor) => tensor.name === 'mm.2.bias')?.shape[0] ?? 0
  for (const projected of [declared, actual]) {
    if (projected === 0 || projected === width) continue
    throw mismatch(
      `The projector writes embeddings of width ${projected}, but the model takes ${width}: they are of different ` +
        `model sizes. ${sameRepository}`,
      { modelWidth: width, projectorWidth: projected },
    )
  }
}

function checkDeepstack(model: GgufHeader, mmproj: GgufHeader, architecture: string): void {
  const expected = number(model, `${architecture}.n_deepstack_layers`)
  const flags = mmproj.metadata['clip.vision.is_deepstack_layers']
  const declared = Array.isArray(flags) ? flags.filter(Boolean).length : undefined
  const merged = mmproj.tensors.filter((tensor) =>
    /^v\.deepstack\.\d+\.fc1\.weight$/.test(tensor.name),
  ).length
  const actual = mmproj.tensors.length > 0 ? merged : undefined
  for (const levels of [declared, actual]) {
    if (levels === undefined || levels === expected) continue
    throw mismatch(
      `The projector has ${levels} deepstack levels, but the model takes ${expected}: the two were converted from ` +
        `different models. ${sameRepository}`,
      { modelLevels: expected, projectorLevels: levels },
    )
  }
}

const sameRepository = 'Take the mmproj file from the repository that the model comes from.'
const supported = generations.map(({ name, architecture }) => `${name} (${architecture})`).join(', ')

function projectorAsModel(mmproj?: GgufHeader): UnsupportedModelError {
  if (!mmproj) {
    const message =
      'The model file is a projector (mmproj): pass it as `mmproj`, and the text model as `model`.'
    return new UnsupportedModelError('UNSUPPORTED_MODEL', message)
  }
  return text(mmproj, 'general.architecture') === 'clip'
    ? mismatch('Both files are projectors (mmproj): pass the text model as `model`.')
    : mismatch('`model` and `mmproj` are swapped: the model file is the projector.')
}

function unsupported(architecture: string): UnsupportedModelError {
  const message = `The model's architecture is '${architecture}'; supported are ${supported}. Choose a GGUF of one of these.`
  return new UnsupportedModelError('UNSUPPORTED_MODEL', message, { details: { architecture } })
}

function wrongProjector(expected: readonly Generation[], mmproj: GgufHeader): UnsupportedModelError {
  const architecture = text(mmproj, 'general.architecture')
  if (architecture !== 'clip') {
    return mismatch(
      `The \`mmproj\` file is not a projector: its architecture is '${architecture}', not 'clip'. ${sameRepository}`,
      { projectorArchitecture: architecture },
    )
  }
  const type = projectorType(mmproj)
  const owner = generations.find((generation) => generation.projector === type)?.name ?? 'another model'
  const names = expected.map((generation) => generation.name).join(' or ')
  return mismatch(`The projector is for ${owner} ('${type}'), but the model is ${names}. ${sameRepository}`, {
    projector: type,
    expected: expected.map((generation) => generation.projector),
  })
}

function mismatch(message: string, details: Record<string, unknown> = {}): UnsupportedModelError {
  return new UnsupportedModelError('PROJECTOR_MISMATCH', message, { details })
}

/** `general.basename` as the converter takes it from the checkpoint's name: "Qwen2.5-VL" of "Qwen2.5-VL-3B-Instruct". */
function baseName(model: GgufHeader): string {
  return text(model, 'general.basename')
}

function projectorType(mmproj: GgufHeader): string {
  return text(mmproj, 'clip.projector_type') || text(mmproj, 'clip.vision.projector_type')
}

function text(header: GgufHeader, key: string): string {
  const value = header.metadata[key]
  return typeof value === 'string' ? value : ''
}

function number(header: GgufHeader, key: string): number {
  const value = header.metadata[key]
  return typeof value === 'number' ? value : 0
}
