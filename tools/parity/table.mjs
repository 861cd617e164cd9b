/**
 * The parity table of docs/parity.md: every golden case of test/fixtures through the package, next to the reference's
 * numbers, and through llama-mtmd-cli where one is named. Ends with 1 when the package is out of tolerance anywhere.
 *
 *   node tools/parity/table.mjs [--mtmd-cli F] [--fixtures DIR] [--only GENERATION]... [--cases WORDS]... [--gpu] [--write]
 *
 * --cases takes those whose name has these words. --gpu computes on the GPU.
 * --write puts the table into docs/parity.md instead of printing it: the whole one, so without the options above.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import prettier from 'prettier'
import { generations as supported } from '../../dist/generations.js'
import { readGenerations } from './cases.mjs'
import { askMtmd } from './mtmd.mjs'
import { measureGeneration } from './ours.mjs'
import { failuresOf, isEqual, replaceBetween, toMarkdown } from './report.mjs'

const { values: options } = parseArgs({
  options: {
    'mtmd-cli': { type: 'string' },
    fixtures: { type: 'string', default: fileURLToPath(new URL('../../test/fixtures', import.meta.url)) },
    only: { type: 'string', multiple: true },
    cases: { type: 'string', multiple: true, default: [''] },
    gpu: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const { fixtures, only, gpu, 'mtmd-cli': program } = options

if (options.write && (only || gpu || options.cases.some((words) => words !== '')))
  throw new Error('--write replaces the whole table: leave out --only, --cases and --gpu')

const order = supported.map(({ id }) => id)
const found = readGenerations(fixtures)
  .filter(({ id }) => only?.includes(id) ?? true)
  .map(({ cases, ...rest }) => ({ ...rest, cases: cases.filter(isWanted) }))
  .sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
const measured = []
for (const generation of found) measured.push(await measure(generation))
summarise(measured)
const table = toMarkdown(measured, program !== undefined)
if (options.write) await writeDocument(table)
else console.log(await format(table))

function isWanted({ label }) {
  return options.cases.some((words) => label.includes(words))
}

async function measure(generation) {
  const { id, reference, cases } = generation
  const { name, results: f32 } = await measureGeneration(generation, fixtures, { precision: 'f32', gpu })
  const { results: f16 } = await measureGeneration(generation, fixtures, { precision: 'f16', gpu })
  const { patchSize, mergeSize } = supported.find((candidate) => candidate.id === id)
  const rows = []
  for (const [i, golden] of cases.entries()) {
    const mtmd = program && !golden.isLarge && (await askMtmd(program, generation, golden, fixtures, patchSize * mergeSize))
    rows.push({ label: golden.label, f32: f32[i], f16: f16[i], mtmd })
  }
  return { id, name, reference, rows }
}

/** Progress and judgement, apart from the table. */
function summarise(generations) {
  for (const { name, rows } of generations) {
    const failures = rows.flatMap(({ label, ...row }) =>
      ['f32', 'f16'].flatMap((type) =>
        failuresOf(row[type], type).map((what) => `${label} (${type}): ${what}`),
      ),
    )
    const asked = rows.filter(({ mtmd }) => mtmd)
    const equal = asked.filter(({ mtmd }) => isEqual(mtmd))
    console.error(`${name}: ${rows.length} cases, ${failures.length} out of tolerance`)
    for (const failure of failures) console.error(`  ${failure}`)
    if (program)
      console.error(`  llama-mtmd-cli answers ${equal.length} of ${asked.length} like the reference`)
    if (failures.length > 0) process.exitCode = 1
  }
}

async function writeDocument(content) {
  const path = fileURLToPath(new URL('../../docs/parity.md', import.meta.url))
  writeFileSync(path, await format(replaceBetween(readFileSync(path, 'utf8'), 'parity', content)))
}

async function format(markdown) {
  const settings = await prettier.resolveConfig(fileURLToPath(import.meta.url))
  return prettier.format(markdown, { ...settings, parser: 'markdown' })
}
