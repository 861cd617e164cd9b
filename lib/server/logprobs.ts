/** Log-probabilities in the form of OpenAI's APIs. */
import type { QwenVL, TokenChance, TokenLogprob } from '../index'

export interface NamedLogprob {
  readonly token: string
  readonly logprob: number
  /** UTF-8, perhaps of a part of a character alone; null for a token that adds nothing to the text: the end. */
  readonly bytes: readonly number[] | null
  readonly top_logprobs: ReadonlyArray<Omit<NamedLogprob, 'top_logprobs'>>
}

export function namedLogprobs(model: QwenVL, entries: readonly TokenLogprob[]): NamedLogprob[] {
  const named = ({ token, logprob, bytes }: TokenChance) => ({
    token: model.detokenize(Int32Array.of(token)),
    logprob,
    bytes: bytes.length === 0 ? null : bytes,
  })
  return entries.map((entry) => ({ ...named(entry), top_logprobs: entry.top.map(named) }))
}
