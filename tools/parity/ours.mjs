/** Golden cases through the package, and how near its numbers are to the reference's. */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { Engine, resizeBicubic, resizeFrame } from '../../dist/engine/engine.js'
import { generations } from '../../dist/generations.js'
import { prepareImage } from '../../dist/media/image.js'
import { prepareVideo } from '../../dist/media/video.js'
import { QwenVL } from '../../dist/index.js'
import { messagesOf, optionsOf, partsOf, readArray, renderingOf } from './cases.mjs'
import { agreement, centred, commonLength, cosine, relativeError } from './numbers.mjs'

/**
 * Measures all cases of a generation with its F32 or F16 files (`precision`), on the CPU or the GPU.
 * Resolves with `{ name, results }`, for each case `{ prompt, pixels, embeddings, logits, tokens }`; of large ones, which
 * are not answered, the first two, and of an F32 one embeddings.
 */
export async function measureGeneration(generation, root, { precision, gpu = false }) {
  const { id, folder, cases } = generation
  const computed = cases.filter(({ isLarge }) => !isLarge)
  const longest = Math.max(256, ...computed.map(({ inputIds, tokens }) => inputIds.length + tokens.length))
  const settings = {
    model: join(folder, `model-${precision}.gguf`),
    mmproj: join(folder, `mmproj-${precision}.gguf`),
    contextSize: Math.ceil((longest + 1) / 256) * 256,
    encoderMemory: Number.MAX_SAFE_INTEGER,
    threads: 1,
    gpuLayers: gpu ? -1 : 0,
    flashAttention: 'off',
    cacheType: 'f32',
  }
  const rules = generations.find((candidate) => candidate.id === id)
  const vl = await QwenVL.load(settings)
  // Without flash attention a picture of 16384 tokens would take 34 GB, with one thread a minute.
  const large = { ...settings, flashAttention: 'auto', threads: availableParallelism() }
  const farSighted = precision === 'f32' ? await QwenVL.load(large) : undefined
  const { encoderMemory: _, ...engineSettings } = settings
  const engine = await Engine.open({
    ...engineSettings,
    batchSize: 512,
    mmap: false,
    parallel: 1,
    deterministic: false,
    stepMs: 100,
    encoderPrecision: 'auto',
    cacheBytes: 0,
    cacheDir: '',
    cacheDirBytes: 0,
    encoderIdentity: '',
    promptIdentity: '',
    log: false,
    adapters: [],
  })
  const results = []
  try {
    for (const golden of cases) {
      const encoder = golden.isLarge ? farSighted : vl
      const subject = { golden, folder, vl, encoder, engine, rules, messages: messagesOf(golden, root) }
      const media = golden.frames ? await measureVideo(subject) : await measurePictures(subject)
      const answer = golden.isLarge ? {} : await compareAnswer(subject)
      results.push({ prompt: await comparePrompt(subject), ...media, ...answer })
    }
    return { name: vl.info.generationName, results }
  } finally {
    await engine.close()
    await farSighted?.dispose()
    await vl.dispose()
  }
}

/** Names of what is not exactly the reference's. */
async function comparePrompt({ golden, vl, messages }) {
  const seen = await vl.inspect(messages, renderingOf(golden))
  const { t, h, w } = seen.positions
  const sizes = (images) => images.map(({ width, height }) => [width, height])
  const grids = (images) => images.map(({ grid }) => grid)
  const triple = ({ grid }) => [grid.t, grid.h, grid.w]
  const pairs = {
    text: [seen.text, golden.prompt],
    ids: golden.isLarge
      ? [digestOf(seen.tokens), golden.inputIds]
      : [[...seen.tokens], golden.inputIds],
    positions: golden.isLarge
      ? [digestOf(t, h, w), golden.positions]
      : [[[...t], [...h], [...w]], golden.positions],
    'rope delta': [seen.ropeDelta, golden.ropeDelta],
    ...(golden.images && {
      sizes: [sizes(seen.images.map(({ processed }) => processed)), sizes(golden.images)],
      grids: [seen.images.map(triple), grids(golden.images)],
    }),
    ...(golden.frames && {
      sizes: [sizes(seen.videos.map(({ processed }) => processed)), sizes([golden.frames])],
      grids: [seen.videos.map(triple), [golden.grid]],
      frames: [seen.videos.map(({ frames }) => frames), [golden.frames.count]],
    }),
  }
  return Object.keys(pairs).filter(
    (name) => JSON.stringify(pairs[name][0]) !== JSON.stringify(pairs[name][1]),
  )
}

