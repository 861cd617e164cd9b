/** Facts of a loaded model. */
import type { Answerer } from './answer'
import type { Generation, GenerationId, SamplingDefaults } from './generations'
import { defaultParallel, describe } from './load'
import type { LoraAdapter } from './lora'
import type { LoadOptions } from './options'

/** Facts of a loaded model. */
export interface ModelInfo {
  readonly generation: GenerationId
  /** E.g. "Qwen2.5-VL". */
  readonly generationName: string
  /** llama.cpp's line, e.g. "qwen2vl 3B Q4_K - Medium". */
  readonly description: string
  readonly parameters: number
  /** Bytes of the decoder's weights. */
  readonly modelBytes: number
  /** Tokens that fit, prompt and answer together; and what the model was trained for. */
  readonly contextSize: number
  readonly trainContextSize: number
  readonly vocabSize: number
  /** Values in a row of an image embedding. */
  readonly embeddingWidth: number
  /** Devices that decode and that encode pictures; `encoder` is undefined without a projector. */
  readonly decoder: string
  readonly encoder: string | undefined
  /** Type in which the encoder's weights are multiplied, e.g. "f16"; see the option `encoderPrecision`. */
  readonly encoderWeights: string | undefined
  /** True: loaded with a head for multi-token prediction, see the option `mtp`. */
  readonly mtp: boolean
  readonly threads: number
  /** Answers that are computed at the same time. */
  readonly parallel: number
  /** How pictures are sized, unless a picture says otherwise. Sides are multiples of `factor`; areas in pixels; a token covers `factor²` pixels. */
  readonly image: { readonly factor: number; readonly minPixels: number; readonly maxPixels: number }
  /** Sampling values that hold where a call gives none. */
  readonly sampling: SamplingDefaults
  /** LoRA adapters that requests may use, in their order. */
  readonly lora: readonly LoraAdapter[]
}

export function infoOf({ engine, generation, options, sampling }: Answerer): ModelInfo {
  const { info } = engine
  return {
    generation: generation.id,
    generationName: generation.name,
    description: describe(info),
    parameters: info.parameters,
    modelBytes: info.modelBytes,
    contextSize: info.contextSize,
    trainContextSize: info.trainContextSize,
    vocabSize: info.vocabSize,
    embeddingWidth: info.embeddingWidth,
    decoder: info.decoderDevice,
    encoder: info.hasVision ? info.encoderDevice : undefined,
    encoderWeights: info.hasVision ? info.encoderWeights : undefined,
    mtp: info.mtp,
    threads: info.threads,
    parallel: options.parallel ?? defaultParallel,
    image: imageSizes(generation, options),
    sampling,
    lora: options.lora ?? [],
  }
}

function imageSizes(generation: Generation, options: LoadOptions): ModelInfo['image'] {
  const { factor, minPixels, maxPixels } = generation
  return { factor, minPixels: options.minPixels ?? minPixels, maxPixels: options.maxPixels ?? maxPixels }
}
