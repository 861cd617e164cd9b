/**
 * How long after its signal a request ends, in each of its phases: at most one vision layer, one prompt step, one token.
 *
 *   node bench/cancel.mjs [--model F --mmproj F] [--threads N] [--gpu]
 */
import sharp from 'sharp'
import { QwenVL, image, user } from 'qwenvl-native'
import { machine, printTable } from './measure.mjs'
import { comparison } from './options.mjs'
import { loading } from './sides.mjs'

const options = comparison()
const vl = await QwenVL.load(loading({ ...options, contextSize: 4096 }))
const settings = { ignoreEos: true, temperature: 0 }
const noise = sharp({
  create: {
    width: 448,
    height: 448,
    channels: 3,
    background: '#777',
    noise: { type: 'gaussian', mean: 128, sigma: 40 },
  },
})
const picture = await noise.png().toBuffer()
const long = 'word '.repeat(3000)

// How far into a run each phase surely is, from one undisturbed run.
const seen = await vl.chat([user(image(picture), 'Look.')], { ...settings, maxTokens: 4 })
const rows = [
  [
    'picture encoder',
    await bound((signal) => vl.embedImage(image(picture), { signal }), seen.timings.encodeMs / 2),
  ],
  ['prompt', await bound((signal) => vl.chat(long, { ...settings, maxTokens: 1, signal }), 1500)],
  ['generation', await bound((signal) => vl.chat('Go.', { ...settings, signal }), 2500)],
]
await vl.dispose()

console.log(`${machine(options)}\n${vl.info.description}, ${options.threads} threads\n`)
printTable(
  ['phase', 'ended after (ms, the longest of 5)'],
  rows.map(([phase, ms]) => [phase, ms.toFixed(0)]),
)

async function bound(start, afterMs) {
  let longest = 0
  for (let round = 0; round < 5; round++) {
    const stop = new AbortController()
    let fired = 0
    setTimeout(() => {
      fired = performance.now()
      stop.abort()
    }, afterMs)
    const outcome = await start(stop.signal).then(
      () => 'done',
      (error) => error.name,
    )
    if (outcome !== 'AbortError') throw new Error(`The request ended before it was cancelled: ${outcome}`)
    longest = Math.max(longest, performance.now() - fired)
  }
  return longest
}
