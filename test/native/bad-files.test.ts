/** Files that are no models: each fault has its own typed error, whose message names the fix; a good pair still loads. */
import { existsSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { ModelLoadError, QwenVL, UnsupportedModelError } from '../../lib'
import type { LoadOptions } from '../../lib'
import { addon } from '../../lib/engine/binding'
import { expectError, temporaryFolder } from '../support/errors'
import type { Expected } from '../support/errors'
import { pair, picture, root, small } from '../support/fixtures'

const { path: folder, file } = temporaryFolder()

const { model, mmproj } = pair()
const bytes = readFileSync(model)
const projectorBytes = readFileSync(mmproj)

const load = (options: Partial<LoadOptions>) => async () => {
  const vl = await QwenVL.load({ model, mmproj, ...small, ...options })
  await vl.dispose()
}
const fails = (options: Partial<LoadOptions>, expected: Expected) => expectError(load(options), expected)

afterAll(load({})) // a good pair still loads

test('no such file', async () => {
  const expected = { type: ModelLoadError, code: 'FILE_NOT_FOUND', says: ['Check the path'] }
  await fails(
    { model: '/does/not/exist.gguf' },
    { ...expected, says: ['/does/not/exist.gguf', 'Check the path'] },
  )
  await fails({ mmproj: '/does/not/exist.gguf' }, expected)
  await fails({ model: folder }, expected)
  await fails({ model: 'a\0b.gguf' }, expected)
})

test('not a GGUF file', async () => {
  const expected = { type: ModelLoadError, code: 'NOT_GGUF', says: ['is not a GGUF file', 'convert'] }
  await fails({ model: file('text.gguf', 'a text\n') }, expected)
  await fails({ model: file('empty.gguf', '') }, expected)
  await fails({ mmproj: file('three.gguf', 'GGU') }, expected)
  await fails({ mmproj: picture('tiny.png') }, expected)
  await fails({ model: join(root, 'package.json') }, expected)
})

test.each([4, 8, 16, 24, 100, 1000, 5000, 9000])('cut inside the header, after %i bytes', async (size) => {
  const expected = {
    type: ModelLoadError,
    code: ['GGUF_CORRUPT', 'GGUF_TRUNCATED'],
    says: ['Download the file again'],
  }
  await fails({ model: file('cut.gguf', bytes.subarray(0, size)) }, expected)
  await fails({ mmproj: file('cut.gguf', projectorBytes.subarray(0, size)) }, expected)
})

test.each([0.3, 0.5, 0.9, 0.999])('cut inside the tensors, at %d of the file', async (share) => {
  for (const [key, whole] of [['model', bytes] as const, ['mmproj', projectorBytes] as const]) {
    const cut = file('cut.gguf', whole.subarray(0, Math.floor(whole.length * share)))
    await fails({ [key]: cut }, {
      type: ModelLoadError,
      code: 'GGUF_TRUNCATED',
      says: ['is cut off', `has ${Math.floor(whole.length * share)} bytes`, 'Download the file again'],
    }) // prettier-ignore
  }
})

test('a byte less', () =>
  fails({ model: file('cut.gguf', bytes.subarray(0, bytes.length - 1)) }, {
    type: ModelLoadError,
    code: 'GGUF_TRUNCATED',
    says: ['Download'],
  })) // prettier-ignore

test('a header that only claims to be one', async () => {
  const claims = Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(60, 0xff)])
  const error = await fails({ model: file('claims.gguf', claims) }, {
    type: ModelLoadError,
    code: 'GGUF_CORRUPT',
    says: ['damaged'],
  }) // prettier-ignore
  expect(error.details.log).toEqual(expect.stringContaining('gguf'))
})

test('a projector of another generation', async () => {
  const expected = {
    type: UnsupportedModelError,
    code: 'PROJECTOR_MISMATCH',
    says: ['The projector is for', 'mmproj'],
  }
  await fails({ mmproj: pair('qwen3vl').mmproj }, expected)
  await fails({ model: pair('qwen3vl').model }, expected)
})

