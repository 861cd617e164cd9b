/** Numbers that look random and follow from a seed. */

export interface Random {
  /** From 0, below 1. */
  readonly fraction: () => number
  /** A whole number from 0, below `count`. */
  readonly below: (count: number) => number
  readonly oneOf: <T>(values: readonly T[]) => T
}

/** Mulberry32: small, and the same everywhere. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(fraction() * count)
  return { fraction, below, oneOf: <T>(values: readonly T[]) => values[below(values.length)] as T }
}
