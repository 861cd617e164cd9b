/** Sharper than the tolerances of the golden data: what upstream rounds away and our edits of it put right. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { image, imageEmbedding } from '../../lib'
import { picture, root } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { greedy, loadFixture } from '../support/model'
import { relativeError } from '../support/numbers'

test.each<FixtureId>(['qwen2vl', 'qwen2.5vl'])('%s has a norm that a row of zeros survives', async (id) => {
  await using vl = await loadFixture({ id })
  const { embeddingWidth } = vl.info
  const zeros = imageEmbedding({
    data: new Float32Array(4 * embeddingWidth),
    grid: { t: 1, h: 4, w: 4 },
    tokens: 4,
    width: embeddingWidth,
    hash: 'zeros',
    processed: { width: 56, height: 56 },
  })
  const { logprobs } = await vl.chat([{ role: 'user', content: [zeros, 'What?'] }], {
    ...greedy,
    logprobs: 3,
  })
  for (const { logprob, top } of logprobs ?? []) {
    for (const value of [logprob, ...top.map((entry) => entry.logprob)])
      expect(Number.isFinite(value)).toBe(true)
  }
  expect(logprobs).toHaveLength(greedy.maxTokens)
})

// The tanh form of GELU is off by some 1e-4 of a value, which the golden data's tolerance of 1e-3 lets pass. The blocks of
// Qwen2.5-VL have another activation, so all of the difference is the merger's; those of Qwen3-VL look up a rounded tanh.
test.each<[FixtureId, number]>([
  ['qwen2.5vl', 1e-5],
  ['qwen3vl', 3e-4],
])('%s merges patches with the exact GELU: no value is off by %f of the largest', async (id, most) => {
  await using vl = await loadFixture({ id })
  const { data } = await vl.embedImage(image(picture('scene.png'), { minPixels: 784, maxPixels: 256 * 1024 }))
  const stored = readFileSync(join(root, 'test', 'fixtures', id, 'scene-0.embeddings.bin'))
  const wanted = new Float32Array(stored.buffer.slice(stored.byteOffset, stored.byteOffset + stored.length))
  expect(relativeError(data, wanted)).toBeLessThan(most)
})
