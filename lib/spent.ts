/** What answers took, in tokens and milliseconds: sums and rates. */
import type { Rates, Timings, Usage } from './stream'

type Answer = Pick<{ readonly usage: Usage; readonly timings: Timings }, 'usage' | 'timings'>

const usageFields = ['promptTokens', 'cachedTokens', 'completionTokens'] as const
const guessFields = ['guessedTokens', 'acceptedTokens'] as const
const timingFields = ['queueMs', 'decodeImageMs', 'encodeMs', 'prefillMs', 'generateMs'] as const

export class Spent {
  readonly #usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 }
  readonly #timings = { queueMs: 0, decodeImageMs: 0, encodeMs: 0, prefillMs: 0, generateMs: 0 }
  readonly #guesses: { guessedTokens?: number; acceptedTokens?: number } = {}
  /** Tokens that `generateMs` went by for: the first of an answer comes with its prompt. */
  #generated = 0

  add({ usage, timings }: Answer): this {
    for (const field of usageFields) this.#usage[field] += usage[field]
    for (const field of timingFields) this.#timings[field] += timings[field]
    for (const field of guessFields) {
      const guessed = usage[field]
      if (guessed !== undefined) this.#guesses[field] = (this.#guesses[field] ?? 0) + guessed
    }
    this.#generated += Math.max(0, usage.completionTokens - 1)
    return this
  }

  get usage(): Usage {
    return { ...this.#usage, ...this.#guesses }
  }

  get timings(): Timings {
    return { ...this.#timings }
  }

  get rates(): Rates {
    const { promptTokens, cachedTokens } = this.#usage
    const { prefillMs, generateMs } = this.#timings
    return {
      prefill: perSecond(promptTokens - cachedTokens, prefillMs),
      generate: perSecond(this.#generated, generateMs),
    }
  }
}

function perSecond(tokens: number, ms: number): number {
  return ms > 0 ? (tokens * 1000) / ms : 0
}
