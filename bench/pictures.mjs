/**
 * A JPEG of 12 megapixels made ready for the encoder (read, decoded, resized as the reference does it, hashed) against
 * plain sharp that decodes it and resizes it to the same size.
 *
 *   node bench/pictures.mjs [--picture F] [--rounds 9] [--json]
 *
 * All take turns in every round and medians are compared: a noisy neighbour then hits each of them. The time of the CPU, of
 * all threads, tells what the work costs where others keep the clock busy.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { resizeBicubic } from '../dist/engine/engine.js'
import { decodeImage, hashPixels, prepareImage } from '../dist/media/image.js'
import { machine, median, printTable } from './measure.mjs'

const folder = fileURLToPath(new URL('../build-bench', import.meta.url))
const { values: options } = parseArgs({
  options: {
    picture: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false },
  },
})
const picture = options.picture ?? (await drawPicture())
const rounds = Number(options.rounds)
const areas = [448 * 448, 1024 * 1024, 2048 * 2048]
const source = await decodeImage(picture)

const results = []
for (const area of areas) results.push(await compare(area))
if (options.json) console.log(JSON.stringify({ machine: machine(), rounds, results }))
else print()

/** Milliseconds of every round by the clock, and of the CPU, for each way and for the steps of ours. */
async function compare(maxPixels) {
  const geometry = { patchSize: 14, mergeSize: 2, minPixels: 3136, maxPixels }
  const { width, height, pixels } = await prepareImage(picture, geometry, resizeBicubic)
  const work = {
    ours: () => prepareImage(picture, geometry, resizeBicubic),
    sharp: () => plain(width, height, false),
    shortcut: () => plain(width, height, true),
    decode: () => decodeImage(picture),
    resize: () => resizeBicubic(source.data, source.width, source.height, width, height),
    hash: () => hashPixels(pixels, { width, height }),
  }
  const times = Object.fromEntries(Object.keys(work).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const name of Object.keys(work)) times[name].push(await timed(work[name]))
  return { width, height, times }
}

/**
 * With the shortcut libjpeg decodes to an eighth, a quarter or half of the size, so that there is less to resize: other
 * pixels than the reference's. An extract of everything turns it off.
 */
function plain(width, height, shortcut) {
  const all = { left: 0, top: 0, width: source.width, height: source.height }
  const whole = shortcut ? sharp(picture) : sharp(picture).extract(all)
  return whole.resize(width, height, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer()
}

async function timed(work) {
  const [started, before] = [performance.now(), process.cpuUsage()]
  await work()
  const clock = performance.now() - started
  const { user, system } = process.cpuUsage(before)
  return { clock, cpu: (user + system) / 1000 }
}

function print() {
  console.log(`${machine()}\nmedians of ${rounds} rounds, ms\n`)
  const rows = results.map(({ width, height, times }) => {
    const middle = (name, kind) => median(times[name].map((time) => time[kind]))
    const ratio = (kind) => (middle('ours', kind) / middle('sharp', kind)).toFixed(2)
    const milliseconds = Object.keys(times).map((name) => middle(name, 'clock').toFixed(0))
    return [`${width}×${height}`, ...milliseconds, ratio('clock'), ratio('cpu'), '<= 1.2']
  })
  const steps = ['of ours: decode', 'resize', 'hash']
  const ways = ['qwenvl-native', 'sharp', 'with its shortcut', ...steps]
  printTable(['size', ...ways, 'ratio', 'ratio, CPU time', 'goal'], rows)
}

/** Soft shapes under grain, so that decoding it takes the work of a photograph. */
async function drawPicture() {
  const path = join(folder, 'photo-12mp.jpg')
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const size = { width: 4032, height: 3024, channels: 3 }
  const noise = (sigma) => ({ type: 'gaussian', mean: 128, sigma })
  const shapes = sharp({ create: { ...size, width: 63, height: 48, noise: noise(40) } })
  const pixels = await shapes.resize(size.width, size.height, { kernel: 'cubic' }).raw().toBuffer()
  const grain = await sharp({ create: { ...size, noise: noise(16) } })
    .raw()
    .toBuffer()
  await sharp(pixels, { raw: size })
    .composite([{ input: grain, raw: size, blend: 'soft-light' }])
    .jpeg({ quality: 90 })
    .toFile(path)
  return path
}