/** Of long arrays the golden data keep a hash. */
function digestOf(...rows) {
  const hash = createHash('sha256')
  for (const row of rows) hash.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength))
  return { count: rows.reduce((sum, { length }) => sum + length, 0), sha256: hash.digest('hex') }
}

async function compareAnswer({ golden, folder, vl, messages }) {
  const { vocabSize } = vl.info
  const answer = await vl.chat(messages, {
    ...renderingOf(golden),
    maxTokens: golden.tokens.length,
    temperature: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    ignoreEos: true,
    logprobs: vocabSize,
  })
  const logits = new Float32Array(vocabSize)
  for (const { token, logprob } of answer.logprobs[0].top) logits[token] = logprob
  return {
    logits: cosine(centred(logits), centred(readArray(folder, golden.logits))),
    tokens: {
      equal: commonLength(answer.tokens, golden.tokens),
      of: golden.tokens.length,
      decisive: golden.f16Tokens ?? 0,
    },
  }
}

async function measurePictures({ golden, folder, encoder, rules, messages }) {
  const pictures = partsOf(messages, 'image')
  if (pictures.length === 0) return {}
  const near = []
  const embeddings = []
  for (const [index, picture] of pictures.entries()) {
    const reference = golden.images[index]
    const geometry = { ...rules, ...optionsOf(picture) }
    const { pixels, hash } = await prepareImage(picture.image, geometry, resizeBicubic)
    if (reference.resized) near.push(agreement(pixels, await pixelsOf(folder, reference.resized)))
    else near.push(hash === reference.hash ? { same: 1, near: 1 } : { same: 0, near: 0 })
    if (!encoder || !reference.embeddings) continue
    const { data, width } = await encoder.embedImage(picture)
    const rows = everyRow(data, width, reference.embeddings.every ?? 1)
    const wanted = readArray(folder, reference.embeddings)
    embeddings.push({ cosine: cosine(rows, wanted), error: relativeError(rows, wanted) })
  }
  return worst(near, embeddings)
}

/** The first of each `every` rows. */
function everyRow(data, width, every) {
  return data.filter((_, index) => Math.floor(index / width) % every === 0)
}

/** A file may be decoded a little otherwise than by the reference: the vision tower is measured with its very pixels. */
async function measureVideo({ golden, folder, engine, rules, messages }) {
  const [part] = partsOf(messages, 'video')
  const { patchSize, mergeSize, video: ofVideos } = rules
  const geometry = { patchSize, mergeSize, ...ofVideos, reference: 'qwen-vl-utils' }
  const scaling = { picture: resizeBicubic, frame: resizeFrame }
  const { pairs } = await prepareVideo(part.video, optionsOf(part), geometry, scaling)
  const reference = await pixelsOf(folder, golden.frames.file)
  const near = agreement(Buffer.concat(pairs.map(({ pixels }) => pixels)), reference)
  const [count, height, width] = golden.grid
  const size = {
    width: width * patchSize,
    height: height * patchSize,
    count: (height * width) / mergeSize ** 2,
  }
  const rows = []
  for (let pair = 0; pair < count; pair++) {
    const bytes = reference.length / count
    rows.push(...(await encode(engine, reference.subarray(pair * bytes, (pair + 1) * bytes), size)))
  }
  const wanted = readArray(folder, golden.embeddings)
  return worst([near], [{ cosine: cosine(rows, wanted), error: relativeError(rows, wanted) }])
}

function encode(engine, pixels, size) {
  return new Promise((resolve, reject) => {
    engine.submit({ kind: 'encode', priority: 0, hash: '', cache: 'none', pixels, ...size, frames: 2 }, (event) => {
      if (event.type === 'embedding') resolve(event.data)
      if (event.type === 'error') reject(new Error(event.message))
    })
  })
}

function worst(near, embeddings) {
  return {
    pixels: {
      same: Math.min(...near.map(({ same }) => same)),
      near: Math.min(...near.map((share) => share.near)),
    },
    ...(embeddings.length > 0 && {
      embeddings: {
        cosine: Math.min(...embeddings.map((embedding) => embedding.cosine)),
        error: Math.max(...embeddings.map(({ error }) => error)),
      },
    }),
  }
}

function pixelsOf(folder, file) {
  return sharp(join(folder, file)).raw().toBuffer()
}
