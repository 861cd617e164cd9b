/** What a saved chat remembers of how its model was loaded, so that it can be loaded again. */
import { resolve } from 'node:path'
import { isReference } from './models/reference'
import type { LoadOptions } from './options'

/** Files, and what decides about prompts and answers: nothing of this machine, and no secrets. */
const remembered = [
  'contextSize',
  'batchSize',
  'deterministic',
  'flashAttention',
  'cacheType',
  'encoderPrecision',
  'minPixels',
  'maxPixels',
  'reference',
  'chatTemplate',
] as const

/** Paths are made absolute: another process may have another folder. */
export function rememberedOptions(options: LoadOptions): LoadOptions {
  const absolute = (name: string) => (isReference(name) ? name : resolve(name))
  const { model, mmproj, lora } = options
  const same = remembered.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]))
  return {
    ...(model !== undefined && { model: absolute(model) }),
    ...(mmproj !== undefined && { mmproj: mmproj && absolute(mmproj) }),
    ...(lora && { lora: lora.map((adapter) => ({ ...adapter, path: resolve(adapter.path) })) }),
    ...(Object.fromEntries(same) as Partial<LoadOptions>),
  }
}

/** What the caller says goes before; another model has another projector and other adapters. */
export function reloadOptions(recorded: LoadOptions, given: LoadOptions): LoadOptions {
  const { mmproj, lora, ...rest } = recorded
  const ofModel = { ...(mmproj !== undefined && { mmproj }), ...(lora && { lora }) }
  return { ...rest, ...(given.model === undefined && ofModel), ...given }
}
