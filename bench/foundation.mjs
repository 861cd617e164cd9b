/**
 * The package against llama.cpp's own programs, on the same files, the same threads and the same build settings:
 * decode and prefill through the JavaScript stream, peak memory of one answer about a picture, event-loop delay.
 *
 *   node bench/foundation.mjs [--model F --mmproj F] [--threads N] [--rounds 5] [--tokens 64] [--prompt 512] [--json]
 *
 * Ours and theirs take turns in every round and medians are compared: a noisy neighbour then hits both.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { QwenVL, image, user } from 'qwenvl-native'
import { machine, median, physicalCores, printTable, runProgram, withLoopDelay } from './measure.mjs'
import { peer } from './peers.mjs'

const models = fileURLToPath(new URL('../build-bench', import.meta.url))
const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: join(models, 'Qwen2-VL-2B-random-Q4_0.gguf') },
    mmproj: { type: 'string', default: join(models, 'mmproj-Qwen2-VL-2B-random-F16.gguf') },
    threads: { type: 'string', default: String(physicalCores()) },
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '64' },
    prompt: { type: 'string', default: '512' },
    peers: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const { model, mmproj, threads } = options
const rounds = Number(options.rounds)
const newTokens = Number(options.tokens)
const promptTokens = Number(options.prompt)
const contextSize = 4096
const greedy = { ignoreEos: true, temperature: 0 }
const question = 'Describe this picture.'

for (const file of [model, mmproj]) {
  if (!existsSync(file))
    throw new Error(`${file} is missing: write it with tools/bench-models/make.py (see its README)`)
}
const pictures = await drawPictures()
const report = await measure()
if (options.json) console.log(JSON.stringify(report))
else print(report)

async function measure() {
  const memory = { ours: [], theirs: [] }
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    memory.theirs.push(await theirPeak())
    memory.ours.push(await ourPeak())
    progress(`memory ${round + 1}`)
  }

  const load = await withLoopDelay(() =>
    QwenVL.load({ model, mmproj, contextSize, threads: Number(threads) }),
  )
  const vl = load.result
  try {
    const encode = await withLoopDelay(() => vl.embedImage(image(pictures.large, { maxPixels: 448 * 448 })))
    const generation = await withLoopDelay(() => decodeRate(vl, 'Warm up.'))
    const depth = generation.result.promptTokens

    const decode = { ours: [], theirs: [] }
    const prefill = { ours: [], theirs: [] }
    for (let round = 0; round < rounds; round++) {
      decode.theirs.push(await llamaBench('-p', '0', '-n', newTokens, '-d', depth))
      await warmUp(vl)
      decode.ours.push((await decodeRate(vl, `Round ${round}.`)).rate)
      prefill.ours.push(await prefillRate(vl, round))
      prefill.theirs.push(await llamaBench('-p', promptTokens, '-n', '0'))
      progress(`speed ${round + 1}`)
    }
    return {
      machine: machine(),
      model: vl.info.description,
      threads: Number(threads),
      rounds,
      decode,
      prefill,
      memory,
      loop: { load: delay(load), encode: delay(encode), generation: delay(generation) },
    }
  } finally {
    await vl.dispose()
  }
}

/**
 * Tokens per second that a reader of the stream sees after the prompt was evaluated. The first token falls out of the
 * prompt's own evaluation; the clock includes template, tokenising and every hop between the threads.
 */
/** llama-bench runs once before it measures; after another process had the caches, so must we. */
async function warmUp(vl) {
  await vl.chat(`${'word '.repeat(64)}?`, { ...greedy, maxTokens: 4 })
}

async function decodeRate(vl, text) {
  const started = performance.now()
  const stream = vl.stream([user(text)], { ...greedy, maxTokens: newTokens })
  for await (const part of stream) void part
  const wall = performance.now() - started
  const { usage, timings } = await stream.result
  return {
    rate: (usage.completionTokens - 1) / ((wall - timings.prefillMs) / 1000),
    promptTokens: usage.promptTokens,
  }
}

