/**
 * The package against llama.cpp's own programs, llama-bench and llama-server of the pinned source: one table of speed,
 * waiting and memory. Same files, same threads, same build settings; ours and theirs take turns and medians are compared.
 *
 *   node bench/design.mjs [--rows decode,gap] [--model F --mmproj F] [--threads N] [--rounds 5] [--tokens 64] [--json]
 *
 * Each row of bench/rows is { name, goal, measure }. `measure(bench)` gives { ours, theirs } as lists of values, one a
 * round, where the peer has such a thing.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { machine, median, physicalCores, printTable } from './measure.mjs'
import { rows as processRows } from './rows/process.mjs'
import { rows as speedRows } from './rows/speed.mjs'
import { rows as waitingRows } from './rows/waiting.mjs'

const models = fileURLToPath(new URL('../build-bench', import.meta.url))
const { values: options } = parseArgs({
  options: {
    rows: { type: 'string' },
    model: { type: 'string', default: join(models, 'Qwen2-VL-2B-random-Q4_0.gguf') },
    mmproj: { type: 'string', default: join(models, 'mmproj-Qwen2-VL-2B-random-F16.gguf') },
    threads: { type: 'string', default: String(physicalCores()) },
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '64' },
    peers: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
for (const file of [options.model, options.mmproj]) {
  if (!existsSync(file))
    throw new Error(`${file} is missing: write it with tools/bench-models/make.py (see its README)`)
}
mkdirSync(models, { recursive: true })

/** What every row measures with. */
const bench = {
  model: options.model,
  mmproj: options.mmproj,
  threads: Number(options.threads),
  rounds: Number(options.rounds),
  tokens: Number(options.tokens),
  peers: options.peers,
  contextSize: 4096,
  folder: models,
  noise,
}
const all = [...speedRows, ...waitingRows, ...processRows]
const wanted = options.rows?.split(',') ?? all.map(({ id }) => id)
const unknown = wanted.filter((id) => !all.some((row) => row.id === id))
if (unknown.length > 0)
  throw new Error(`No row ${unknown.join()}; there are: ${all.map(({ id }) => id).join()}`)

const results = []
for (const row of all.filter(({ id }) => wanted.includes(id))) {
  process.stderr.write(`${row.name} …\n`)
  const { ours, theirs = [] } = await row.measure(bench)
  const ratio = theirs.length > 0 ? median(ours) / median(theirs) : undefined
  results.push({ ...row, ours, theirs, ratio })
}

if (options.json) {
  console.log(JSON.stringify({ machine: machine(), ...bench, results }))
} else {
  const { model, threads, rounds } = bench
  console.log(
    `${machine()}\n${model.split(/[\\/]/).at(-1)}, ${threads} threads, medians of ${rounds} rounds\n`,
  )
  printTable(
    ['measure', 'qwenvl-native', 'llama.cpp', 'ratio', 'goal'],
    results.map(({ name, unit, ours, theirs, ratio, goal }) => [
      name,
      text(ours, unit),
      text(theirs, unit),
      ratio === undefined ? '' : ratio.toFixed(3),
      goal,
    ]),
  )
}

function text(values, unit) {
  if (values.length === 0) return ''
  const value = median(values)
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`
}

/** PNG of a picture that nobody has seen before. */
function noise(width, height) {
  const mean = 100 + 56 * Math.random()
  const picture = {
    width,
    height,
    channels: 3,
    background: '#777',
    noise: { type: 'gaussian', mean, sigma: 40 },
  }
  return sharp({ create: picture }).png().toBuffer()
}
