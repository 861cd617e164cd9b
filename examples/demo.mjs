/**
 * `npm run demo`: the main job from end to end on a small model that lies in this repository. Its weights are random, so
 * the answer is noise; everything else (sizes, tokens, timings, memory of earlier turns) is as with a real model.
 *
 *   npm run demo                          npm run demo -- dog.jpg "What is this?"
 *   QWENVL_MODEL=… QWENVL_MMPROJ=… npm run demo -- dog.jpg      a real model
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const fixture = (name) => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url))
const model = process.env.QWENVL_MODEL ?? fixture('qwen3vl/model-f16.gguf')
const mmproj = process.env.QWENVL_MMPROJ ?? fixture('qwen3vl/mmproj-f16.gguf')
const [picture = fixture('images/scene.png'), question = 'What is in this picture?'] = process.argv.slice(2)
const random = !process.env.QWENVL_MODEL

for (const file of [model, mmproj, picture]) {
  if (!existsSync(file)) fail(`There is no file ${file}.`)
}
const { QwenVL, image } = await import('qwenvl-native').catch((error) => {
  if (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND') {
    fail('This clone is not built yet. Run: npm ci')
  }
  throw error
})

const started = performance.now()
const vl = await QwenVL.load({ model, mmproj }).catch((error) => {
  fail(
    error.code === 'BINDING_NOT_FOUND'
      ? 'The native part is not built. Run: npm run build:native'
      : error.message,
  )
})
const { info } = vl
console.log(
  `Model    ${info.generationName}, ${info.description}, loaded in ${ms(performance.now() - started)}`,
)
console.log(`Runs on  decoder ${info.decoder}, picture encoder ${info.encoder}, ${info.threads} threads`)
if (random) {
  console.log('\nThe weights of this small model are random: its answers are noise, and that is right here.')
  console.log(
    'A small trained model that comes with the package is next; see "Models" in README.md for real ones.',
  )
}

const chat = vl.createChat({ maxTokens: 48, ...(random && { seed: 1, ignoreEos: true }) })
await turn(question, image(picture))
await turn('And what is in its middle?')
await vl.dispose()

/** Asks and prints the answer token by token, then what happened. */
async function turn(text, ...pictures) {
  console.log(`\nYou      ${pictures.length > 0 ? `[${picture}] ` : ''}${text}`)
  process.stdout.write('Model    ')
  const stream = chat.stream([...pictures, text])
  for await (const part of stream) {
    if (part.type === 'text') process.stdout.write(printable(part.text))
  }
  const { images, usage, timings } = await stream.result
  console.log()
  for (const { original, processed, grid, tokens, cached } of images) {
    console.log(
      `Picture  ${original.width}×${original.height} → ${processed.width}×${processed.height} pixels, ` +
        `grid ${grid.h}×${grid.w}, ${tokens} tokens${cached ? ', still in memory' : ''}`,
    )
  }
  console.log(
    `Prompt   ${usage.promptTokens} tokens, ${usage.cachedTokens} of them still in memory from the turn before`,
  )
  console.log(
    `Times    read picture ${ms(timings.decodeImageMs)}, encode ${ms(timings.encodeMs)}, ` +
      `prefill ${ms(timings.prefillMs)}, ${usage.completionTokens} tokens in ${ms(timings.generateMs)}`,
  )
}

/** Noise may hold line feeds and control characters: they would move the cursor. */
function printable(text) {
  return random ? text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ') : text
}

function ms(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
