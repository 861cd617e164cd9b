/** A tiny model with exact numbers, and what tests ask of answers. */
import { getEventListeners } from 'node:events'
import { QwenVL } from '../../lib'
import type { GenerationResult, LoadOptions, StreamPart } from '../../lib'
import { pair, small } from './fixtures'
import type { FixtureId } from './fixtures'

/** Loads a fixture: F32, one thread, 512 tokens of context unless told otherwise. */
export function loadFixture(
  options: Partial<LoadOptions> & { readonly id?: FixtureId } = {},
): Promise<QwenVL> {
  const { id, ...rest } = options
  return QwenVL.load({ ...pair(id), ...small, ...rest })
}

/** Always the likeliest token, never the end: as many tokens as asked for. */
export const greedy = { temperature: 0, ignoreEos: true, maxTokens: 16 } as const

/** What of an answer depends on the model alone, not on time or on earlier requests. */
export function essence({ text, tokens, finishReason, usage }: GenerationResult) {
  const { promptTokens, completionTokens } = usage
  return { text, tokens: [...tokens], finishReason, promptTokens, completionTokens }
}

export async function collect(stream: AsyncIterable<StreamPart>): Promise<StreamPart[]> {
  const parts: StreamPart[] = []
  for await (const part of stream) parts.push(part)
  return parts
}

export function textOf(parts: readonly StreamPart[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** Listeners for `abort` that are left on a signal. */
export function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}
