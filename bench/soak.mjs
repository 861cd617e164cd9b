/**
 * Does memory grow? Many mixed requests for half an hour: texts, pictures seen before and new ones, videos, bad ones,
 * cancelled ones, slow readers. Prints memory once a minute and ends with 1 if it grew beyond the caches.
 *
 *   node --expose-gc bench/soak.mjs [--minutes 30] [--model F --mmproj F] [--parallel 4] [--seed 1]
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { QwenVL, image, user, video } from 'qwenvl-native'
import { median, printTable } from './measure.mjs'

const fixtures = fileURLToPath(new URL('../test/fixtures/qwen2vl', import.meta.url))
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    model: { type: 'string', default: join(fixtures, 'model-f32.gguf') },
    mmproj: { type: 'string', default: join(fixtures, 'mmproj-f32.gguf') },
    parallel: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
  },
})
if (!globalThis.gc) throw new Error('Run it with node --expose-gc: garbage must not count as growth.')
const minutes = Number(options.minutes)
const parallel = Number(options.parallel)
/** Full within the first minute, so that it is no growth later. */
const cacheBytes = 1 << 20
/** What the allocators may keep beyond what is in use. */
const slack = 32 << 20

const vl = await QwenVL.load({
  model: options.model,
  mmproj: options.mmproj,
  contextSize: 4096,
  threads: 1,
  parallel,
  cacheBytes,
})

let state = Number(options.seed)
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}
const pixels = (seed, side) => {
  const data = new Uint8Array(side * side * 3)
  for (let i = 0; i < data.length; i++) data[i] = (Math.imul(i + seed, 2654435761) >>> 16) & 255
  return { data, width: side, height: side, channels: 3 }
}

/** Each request leaves nothing behind, however it ends. */
const kinds = {
  text: () => vl.chat(`Say ${random(1000)}.`, { maxTokens: 20 }),
  'known picture': () =>
    vl.chat([user(image(pixels(random(8), 112)), `What is ${random(9)}?`)], { maxTokens: 8 }),
  'new picture': () => vl.chat([user(image(pixels(random(1e9), 112)), 'What is it?')], { maxTokens: 8 }),
  'new video': () =>
    vl.chat([user(video([0, 1, 2, 3].map(() => pixels(random(1e9), 56))), 'What happens?')], {
      maxTokens: 4,
    }),
  conversation: async () => {
    const chat = vl.createChat({ maxTokens: 8 })
    await chat.send(image(pixels(random(1e9), 56)), 'What is it?')
    await chat.send('And now?')
  },
  'reader that leaves': async () => {
    for await (const part of vl.stream('Count.', { ignoreEos: true })) if (part.type === 'text') break
  },
  'slow reader': async () => {
    for await (const part of vl.stream('Count.', { maxTokens: 20, ignoreEos: true })) {
      await pause(part.type === 'text' ? 20 : 0)
    }
  },
  cancelled: () =>
    vl.chat([user(image(pixels(random(1e9), 224)), 'What is it?')], {
      signal: AbortSignal.timeout(1 + random(200)),
    }),
  'bad picture': () => vl.chat([user(image(Buffer.from('no picture')), 'What is it?')]),
  'too long': () => vl.chat('word '.repeat(5000)),
}
const expected = new Set(['ABORTED', 'IMAGE_CORRUPT', 'CONTEXT_OVERFLOW'])

const end = performance.now() + minutes * 60_000
const counts = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, 0]))
async function visitor() {
  while (performance.now() < end) {
    const kind = Object.keys(kinds)[random(Object.keys(kinds).length)]
    await kinds[kind]().catch((error) => {
      if (!expected.has(error.code)) throw error
    })
    counts[kind]++
  }
}

const samples = []
const sampling = setInterval(
  () => {
    globalThis.gc()
    const { rss, heapUsed, external } = process.memoryUsage()
    samples.push(rss)
    const requests = Object.values(counts).reduce((a, b) => a + b)
    const mib = [rss, heapUsed, external].map((bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`)
    console.log(`${requests} requests: ${mib[0]} resident, ${mib[1]} heap, ${mib[2]} external`)
  },
  Math.min(60_000, (minutes * 60_000) / 10),
)
await Promise.all(Array.from({ length: 2 * parallel }, visitor))
clearInterval(sampling)
await vl.dispose()

// The first fifth fills caches and allocators.
const settled = samples.slice(Math.ceil(samples.length / 5))
const third = Math.max(1, Math.floor(settled.length / 3))
const growth = median(settled.slice(-third)) - median(settled.slice(0, third))
printTable(
  ['request', 'times'],
  Object.entries(counts).map(([kind, count]) => [kind, String(count)]),
)
console.log(
  `\nThe last third has ${(growth / 2 ** 20).toFixed(1)} MiB more than the first, ${slack >> 20} are allowed.`,
)
if (growth > slack) process.exitCode = 1
