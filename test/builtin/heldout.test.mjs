// The built-in model on held-out pictures and wordings: thresholds lie slightly under the figures of docs/builtin-model.md.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { QwenVL } from 'qwenvl-native'
import { evaluate, figures } from '../../tools/builtin-model/eval.mjs'

const folder = fileURLToPath(new URL('../fixtures/builtin', import.meta.url))

const least = {
  'colour and shape': 0.97,
  'yes or no': 0.97,
  count: 0.95,
  'box of one thing, mean IoU': 0.85,
  'printed words up to 6 characters': 0.7,
  movement: 0.9,
  'same answer as transformers F32': 0.97,
  'unrelated questions end by themselves': 0.99,
}

describe('the built-in model, on pictures that it has never seen', () => {
  let vl
  let found
  before(async () => {
    vl = await QwenVL.load({ threads: 1 })
    found = figures(await evaluate(vl, folder))
  })
  after(() => vl.dispose())

  test('is a Qwen3-VL that declares its own use', () => {
    assert.equal(vl.info.generation, 'qwen3vl')
    assert.equal(vl.info.sampling.topK, 1)
    assert.deepEqual(vl.info.image, { factor: 32, minPixels: 28 * 32 ** 2, maxPixels: 38 * 32 ** 2 })
  })

  for (const [name, threshold] of Object.entries(least)) {
    test(`${name}: at least ${100 * threshold} %`, (context) => {
      const { value, count } = found[name]
      context.diagnostic(`${(100 * value).toFixed(1)} % of ${count}`)
      assert.ok(value >= threshold)
    })
  }
})
