/**
 * The package against llama.cpp's own programs, llama-bench and llama-server of the pinned source: one table of speed,
 * waiting and memory. Same files, same threads, same build settings; ours and theirs take turns and medians are compared.
 *
 *   node bench/design.mjs [--rows decode,gap] [--model F --mmproj F] [--threads N] [--gpu] [--rounds 5] [--tokens 64] [--json]
 *
 * Each row of bench/rows is { name, goal, measure }. `measure(bench)` gives { ours, theirs } as lists of values, one a
 * round, where the peer has such a thing.
 */
import { mkdirSync } from 'node:fs'
import sharp from 'sharp'
import { machine, median, printTable } from './measure.mjs'
import { comparison, models, wantedRows } from './options.mjs'
import { rows as processRows } from './rows/process.mjs'
import { rows as speedRows } from './rows/speed.mjs'
import { rows as waitingRows } from './rows/waiting.mjs'

const { rows, json, ...settings } = comparison()
mkdirSync(models, { recursive: true })

/** What every row measures with. */
const bench = {
  ...settings,
  contextSize: 4096,
  folder: models,
  noise,
}
const all = [...speedRows, ...waitingRows, ...processRows]

const results = []
for (const row of wantedRows(all, rows)) {
  process.stderr.write(`${row.name} …\n`)
  const { ours, theirs = [] } = await row.measure(bench)
  const ratio = theirs.length > 0 ? median(ours) / median(theirs) : undefined
  results.push({ ...row, ours, theirs, ratio })
}

if (json) {
  console.log(JSON.stringify({ machine: machine(bench), ...bench, results }))
} else {
  const { model, threads, rounds } = bench
  console.log(
    `${machine(bench)}\n${model.split(/[\\/]/).at(-1)}, ${threads} threads, medians of ${rounds} rounds\n`,
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
