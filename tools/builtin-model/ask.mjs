// Asks the package what cases.py wrote, on a GGUF pair, and prints right answers and agreement with transformers by task.
//
//   node ask.mjs out/cases out/base/gguf/model-q8_0.gguf out/base/gguf/mmproj-f16.gguf [--show]
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { QwenVL, image } from 'qwenvl-native'

const [folder, model, mmproj, show] = process.argv.slice(2)
const { maxPixels, cases } = JSON.parse(await readFile(join(folder, 'cases.json'), 'utf8'))
const vl = await QwenVL.load({ model, mmproj, maxPixels, contextSize: 2048 })

const tally = new Map()
for (const { task, pictures, messages, answer, transformers } of cases) {
  const files = pictures.map((name) => join(folder, name))
  const got = await vl.chat(withPictures(messages, files), { temperature: 0, maxTokens: 256 })
  const row = tally.get(task) ?? { asked: 0, right: 0, agreed: 0, ended: 0 }
  row.asked += 1
  row.right += Number(got.text === answer)
  row.agreed += Number(got.text === transformers)
  row.ended += Number(got.finishReason === 'stop')
  tally.set(task, row)
  if (show) console.log(`${messages.at(-1).content.at(-1).text} -> ${JSON.stringify(got.text)}, right: ${JSON.stringify(answer)}`)
}
for (const [task, row] of tally) {
  const part = (count) => `${((100 * count) / row.asked).toFixed(1).padStart(5)} %`
  console.log(`${task.padEnd(12)} right ${part(row.right)}  as transformers ${part(row.agreed)}  ended ${part(row.ended)}`)
}
await vl.dispose()

function withPictures(messages, files) {
  const left = [...files]
  const parts = (content) => content.map((part) => (part.type === 'image' ? image(left.shift()) : part))
  return messages.map(({ role, content }) => ({ role, content: typeof content === 'string' ? content : parts(content) }))
}
