/** How near two arrays are. Arrays of different lengths are infinitely far. */

export function cosine(a, b) {
  if (a.length !== b.length) return -1
  let ab = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i]
    aa += a[i] * a[i]
    bb += b[i] * b[i]
  }
  return ab / Math.sqrt(aa * bb)
}

/** Largest difference as a share of the largest value of the reference. */
export function relativeError(values, reference) {
  if (values.length !== reference.length) return Infinity
  let difference = 0
  let largest = 0
  for (let i = 0; i < values.length; i++) {
    difference = Math.max(difference, Math.abs(values[i] - reference[i]))
    largest = Math.max(largest, Math.abs(reference[i]))
  }
  return difference / largest
}

/** Shares of bytes that are the same, and that differ by one at most. */
export function agreement(bytes, reference) {
  if (bytes.length !== reference.length) return { same: 0, near: 0 }
  let same = 0
  let near = 0
  for (let i = 0; i < bytes.length; i++) {
    const apart = Math.abs(bytes[i] - reference[i])
    if (apart === 0) same++
    if (apart <= 1) near++
  }
  return { same: same / bytes.length, near: near / bytes.length }
}

/** Values less their mean: logits are known up to a constant only. */
export function centred(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.map((value) => value - mean)
}

/** Length of the common beginning of two arrays. */
export function commonLength(a, b) {
  const end = Math.min(a.length, b.length)
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i
  return end
}
