/** What the programs beside this file share: the built package and a tiny model. */
const { join } = require('node:path')

const root = join(__dirname, '..', '..', '..')
const fixtures = join(root, 'test', 'fixtures', 'qwen2vl')

module.exports = {
  root,
  package: require(join(root, 'dist')),
  engine: require(join(root, 'dist', 'engine', 'engine')),
  options: {
    model: join(fixtures, 'model-f32.gguf'),
    mmproj: join(fixtures, 'mmproj-f32.gguf'),
    contextSize: 4096,
    threads: 1,
  },
  /** All parameters, for the engine below the public API. */
  params: {
    model: join(fixtures, 'model-f32.gguf'),
    mmproj: join(fixtures, 'mmproj-f32.gguf'),
    contextSize: 4096,
    batchSize: 512,
    threads: 1,
    gpuLayers: 0,
    flashAttention: 'auto',
    cacheType: 'f16',
    mmap: true,
    encoderPrecision: 'auto',
    parallel: 4,
    deterministic: false,
    mtp: false,
    stepMs: 100,
    cacheBytes: 0,
    cacheDir: '',
    cacheDirBytes: 0,
    encoderIdentity: '',
    promptIdentity: '',
    adapters: [],
  },
}