test('a projector of another width', async () => {
  // As the model's own, but declaring and giving rows of another width.
  const narrow = Buffer.from(projectorBytes)
  const key = narrow.indexOf('clip.vision.projection_dim')
  narrow.writeUInt32LE(48, key + 'clip.vision.projection_dim'.length + 4)
  await fails({ mmproj: file('narrow.gguf', narrow) }, {
    type: UnsupportedModelError,
    code: 'PROJECTOR_MISMATCH',
    says: ['width 48', 'the model takes 64', 'Take the mmproj file from the repository'],
  }) // prettier-ignore
})

test('model and projector swapped, twice the same', async () => {
  const expected = { type: UnsupportedModelError, code: 'PROJECTOR_MISMATCH' }
  await fails({ model: mmproj, mmproj: model }, { ...expected, says: ['swapped'] })
  await fails({ model: mmproj, mmproj }, { ...expected, says: ['pass the text model'] })
  await fails({ mmproj: model }, { ...expected, says: ['is not a projector'] })
})

test('a projector alone', () =>
  expectError(() => QwenVL.load({ model: mmproj, ...small }), {
    type: UnsupportedModelError,
    code: 'UNSUPPORTED_MODEL',
    says: ['pass it as `mmproj`'],
  }))

test('another architecture', async () => {
  const other = Buffer.from(bytes.toString('latin1').replaceAll('qwen2vl', 'qwen2xx'), 'latin1')
  await fails({ model: file('other.gguf', other) }, {
    type: UnsupportedModelError,
    code: 'UNSUPPORTED_MODEL',
    says: ["'qwen2xx'", 'supported are', 'Choose'],
  }) // prettier-ignore
})

// Where the system promises any memory, the promise is broken with the first bytes that are read.
const overcommit = '/proc/sys/vm/overcommit_memory'
const hasLimits = existsSync(overcommit) && !readFileSync(overcommit, 'utf8').startsWith('1')

;(hasLimits ? test : test.skip)('files larger than the memory', async () => {
  const expected = {
    type: ModelLoadError,
    code: 'OUT_OF_MEMORY',
    says: ['smaller quantisation', 'gpuLayers'],
  }
  await fails({ model: await swollen('model.gguf', model, 'qwen2vl') }, expected)
  await fails({ mmproj: await swollen('mmproj.gguf', mmproj, 'clip.vision') }, expected)
})

/** A sparse copy of a file whose hidden layers are 2^30 wide: some terabytes. */
async function swollen(name: string, original: string, prefix: string): Promise<string> {
  const width = 2 ** 30
  const bytes = readFileSync(original)
  const { tensors } = await addon().inspectGguf(original)
  const key = `${prefix}.feed_forward_length`
  bytes.writeUInt32LE(width, bytes.indexOf(key) + key.length + 4)
  let end = 0
  for (const { name: tensor, shape } of tensors) {
    const at = bytes.indexOf(lengthAndText(tensor)) + 8 + tensor.length + 4
    const hidden = /ffn_(up|gate)/.test(tensor)
      ? shape.length - 1
      : tensor.includes('ffn_down.weight')
        ? 0
        : -1
    const grown = shape.map((size, axis) => (axis === hidden ? width : size))
    grown.forEach((size, axis) => bytes.writeBigUInt64LE(BigInt(size), at + 8 * axis))
    bytes.writeBigUInt64LE(BigInt(end), at + 8 * shape.length + 4)
    end += Math.ceil((4 * grown.reduce((product, size) => product * size, 1)) / 32) * 32
  }
  const path = file(name, bytes.subarray(0, tensors[0]?.offset))
  truncateSync(path, (tensors[0]?.offset ?? 0) + end)
  return path
}

/** A string as GGUF files have it. */
function lengthAndText(text: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, Buffer.from(text)])
}

test('a good header whose tensors llama.cpp misses', async () => {
  const broken = Buffer.from(
    bytes.toString('latin1').replace('blk.1.attn_q.weight', 'blk.1.attn_x.weight'),
    'latin1',
  )
  const error = await fails({ model: file('broken.gguf', broken) }, {
    type: ModelLoadError,
    code: 'MODEL_LOAD_FAILED',
    says: ['llama.cpp refused', 'details'],
  }) // prettier-ignore
  expect(error.details.log).toEqual(expect.stringContaining('attn_q'))
})
