/** Weights of the vision encoder: as the file has them, or in the type that this CPU multiplies faster. */
import { readFileSync } from 'node:fs'
import { QwenVL, image } from '../../lib'
import type { LoadOptions } from '../../lib'
import { inspectGguf } from '../../lib/engine/engine'
import { temporaryFolder } from '../support/errors'
import { fixtureIds, pair, picture, small } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { cosine } from '../support/numbers'

const folder = temporaryFolder()

/** The encoder's rows for a picture, and the type of its weights. */
async function encode(options: Pick<LoadOptions, 'model' | 'mmproj' | 'encoderPrecision'>) {
  const vl = await QwenVL.load({ ...small, ...options })
  try {
    return {
      rows: (await vl.embedImage(image(picture('scene.png')))).data,
      weights: vl.info.encoderWeights,
    }
  } finally {
    await vl.dispose()
  }
}

/** The F16 projector of a fixture with all weights cut to what BF16 can hold, as in files made of Qwen's checkpoints. */
async function projectorOfBf16(id: FixtureId): Promise<string> {
  const { mmproj } = pair(id, 'f16')
  const bytes = readFileSync(mmproj)
  for (const { type, offset, bytes: length } of (await inspectGguf(mmproj)).tensors) {
    if (type !== 'f16') continue
    for (let at = offset; at < offset + length; at += 2) {
      const bits = bytes.readUInt16LE(at)
      const isSubnormal = (bits & 0x7c00) === 0
      bytes.writeUInt16LE(isSubnormal ? bits & 0x80ff : bits & 0xfff8, at)
    }
  }
  return folder.file(`${id}.gguf`, bytes)
}

describe.each(fixtureIds)('%s', (id) => {
  test('weights that BF16 can hold: both precisions agree, within what eight bits allow', async () => {
    const files = { model: pair(id, 'f16').model, mmproj: await projectorOfBf16(id) }
    const exact = await encode({ ...files, encoderPrecision: 'exact' })
    const auto = await encode(files)
    expect(exact.weights).toBe('f16')
    expect(['f16', 'bf16']).toContain(auto.weights) // as this CPU likes
    expect(cosine(auto.rows, exact.rows)).toBeGreaterThan(0.999)
    if (auto.weights === 'f16') expect(auto.rows).toEqual(exact.rows)
  })

  test('weights that BF16 would change stay as they are', async () => {
    const files = pair(id, 'f16')
    const auto = await encode(files)
    expect(auto).toEqual(await encode({ ...files, encoderPrecision: 'exact' }))
    expect(auto.weights).toBe('f16')
  })
})

test('an F32 file stays F32', async () => {
  expect((await encode(pair())).weights).toBe('f32')
})

test('without a projector there are no weights of an encoder', async () => {
  const vl = await QwenVL.load({ ...small, model: pair().model })
  expect(vl.info.encoderWeights).toBeUndefined()
  await vl.dispose()
})
