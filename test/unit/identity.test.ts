/** Embeddings on the disk belong to one encoder: its content names it, not its path or its date. */
import { copyFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspectGguf } from '../../lib/engine/engine'
import { fileIdentity } from '../../lib/identity'
import { temporaryFolder } from '../support/errors'
import { pair } from '../support/fixtures'

const folder = temporaryFolder()
const { mmproj } = pair('qwen2vl', 'f16')
const identity = async (path: string, settings: Record<string, string> = {}) =>
  fileIdentity(path, await inspectGguf(path), settings)

test('a copy of another date is the same encoder', async () => {
  const copy = join(folder.path, 'copy.gguf')
  copyFileSync(mmproj, copy)
  utimesSync(copy, 1, 1)
  expect(await identity(copy)).toBe(await identity(mmproj))
  expect(await identity(mmproj)).toMatch(/^[0-9a-f]{64}$/)
})

test('settings are part of it', async () => {
  expect(await identity(mmproj, { flashAttention: 'on' })).not.toBe(await identity(mmproj))
})

test('other generations and precisions are other encoders', async () => {
  const all = [pair('qwen2vl'), pair('qwen2vl', 'f16'), pair('qwen2.5vl'), pair('qwen3vl')]
  expect(new Set(await Promise.all(all.map(({ mmproj: path }) => identity(path)))).size).toBe(all.length)
})

test('any tensor that was trained further makes another encoder, even under an equal header', async () => {
  const { tensors } = await inspectGguf(mmproj)
  const bytes = readFileSync(mmproj)
  const seen = new Set([await identity(mmproj)])
  for (const [index, { offset }] of tensors.entries()) {
    const changed = Buffer.from(bytes)
    changed[offset] = (changed[offset] ?? 0) ^ 1
    const path = join(folder.path, `${index}.gguf`)
    writeFileSync(path, changed)
    seen.add(await identity(path))
  }
  expect(seen.size).toBe(tensors.length + 1)
})
