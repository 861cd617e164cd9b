/**
 * What guessing ahead (`speculate`) gains where an answer repeats its prompt, and what it costs where it does not.
 *
 *   node bench/speculate.mjs [--model F] [--threads N] [--gpu] [--rounds 5] [--speculate 8] [--mtp] [--json]
 *
 * Random weights repeat nothing by themselves: a grammar makes them copy a row of digits, which Qwen's vocabulary
 * spells in one way only, one by one. Checking the grammar is part of both sides' time. With --mtp the model's own head
 * guesses too.
 */
import { QwenVL } from 'qwenvl-native'
import { machine, median, printTable } from './measure.mjs'
import { textOptions } from './options.mjs'
import { loading } from './sides.mjs'

const options = textOptions({
  speculate: { type: 'string', default: '8' },
  mtp: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
})
const threads = Number(options.threads)
const vl = await QwenVL.load({ ...loading({ ...options, threads, contextSize: 2048 }), mtp: options.mtp })
const number = () => String(Math.random()).slice(2, 14).padEnd(12, '0')

const tasks = {
  'repeats a text of its prompt': () => {
    const numbers = Array.from({ length: 10 }, number).join('')
    return { text: `${numbers}\nWrite it down once more.`, grammar: `root ::= "${numbers}"` }
  },
  'says something new': () => ({ text: `Tell me about ${number()}.` }),
}

const results = {}
await vl.chat('Warm up.', { maxTokens: 8, ignoreEos: true })
for (const [name, task] of Object.entries(tasks)) {
  results[name] = []
  for (let round = 0; round < Number(options.rounds); round++) {
    const { text, grammar } = task()
    const plain = await rates(text, grammar, 0)
    const guessed = await rates(text, grammar, Number(options.speculate))
    results[name].push({ plain, guessed })
  }
}
await vl.dispose()

if (options.json) console.log(JSON.stringify({ machine: machine(options), ...options, results }))
else print()

function print() {
  console.log(`${machine(options)}\n${vl.info.description}, ${options.threads} threads\n`)
  const rows = Object.entries(results).map(([name, rounds]) => {
    const middle = (side, kind) => median(rounds.map((round) => round[side][kind]))
    const ratio = (kind) => (middle('guessed', kind) / middle('plain', kind)).toFixed(2)
    const right = `${(100 * middle('guessed', 'accepted')).toFixed(0)} %`
    const speeds = [middle('plain', 'clock').toFixed(2), middle('guessed', 'clock').toFixed(2)]
    return [name, ...speeds, ratio('clock'), ratio('cpu'), right]
  })
  const speeds = ['plain, t/s', `speculate: ${options.speculate}, t/s`]
  printTable(['an answer that', ...speeds, 'ratio', 'ratio, CPU time', 'tokens guessed right'], rows)
}

/** Tokens per second behind the first one, by the clock and of the CPU's time, and the share that had been guessed. */
async function rates(text, grammar, speculate) {
  const settings = grammar ? { grammar } : { maxTokens: 64, ignoreEos: true }
  const stream = vl.stream(text, { temperature: 0, speculate, ...settings })
  let started
  for await (const { type } of stream) {
    if (type === 'text') started ??= { clock: performance.now(), cpu: process.cpuUsage() }
  }
  const clock = performance.now() - started.clock
  const { user, system } = process.cpuUsage(started.cpu)
  const { completionTokens, acceptedTokens = 0 } = (await stream.result).usage
  return {
    clock: (completionTokens - 1) / (clock / 1e3),
    cpu: (completionTokens - 1) / ((user + system) / 1e6),
    accepted: acceptedTokens / completionTokens,
  }
}
