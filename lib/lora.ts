/** LoRA adapters: those that a model was loaded with, and which of them a request takes. */
import { resolve } from 'node:path'
import { invalidArgument } from './errors'

/** A LoRA adapter in a GGUF file. */
export interface LoraAdapter {
  /** Of the file; for a request one of those that the model was loaded with. */
  readonly path: string
  /** How strongly it changes the weights; 0 not at all. Default 1. */
  readonly scale?: number | undefined
}

/**
 * The scale of each adapter of a model.
 * @param loaded those of `QwenVL.load()`, whose scales hold where a request names none
 * @param wanted those of the request: all others are off
 * @throws InvalidArgumentError for an adapter that the model was not loaded with
 */
export function adapterScales(
  loaded: readonly LoraAdapter[],
  wanted: readonly LoraAdapter[] = loaded,
): Float32Array {
  const scales = new Float32Array(loaded.length)
  for (const [index, { path, scale = 1 }] of wanted.entries()) {
    const place = loaded.findIndex((adapter) => resolve(adapter.path) === resolve(path))
    if (place < 0) {
      const known = loaded.map((adapter) => `'${adapter.path}'`).join(', ') || 'none'
      throw invalidArgument(
        `lora[${index}].path`,
        `an adapter that the model was loaded with (${known})`,
        path,
      )
    }
    scales[place] = scale
  }
  return scales
}
