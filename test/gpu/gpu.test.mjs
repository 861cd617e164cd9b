/**
 * What a GPU computes: `npm run build:cuda && npm run test:gpu` (or --vulkan, --metal). Skipped where there is none.
 * Products of matrices are rounded to fewer bits there than on a CPU, F32 ones too, so the tolerances are those of F16 files.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { QwenVL, image, systemReport, user } from 'qwenvl-native'
import { evaluate, figures } from '../../tools/builtin-model/eval.mjs'
import { readGenerations } from '../../tools/parity/cases.mjs'
import { measureGeneration } from '../../tools/parity/ours.mjs'
import { failuresOf } from '../../tools/parity/report.mjs'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const gpu = () => systemReport().devices.find(({ kind }) => kind === 'gpu' || kind === 'igpu')
const skip = gpu() ? false : 'there is no GPU, or the build has no backend for it'
const ffmpeg = spawnSync('ffprobe', ['-version']).status === 0
const greedy = { temperature: 0, ignoreEos: true, maxTokens: 24 }

/** A grey square. */
const plain = (side) => ({
  data: new Uint8Array(side * side * 3).fill(128),
  width: side,
  height: side,
  channels: 3,
})

describe('the built-in model on a GPU', { skip }, () => {
  let vl
  before(async () => (vl = await QwenVL.load()))
  after(() => vl.dispose())

  test('all of it is there', () => {
    const { description } = gpu()
    assert.deepEqual([vl.info.decoder, vl.info.encoder], [description, description])
  })

  test('with `gpuLayers: 0` nothing is', async () => {
    const onCpu = await QwenVL.load({ gpuLayers: 0 })
    const { decoder, encoder } = onCpu.info
    await onCpu.dispose()
    assert.deepEqual([decoder, encoder], ['CPU', 'CPU'])
  })

  test('answers as on a CPU', async (context) => {
    const found = figures(await evaluate(vl, join(fixtures, 'builtin')))
    const { value, count } = found['same answer as transformers F32']
    context.diagnostic(`${(100 * value).toFixed(1)} % of ${count} answers are those of transformers F32`)
    assert.ok(value >= 0.97)
  })

  test('many at once, some of which are cancelled', async () => {
    const picture = join(fixtures, 'builtin/000a.jpg')
    const ask = (signal) => vl.chat([user(image(picture), 'What colour is it?')], { temperature: 0, signal })
    const alone = await ask()
    const answers = await Promise.allSettled(
      Array.from({ length: 24 }, (_, index) => ask(index % 3 ? undefined : AbortSignal.timeout(index))),
    )
    const whole = answers.filter(({ status }) => status === 'fulfilled')
    assert.ok(whole.length >= 16)
    for (const { value } of whole) assert.equal(value.text, alone.text)
    for (const { reason } of answers.filter(({ status }) => status === 'rejected'))
      assert.equal(reason.name, 'AbortError')
  })
})

describe('the reference on a GPU', { skip }, () => {
  for (const generation of readGenerations(fixtures)) {
    test(generation.id, async (context) => {
      const cases = generation.cases.filter(
        ({ isLarge, label }) => !isLarge && (ffmpeg || !label.startsWith('video file')),
      )
      const { results } = await measureGeneration({ ...generation, cases }, fixtures, {
        precision: 'f32',
        gpu: true,
      })
      const failed = results.flatMap((result, index) =>
        failuresOf(result, 'f16').map((what) => `${cases[index].label}: ${what}`),
      )
      const same = results.filter(({ tokens }) => tokens.equal === tokens.of)
      context.diagnostic(`${same.length} of ${results.length} answers are token by token the reference's`)
      assert.deepEqual(failed, [])
    })
  }
})

describe('an engine on a GPU', { skip }, () => {
  const pair = (id) => ({
    model: join(fixtures, id, 'model-f32.gguf'),
    mmproj: join(fixtures, id, 'mmproj-f32.gguf'),
    contextSize: 2048,
  })
  let folder
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'qwenvl-gpu-'))))
  after(() => rm(folder, { recursive: true }))

  for (const id of ['qwen2.5vl', 'qwen3.5']) {
    test(`KV memory of ${id} is saved, and taken back by the next one`, async () => {
      const file = join(folder, `${id}.chat`)
      const vl = await QwenVL.load(pair(id))
      const chat = vl.createChat(greedy)
      await chat.send(image(join(fixtures, 'images/scene.png')), 'What is it?')
      await chat.save(file, { kv: true })
      const wanted = await chat.send('And now?')
      await vl.dispose()

      const again = await QwenVL.loadChat(file, greedy)
      const answer = await again.send('And now?')
      await again.model.dispose()
      assert.ok(answer.usage.cachedTokens > 0.8 * wanted.usage.cachedTokens)
      assert.equal(answer.text, wanted.text)
    })
  }

  test('a text goes on while a picture is encoded', async (context) => {
    const vl = await QwenVL.load({ ...pair('qwen2.5vl'), largeImages: 'shrink', encoderMemory: 1e10 })
    const stream = vl.stream('Go on.', { ...greedy, maxTokens: 1500 })
    let encoding
    let isEncoded = false
    let tokens = 0
    for await (const part of stream) {
      if (part.type !== 'text') continue
      encoding ??= vl
        .embedImage(image(join(fixtures, 'images/scene.png'), { minPixels: 6e6, maxPixels: 8e6 }))
        .then(() => (isEncoded = true))
      if (!isEncoded) tokens++
    }
    await encoding
    await vl.dispose()
    context.diagnostic(`${tokens} parts of the text came meanwhile`)
    assert.ok(tokens > 3)
  })

  // A text's step is recorded as a CUDA graph while buffers of the encoder grow and shrink.
  test('pictures of many sizes beside texts that begin and end', async () => {
    const vl = await QwenVL.load(pair('qwen2.5vl'))
    const ask = (round) =>
      vl.chat(`Round ${round}: ${'why '.repeat(round % 13)}?`, { ...greedy, maxTokens: 1 + (round % 9) })
    const see = (round) => vl.embedImage(image(plain(28 * (2 + ((round * 7) % 31))), { cache: 'none' }))
    for (let round = 0; round < 400; round += 4) {
      const rounds = [round, round + 1, round + 2, round + 3]
      const answers = await Promise.all([...rounds.map(ask), ...rounds.map(see)])
      assert.ok(answers.slice(0, 4).every(({ tokens }, index) => tokens.length === 1 + (rounds[index] % 9)))
    }
    await vl.dispose()
  })

  test('gives its memory back', async () => {
    const before = gpu().memoryFree
    const vl = await QwenVL.load({ ...pair('qwen2vl'), contextSize: 32768 })
    await vl.chat('Hello', greedy)
    await vl.dispose()
    assert.ok(before - gpu().memoryFree < 64 * 2 ** 20)
  })
})
