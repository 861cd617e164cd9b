/** Files of the tests: tiny models with random weights, pictures. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(__dirname, '..', '..')

/** Held-out golden data, of other models than the committed ones: `tools/fixtures/make.py --seed 7 --shape other`. */
export const heldOut = process.env.QWENVL_FIXTURES
export const goldenRoot = heldOut ?? join(root, 'test', 'fixtures')

/** Generations that have fixtures: their folders in test/fixtures. */
export const fixtureIds = ['qwen2vl', 'qwen2.5vl', 'qwen3vl', 'qwen3vlmoe', 'qwen3.5', 'qwen3.5moe'] as const
export type FixtureId = (typeof fixtureIds)[number]
/** Held-out data may be of some generations only. */
export const goldenIds = fixtureIds.filter((id) => existsSync(join(goldenRoot, id, 'golden.json')))

/** Model and projector of a generation, as load options. */
export function pair(id: FixtureId = 'qwen2vl', precision: 'f32' | 'f16' = 'f32') {
  const folder = join(root, 'test', 'fixtures', id)
  return { model: join(folder, `model-${precision}.gguf`), mmproj: join(folder, `mmproj-${precision}.gguf`) }
}

/** The LoRA adapter of a generation. */
export function adapterOf(id: FixtureId): string {
  return join(root, 'test', 'fixtures', id, 'lora-f32.gguf')
}

export function picture(name: string): string {
  return join(root, 'test', 'fixtures', 'images', name)
}

/** What makes a tiny model quick and its numbers exact; on a GPU (`QWENVL_TEST_GPU=1 npx jest test/native`) they are less so. */
export const small = {
  contextSize: 512,
  threads: 1,
  gpuLayers: process.env.QWENVL_TEST_GPU ? -1 : 0,
  flashAttention: 'off',
  cacheType: 'f32',
  mmap: false,
  encoderPrecision: 'auto',
} as const

/** The same for an engine without the model around it. */
export const bare = {
  ...small,
  batchSize: 64,
  parallel: 4,
  deterministic: false,
  mtp: false,
  stepMs: 100,
  cacheBytes: 0,
  cacheDir: '',
  cacheDirBytes: 0,
  encoderIdentity: '',
  promptIdentity: '',
  log: false,
  adapters: [],
} as const

/** RGB noise that is the same everywhere. */
export function noise(width: number, height: number, seed = 1): Uint8Array {
  const pixels = new Uint8Array(width * height * 3)
  let state = seed >>> 0
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    pixels[i] = state >>> 24
  }
  return pixels
}
