/** How near two arrays of numbers are. */
import type { GenerationResult } from '../../lib'

/** Logits up to a constant, which the log-softmax takes away: centred, like the reference's below. */
export function firstLogits({ logprobs }: GenerationResult, size: number): Float32Array {
  const values = new Float32Array(size)
  for (const { token, logprob } of logprobs?.[0]?.top ?? []) values[token] = logprob
  return centred(values)
}

export function centred(values: Float32Array): Float32Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.map((value) => value - mean)
}

export function cosine(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  let ab = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? NaN
    const y = b[i] ?? NaN
    ab += x * y
    aa += x * x
    bb += y * y
  }
  return ab / Math.sqrt(aa * bb)
}

/** Largest difference as a share of the largest value. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  return largestDifference(a, b) / b.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0)
}

/** A token that was chosen, or what else a number is of, and its log-probability. */
export type Scored = readonly [token: number, logprob: number]

export function scoresOf({ logprobs = [] }: GenerationResult): Scored[] {
  return logprobs.map(({ token, logprob }) => [token, logprob] as const)
}

/**
 * Largest difference of log-probabilities as far as two answers say the same: behind a close call between two tokens nothing
 * is compared. NaN if there is nothing, or if one ends before.
 */
export function scoreDifference(a: readonly Scored[], b: readonly Scored[]): number {
  let most = a.length > 0 ? 0 : NaN
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [token, logprob] = a[i] ?? [-1, NaN]
    const [other, number] = b[i] ?? [-1, NaN]
    most = Math.max(most, Math.abs(logprob - number))
    if (token !== other) break
  }
  return most
}
