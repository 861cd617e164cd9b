/**
 * `npm run demo`: the main job from end to end with the built-in model: draws a picture that it has never seen, asks three
 * questions, and draws the box of the third answer.
 *
 *   npm run demo                          npm run demo -- 7            the picture of seed 7
 *   QWENVL_MODEL=… QWENVL_MMPROJ=… npm run demo -- dog.jpg dog         a real model, a picture, a thing to find
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawScene } from './scene.mjs'

const { QwenVL, drawGrounding, image, parseGrounding } = await import('qwenvl-native').catch((error) => {
  if (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND') {
    fail('This clone is not built yet. Run: npm ci')
  }
  throw error
})

const { QWENVL_MODEL: model, QWENVL_MMPROJ: mmproj } = process.env
const [subject = String(Date.now() % 100_000), wanted] = process.argv.slice(2)
const { picture, described, thing } = await subjectOf(subject)

const started = performance.now()
const vl = await QwenVL.load(model ? { model, mmproj } : {}).catch((error) => fail(error.message))
const { info } = vl
console.log(
  `Model    ${info.generationName}, ${info.description}, loaded in ${ms(performance.now() - started)}`,
)
console.log(`Runs on  decoder ${info.decoder}, picture encoder ${info.encoder}, ${info.threads} threads`)
console.log(`Picture  ${described}`)

const chat = vl.createChat({ maxTokens: 200 })
await turn('Describe the picture.', image(picture))
await turn('How many shapes are there?')
const answer = await turn(`Where is the ${thing}? Answer with a bounding box in JSON.`)

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

/** A file, or the drawing of a seed. */
async function subjectOf(name) {
  if (!/^\d+$/.test(name)) {
    const bytes = await readFile(name).catch((error) => fail(error.message))
    return { picture: bytes, described: name, thing: wanted ?? 'largest thing' }
  }
  const { png, things } = await drawScene(Number(name))
  const names = things.map((each) => each.name)
  return {
    picture: png,
    described: `drawn from seed ${name}: ${names.join(', ')}`,
    thing: wanted ?? names[0],
  }
}

function ms(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