/** Tokens per second of a prompt of `promptTokens`; every round differs from the start, so nothing is reused. */
async function prefillRate(vl, round) {
  const messages = (words) => [{ role: 'system', content: `${round}:` }, user(' word'.repeat(words))]
  const one = await vl.countTokens(messages(1))
  const perWord = (await vl.countTokens(messages(2))) - one
  const words = 1 + Math.floor((promptTokens - one) / perWord)
  const { usage, timings } = await vl.stream(messages(words), { ...greedy, maxTokens: 1 }).result
  return (usage.promptTokens - usage.cachedTokens) / (timings.prefillMs / 1000)
}

async function llamaBench(...args) {
  const bench = ['-m', model, '-t', threads, '-r', 1, '-ngl', 0, '-o', 'json', ...args].map(String)
  const { stdout } = await runProgram(peer('llama-bench', options.peers), bench)
  return JSON.parse(stdout)[0].avg_ts
}

async function ourPeak() {
  const script = fileURLToPath(new URL('one-picture.mjs', import.meta.url))
  const args = [script, model, mmproj, pictures.small, question, contextSize, threads, 16].map(String)
  return (await runProgram(process.execPath, args)).peak
}

// Their warm-up encodes a picture of 2116 tokens, for which they keep the buffers: not what is compared.
async function theirPeak() {
  const files = ['-m', model, '--mmproj', mmproj, '--image', pictures.small, '-p', question]
  const same = [
    '--no-warmup',
    '-c',
    contextSize,
    '-t',
    threads,
    '-n',
    16,
    '--ignore-eos',
    '--temp',
    0,
    '-ngl',
    0,
  ]
  return (await runProgram(peer('llama-mtmd-cli', options.peers), [...files, ...same].map(String))).peak
}

/** A small picture that neither side resizes (448 is a multiple of 28 and of 32) and a photo-sized one. */
async function drawPictures() {
  mkdirSync(models, { recursive: true })
  const small = join(models, 'picture-448.png')
  const large = join(models, 'picture-12mp.jpg')
  const noise = (width, height) =>
    sharp({ create: { width, height, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 40 } } })
  if (!existsSync(small)) await noise(448, 448).png().toFile(small)
  if (!existsSync(large)) await noise(4032, 3024).jpeg().toFile(large)
  return { small, large }
}

function delay({ p99, max }) {
  return { p99, max }
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`${text} of ${rounds} rounds\n`)
}

function print({ machine, model, threads, decode, prefill, memory, loop }) {
  console.log(`${machine}\n${model}, ${threads} threads, medians of ${rounds} rounds\n`)
  const versus = (name, pair, unit, scale, goal) => {
    const ours = median(pair.ours) / scale
    const theirs = median(pair.theirs) / scale
    return [
      name,
      `${ours.toFixed(2)} ${unit}`,
      `${theirs.toFixed(2)} ${unit}`,
      (ours / theirs).toFixed(3),
      goal,
    ]
  }
  const late = (name, { p99, max }) => [
    `event loop, ${name}`,
    `${p99.toFixed(1)} ms`,
    '',
    `max ${max.toFixed(1)} ms`,
    '<= 10 ms',
  ]
  printTable(
    ['measure', 'qwenvl-native', 'llama.cpp', 'ratio', 'goal'],
    [
      versus(`decode, ${newTokens} tokens`, decode, 't/s', 1, '>= 0.99'),
      versus(`prefill, ${promptTokens} tokens`, prefill, 't/s', 1, '>= 0.98'),
      versus('peak memory, one picture', memory, 'MiB', 2 ** 20, '<= 1.05'),
      late('load', loop.load),
      late('12 megapixel JPEG + encode', loop.encode),
      late('generation', loop.generation),
    ],
  )
}
