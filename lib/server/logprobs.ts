/** Log-probabilities in the form of OpenAI's APIs. */
import type { QwenVL, TokenLogprob } from '../index'

export interface NamedLogprob {
  readonly token: string
  readonly logprob: number
  /** UTF-8; null for a piece of a character, which has no text of its own. */
  readonly bytes: readonly number[] | null
  readonly top_logprobs: ReadonlyArray<Omit<NamedLogprob, 'top_logprobs'>>
}

export function namedLogprobs(model: QwenVL, entries: readonly TokenLogprob[]): NamedLogprob[] {
  const named = ({ token, logprob }: { readonly token: number; readonly logprob: number }) => {
    const text = model.detokenize(Int32Array.of(token))
    return { token: text, logprob, bytes: text.includes('\ufffd') ? null : [...Buffer.from(text)] }
  }
  return entries.map((entry) => ({ ...named(entry), top_logprobs: entry.top.map(named) }))
}
