/** The command lines of comparisons. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { physicalCores } from './measure.mjs'

/** Where the models of tools/bench-models lie. */
export const models = fileURLToPath(new URL('../build-bench', import.meta.url))

const textModel = {
  model: { type: 'string', default: join(models, 'Qwen2-VL-2B-random-Q4_0.gguf') },
  threads: { type: 'string', default: String(physicalCores()) },
  rounds: { type: 'string', default: '5' },
  gpu: { type: 'boolean', default: false },
}

/** --model --threads --rounds --gpu of one that shows no pictures, and `more` options; they stay strings. */
export function textOptions(more) {
  return parseArgs({ options: { ...textModel, ...more } }).values
}

/** --rows --model --mmproj --threads --rounds --gpu --tokens --peers --json; numbers are numbers. */
export function comparison() {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      ...textModel,
      mmproj: { type: 'string', default: join(models, 'mmproj-Qwen2-VL-2B-random-F16.gguf') },
      tokens: { type: 'string', default: '64' },
      peers: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  })
  for (const file of [values.model, values.mmproj]) {
    if (!existsSync(file))
      throw new Error(`${file} is missing: write it with tools/bench-models/make.py (see its README)`)
  }
  const [threads, rounds, tokens] = [values.threads, values.rounds, values.tokens].map(Number)
  return { ...values, threads, rounds, tokens }
}

/** The rows that `--rows` names, or all. */
export function wantedRows(all, named) {
  const wanted = named?.split(',') ?? all.map(({ id }) => id)
  const unknown = wanted.filter((id) => !all.some((row) => row.id === id))
  if (unknown.length > 0)
    throw new Error(`No row ${unknown.join()}; there are: ${all.map(({ id }) => id).join()}`)
  return all.filter(({ id }) => wanted.includes(id))
}
