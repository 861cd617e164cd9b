/**
 * What conversations cost that are only kept: their cells lie in the KV memory that a prompt and an answer look through.
 *
 *   node bench/kept.mjs [--model F] [--threads N] [--gpu] [--rounds 5] [--kept 6000]
 *
 * Two copies of one model take turns: in one there is no room for more than what runs.
 */
import { QwenVL, user } from 'qwenvl-native'
import { machine, median, printTable } from './measure.mjs'
import { textOptions } from './options.mjs'
import { greedy, loading } from './sides.mjs'

const options = textOptions({ kept: { type: 'string', default: '6000' } })
const [threads, rounds, kept] = [options.threads, options.rounds, options.kept].map(Number)
const words = 480
const load = (contextSize) => QwenVL.load(loading({ ...options, threads, contextSize }))
const sides = { empty: await load(1024), full: await load(kept + 1024) }

let asked = 0
while (sides.full.stats().kv.used < kept) await ask(sides.full, 1)
await ask(sides.empty, 1)
const measured = { empty: [], full: [] }
for (let round = 0; round < rounds; round++) {
  for (const [side, vl] of Object.entries(sides)) measured[side].push(await ask(vl, 32))
}
const cells = sides.full.stats().kv.used
for (const vl of Object.values(sides)) await vl.dispose()

console.log(`${machine(options)}\n${threads} threads, medians of ${rounds} rounds\n`)
const rows = ['prefill', 'generate'].map((phase) => {
  const [empty, full] = ['empty', 'full'].map((side) => median(measured[side].map((rates) => rates[phase])))
  return [`${phase}, t/s`, empty.toFixed(1), full.toFixed(1), (full / empty).toFixed(3)]
})
printTable(['', 'nothing kept', `${cells} cells in use`, 'ratio'], rows)

/** Rates of an answer to a prompt that nobody asked before. */
async function ask(vl, maxTokens) {
  const messages = [{ role: 'system', content: `${++asked}:` }, user(' word'.repeat(words))]
  return (await vl.chat(messages, { ...greedy, maxTokens })).rates
}
