/**
 * A look at a model: draws a picture with another program than the training data, asks three questions, and draws the box
 * of the third answer.
 *
 *   node tools/builtin-model/demo.mjs <model.gguf> <mmproj.gguf> [seed]
 */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QwenVL, drawGrounding, image, parseGrounding } from 'qwenvl-native'
import { drawScene } from './scene.mjs'

const [model, mmproj, seed = String(Date.now() % 100_000)] = process.argv.slice(2)
const { png: picture, things } = await drawScene(Number(seed))
const names = things.map(({ name }) => name)

const started = performance.now()
const vl = await QwenVL.load({ model, mmproj })
const { info } = vl
console.log(`Model    ${info.generationName}, ${info.description}, loaded in ${ms(performance.now() - started)}`)
console.log(`Runs on  decoder ${info.decoder}, picture encoder ${info.encoder}, ${info.threads} threads`)
console.log(`Picture  drawn from seed ${seed}: ${names.join(', ')}`)

const chat = vl.createChat({ maxTokens: 200 })
await turn('Describe the picture.', image(picture))
await turn('How many shapes are there?')
const answer = await turn(`Where is the ${names[0]}? Answer with a bounding box in JSON.`)

const found = parseGrounding(answer, info)
const file = join(await mkdtemp(join(tmpdir(), 'qwenvl-demo-')), 'boxes.png')
await writeFile(file, await drawGrounding(picture, found))
console.log(`\nBoxes    ${found.length} drawn on ${file}`)
await vl.dispose()

/** Asks and prints the answer token by token, then what happened. */
async function turn(text, ...pictures) {
  console.log(`\nYou      ${text}`)
  process.stdout.write('Model    ')
  const stream = chat.stream([...pictures, text])
  for await (const part of stream) {
    if (part.type === 'text') process.stdout.write(part.text.replaceAll('\n', '\n         '))
  }
  const result = await stream.result
  const { usage, timings } = result
  console.log(
    `\nTimes    encode ${ms(timings.encodeMs)}, prompt ${usage.promptTokens} tokens (${usage.cachedTokens} kept) in ` +
      `${ms(timings.prefillMs)}, answer ${usage.completionTokens} tokens in ${ms(timings.generateMs)}`,
  )
  return result
}

function ms(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
