/**
 * mutations.cjs <model> <mmproj> <count> <seed>: loads pairs with random bytes changed, mostly in the headers, and
 * runs a request on those that load. Sends the seed of every pair before it is tried: the last one names a crash.
 */
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { package: qwenvl } = require('./package.cjs')

const [model, mmproj, count, firstSeed] = process.argv.slice(2)
const files = { model: readFileSync(model), mmproj: readFileSync(mmproj) }
const folder = mkdtempSync(join(tmpdir(), 'qwenvl-mutations-'))

function generator(seed) {
  let state = Math.imul(seed, 2654435761) >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Where keys, values and the tensor table lie: everything before the first tensor. */
const headerBytes = { model: headerOf(files.model), mmproj: headerOf(files.mmproj) }
function headerOf(bytes) {
  // The data are floats; the tensor table ends with the last name.
  const names = [...bytes.toString('latin1').matchAll(/(blk|v|mm|output|token_embd)\.[a-z0-9_.]+/g)]
  return names.at(-1).index + 80
}

function mutated(seed) {
  const random = generator(seed)
  const which = random(2) === 0 ? 'model' : 'mmproj'
  const bytes = Buffer.from(files[which])
  // Metadata numbers stand behind their keys: aim there half of the time.
  const keys = [
    ...bytes
      .subarray(0, headerBytes[which])
      .toString('latin1')
      .matchAll(/(qwen|clip|tokenizer|general)[a-z0-9_.]+/g),
  ]
  for (let i = 0; i <= random(4); i++) {
    const key = keys[random(keys.length)]
    const at = random(2) === 0 ? key.index + key[0].length + random(12) : random(headerBytes[which])
    bytes[at] = [0, 0xff, 0x7f, 0x80, 1, random(256)][random(6)]
  }
  const path = join(folder, `${which}.gguf`)
  writeFileSync(path, bytes)
  return { model, mmproj, [which]: path }
}

async function main() {
  const outcomes = {}
  for (let seed = Number(firstSeed); seed < Number(firstSeed) + Number(count); seed++) {
    process.send(seed)
    let outcome = 'answered'
    const options = { ...mutated(seed), contextSize: 512, threads: 1 }
    try {
      const vl = await qwenvl.QwenVL.load(options)
      try {
        const shown = qwenvl.image({
          data: new Uint8Array(112 * 112 * 3),
          width: 112,
          height: 112,
          channels: 3,
        })
        await vl.chat([qwenvl.user(shown, 'What?')], { maxTokens: 2 })
      } finally {
        await vl.dispose()
      }
    } catch (error) {
      if (!qwenvl.QwenVLError.isInstance(error)) throw error
      outcome = error.code
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  process.send(outcomes)
  rmSync(folder, { recursive: true })
}

main()
