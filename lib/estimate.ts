/** What a model would take, before it is downloaded: bytes to fetch, memory, and whether it fits into this machine. */
import { encoderBytes, encoderShape, freeMemory } from './cost'
import { usualContext, withDeclared } from './declared'
import type { Device, GgufHeader } from './engine/binding'
import { initializedAddon } from './engine/engine'
import { recogniseGeneration } from './generations'
import type { Generation, GenerationId } from './generations'
import { defaultParallel } from './load'
import { imageLayout } from './media/geometry'
import type { Size } from './media/geometry'
import { candidateFiles } from './models/candidates'
import type { CandidateFile } from './models/candidates'
import { inspectNamed } from './named'
import { checkLoadOptions } from './checks'
import type { LoadOptions } from './options'

/** Sizes in bytes. */
export interface Estimate {
  readonly generation: GenerationId
  readonly generationName: string
  /** The model's files and the projector, with their paths on the hub or on this machine. */
  readonly files: readonly CandidateFile[]
  readonly downloadBytes: number
  readonly contextSize: number
  /** What the picture becomes; undefined without a projector. */
  readonly picture: (Size & { readonly tokens: number }) | undefined
  readonly memory: {
    readonly weights: number
    readonly projector: number
    /** KV memory of `contextSize` tokens. */
    readonly context: number
    /** Buffers of a prompt step. */
    readonly compute: number
    /** What encoding the picture takes meanwhile. */
    readonly picture: number
    readonly total: number
  }
  /** Where it would run, and what is free there: the first GPU that has room for all of it, else the processor. */
  readonly device: string
  readonly available: number
  readonly fits: boolean
}

const usualPicture: Size = { width: 1024, height: 1024 }
const largestStep = 512
/** Bytes of an element of the KV memory; q8_0 keeps a scale for each 32. */
const elementBytes = { f16: 2, f32: 4, q8_0: 34 / 32 }

/**
 * Reads only the headers: of files on a hub by range requests.
 * @param picture size of a picture in pixels, as it comes; default 1024×1024
 * @throws like `QwenVL.load()`
 */
export async function estimate(
  options: LoadOptions | string,
  picture: Size = usualPicture,
): Promise<Estimate> {
  const checked = checkLoadOptions(typeof options === 'string' ? { model: options } : options)
  const { files, model, projector } = await candidateFiles(checked, inspectNamed)
  const generation = withDeclared(recogniseGeneration(model, projector), checked, model, projector)
  const contextSize = checked.contextSize ?? usualContext(model, generation)
  const seen = projector && pictureCost(model, projector, generation, checked, picture)
  const isProjector = ({ kind }: CandidateFile) => kind === 'projector'
  const parts = {
    weights: bytesOf(files.filter((file) => !isProjector(file))),
    projector: bytesOf(files.filter(isProjector)),
    context: contextBytes(model, generation, contextSize, checked),
    compute: computeBytes(model, generation, contextSize, checked),
    picture: seen?.bytes ?? 0,
  }
  const total = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)
  return {
    generation: generation.id,
    generationName: generation.name,
    files,
    downloadBytes: bytesOf(files.filter(({ cached }) => !cached)),
    contextSize,
    picture: seen && { width: seen.width, height: seen.height, tokens: seen.tokens },
    memory: { ...parts, total },
    ...placeFor(total, checked.gpuLayers === 0),
  }
}

/** KV cells of the layers with attention; the other layers of a hybrid model keep a state for each answer, in 32 bits. */
function contextBytes(
  header: GgufHeader,
  generation: Generation,
  contextSize: number,
  { cacheType = 'f16', parallel = defaultParallel, mtp = false }: LoadOptions,
): number {
  const number = numbers(header, generation.architecture)
  const heads = number('attention.head_count')
  const headSize = number('embedding_length') / heads
  const row =
    number('attention.head_count_kv', heads) *
    (number('attention.key_length', headSize) + number('attention.value_length', headSize))
  const guessing = number('nextn_predict_layers')
  const head = mtp ? guessing : 0
  const layers = number('block_count') - guessing
  const attending = generation.hybrid ? Math.floor(layers / number('full_attention_interval', 4)) : layers
  const [inner, width] = [number('ssm.inner_size'), number('ssm.state_size')]
  const convolved = (number('ssm.conv_kernel', 1) - 1) * (inner + 2 * number('ssm.group_count') * width)
  const states = generation.hybrid ? (layers - attending) * (convolved + inner * width) * 4 : 0
  const kept = parallel * (head > 0 ? 2 : 1) // one before a guess, one behind it
  return (attending + head) * contextSize * row * elementBytes[cacheType] + kept * states
}

/** The largest step's logits dominate; without flash attention its scores come to them. */
function computeBytes(
  header: GgufHeader,
  { architecture }: Generation,
  contextSize: number,
  { batchSize = largestStep, flashAttention }: LoadOptions,
): number {
  const number = numbers(header, architecture)
  const vocabulary = header.tensors.find(({ name }) => name === 'token_embd.weight')?.shape[1] ?? 0
  const step = Math.min(batchSize, largestStep, contextSize)
  const scores = flashAttention === 'off' ? number('attention.head_count') * contextSize : 0
  return 4 * step * (vocabulary + 6 * number('embedding_length') + scores)
}

function pictureCost(
  model: GgufHeader,
  projector: GgufHeader,
  generation: Generation,
  { minPixels, maxPixels, reference, flashAttention }: LoadOptions,
  picture: Size,
) {
  const number = numbers(model, generation.architecture)
  const layout = imageLayout(picture, {
    ...generation,
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    reference,
  })
  const shape = encoderShape(projector, generation, {
    rowWidth: number('embedding_length') * (1 + number('n_deepstack_layers')),
    flashAttention: flashAttention !== 'off',
  })
  return { ...layout, bytes: encoderBytes(shape, layout.width * layout.height) }
}

function numbers({ metadata }: GgufHeader, architecture: string) {
  return (key: string, otherwise = 0): number => {
    const value = metadata[`${architecture}.${key}`]
    return typeof value === 'number' ? value : otherwise
  }
}

function placeFor(bytes: number, onProcessor: boolean): Pick<Estimate, 'device' | 'available' | 'fits'> {
  const devices = initializedAddon().devices()
  const isGpu = ({ kind }: Device) => kind === 'gpu' || kind === 'igpu'
  const gpu = onProcessor ? undefined : devices.filter(isGpu).find((device) => freeMemory(device) >= bytes)
  const available = freeMemory(gpu)
  const device = gpu?.description ?? devices.find(({ kind }) => kind === 'cpu')?.description ?? 'CPU'
  return { device, available, fits: bytes <= available }
}

function bytesOf(files: readonly CandidateFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}
