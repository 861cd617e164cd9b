/** Flags of commands that generate, as options of the API. */
import type { GenerateOptions } from '../index'

export interface GenerationFlags {
  readonly system?: string
  readonly maxTokens?: number
  readonly temperature?: number
  readonly seed?: number
}

export function generateOptions({ maxTokens, temperature, seed }: GenerationFlags): GenerateOptions {
  return {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(seed !== undefined && { seed }),
  }
}
