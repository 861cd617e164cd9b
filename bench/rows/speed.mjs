/** Tokens per second: one stream, a prompt, several streams at once. */
import { user } from 'qwenvl-native'
import { greedy, llamaBench, withOurs, withServer } from '../sides.mjs'

const promptTokens = 512

export const rows = [
  { id: 'decode', name: 'decode, 1 stream', unit: 't/s', goal: '>= 0.99', measure: decode },
  { id: 'prefill', name: `prefill, ${promptTokens} tokens`, unit: 't/s', goal: '>= 0.98', measure: prefill },
  { id: 'streams4', name: '4 streams together', unit: 't/s', goal: '>= 1.15', measure: streams(4) },
  { id: 'streams8', name: '8 streams together', unit: 't/s', goal: '>= 1.15', measure: streams(8) },
]

/**
 * Tokens per second that a reader of the stream sees after the prompt was evaluated. The first token falls out of the
 * prompt's own evaluation; the clock includes template, tokenising and every hop between the threads.
 */
function decode(bench) {
  return withOurs(bench, { mmproj: undefined }, async (vl) => {
    const run = async (text) => {
      const started = performance.now()
      const stream = vl.stream(text, { ...greedy, maxTokens: bench.tokens })
      for await (const part of stream) void part
      const wall = performance.now() - started
      const { usage, timings } = await stream.result
      const rate = (usage.completionTokens - 1) / ((wall - timings.prefillMs) / 1000)
      return { rate, depth: usage.promptTokens }
    }
    const { depth } = await run('Warm up.')
    const [ours, theirs] = [[], []]
    for (let round = 0; round < bench.rounds; round++) {
      theirs.push(await llamaBench(bench, '-p', 0, '-n', bench.tokens, '-d', depth))
      await warmUp(vl)
      ours.push((await run(`Round ${round}.`)).rate)
    }
    return { ours, theirs }
  })
}

/** Every round differs from the start, so nothing is reused. */
function prefill(bench) {
  return withOurs(bench, { mmproj: undefined }, async (vl) => {
    const messages = (round, words) => [{ role: 'system', content: `${round}:` }, user(' word'.repeat(words))]
    const one = await vl.countTokens(messages(0, 1))
    const perWord = (await vl.countTokens(messages(0, 2))) - one
    const words = 1 + Math.floor((promptTokens - one) / perWord)
    const [ours, theirs] = [[], []]
    for (let round = 0; round < bench.rounds; round++) {
      await warmUp(vl)
      const { usage, timings } = await vl.chat(messages(round, words), { ...greedy, maxTokens: 1 })
      ours.push((usage.promptTokens - usage.cachedTokens) / (timings.prefillMs / 1000))
      theirs.push(await llamaBench(bench, '-p', promptTokens, '-n', 0))
    }
    return { ours, theirs }
  })
}

/** Tokens of all streams until the last one ends; their short prompts are part of the time. */
function streams(count) {
  return (bench) =>
    withOurs(bench, { mmproj: undefined, parallel: count }, (vl) =>
      withServer(bench, ['-np', count], async (server) => {
        const { tokens: maxTokens } = bench
        const our = (text) => vl.stream(text, { ...greedy, maxTokens })
        const their = (text) => server.stream(text, { maxTokens })
        const together = async (ask) => {
          const started = performance.now()
          await Promise.all(
            Array.from({ length: count }, async (_, index) => {
              for await (const part of ask(`Stream ${index} of ${Math.random()}.`)) void part
            }),
          )
          return (count * maxTokens) / ((performance.now() - started) / 1000)
        }
        const [ours, theirs] = [[], []]
        await together(our)
        await together(their)
        for (let round = 0; round < bench.rounds; round++) {
          ours.push(await together(our))
          theirs.push(await together(their))
        }
        return { ours, theirs }
      }),
    )
}

/** llama-bench runs once before it measures; after another process had the caches, so must we. */
async function warmUp(vl) {
  await vl.chat(`${'word '.repeat(64)}?`, { ...greedy, maxTokens: 4 })
}
