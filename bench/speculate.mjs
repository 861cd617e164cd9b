/**
 * What guessing ahead (`speculate`) gains where an answer repeats its prompt, and what it costs where it does not.
 *
 *   node bench/speculate.mjs [--model F] [--threads N] [--rounds 5] [--speculate 8] [--json]
 *
 * Random weights repeat nothing by themselves: a grammar makes them copy the numbers of a table, which Qwen's vocabulary
 * spells in one way only, digit by digit. Checking the grammar is part of both sides' time.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { QwenVL } from 'qwenvl-native'
import { machine, median, physicalCores, printTable } from './measure.mjs'

const { values: options } = parseArgs({
  options: {
    model: {
      type: 'string',
      default: fileURLToPath(new URL('../build-bench/Qwen2-VL-2B-random-Q4_0.gguf', import.meta.url)),
    },
    threads: { type: 'string', default: String(physicalCores()) },
    rounds: { type: 'string', default: '5' },
    speculate: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
})
const vl = await QwenVL.load({ model: options.model, threads: Number(options.threads), contextSize: 2048 })
const number = () => String(Math.random()).slice(2, 14).padEnd(12, '0')

const tasks = {
  'copies a table of the prompt': () => {
    const numbers = Array.from({ length: 12 }, number)
    const table = numbers.map((serial, line) => `Item ${line}, serial number:\n${serial}\n`).join('')
    return { text: `${table}List the serial numbers.`, grammar: `root ::= "${numbers.join('\\n')}"` }
  },
  'says something new': () => ({ text: `Tell me about ${number()}.` }),
}

const results = {}
for (const [name, task] of Object.entries(tasks)) {
  const rounds = []
  for (let round = -1; round < Number(options.rounds); round++) {
    const { text, grammar } = task()
    const [plain, guessed] = [
      await rate(text, grammar, 0),
      await rate(text, grammar, Number(options.speculate)),
    ]
    if (round >= 0) rounds.push({ plain: plain.rate, guessed: guessed.rate, accepted: guessed.accepted })
  }
  results[name] = rounds
}
await vl.dispose()

if (options.json) console.log(JSON.stringify({ machine: machine(), ...options, results }))
else {
  const middle = (rounds, key) => median(rounds.map((round) => round[key]))
  console.log(`${machine()}\n${vl.info.description}, ${options.threads} threads\n`)
  printTable(
    ['an answer that', 'plain, t/s', `speculate: ${options.speculate}, t/s`, 'ratio', 'tokens guessed right'],
    Object.entries(results).map(([name, rounds]) => [
      name,
      middle(rounds, 'plain').toFixed(2),
      middle(rounds, 'guessed').toFixed(2),
      (middle(rounds, 'guessed') / middle(rounds, 'plain')).toFixed(2),
      `${(100 * middle(rounds, 'accepted')).toFixed(0)} %`,
    ]),
  )
}

/** Tokens per second behind the prompt, and the share of them that had been guessed. */
async function rate(text, grammar, speculate) {
  const settings = grammar ? { grammar } : { maxTokens: 64, ignoreEos: true }
  const { usage, timings } = await vl.chat(text, { temperature: 0, speculate, ...settings })
  return {
    rate: (usage.completionTokens - 1) / (timings.generateMs / 1000),
    accepted: (usage.acceptedTokens ?? 0) / usage.completionTokens,
  }
}
