/** One picture, one answer, in a process of its own: what bench/foundation.mjs compares with llama-mtmd-cli. */
import { QwenVL, image, user } from 'qwenvl-native'

const [model, mmproj, picture, prompt, contextSize, threads, maxTokens] = process.argv.slice(2)
const vl = await QwenVL.load({ model, mmproj, contextSize: Number(contextSize), threads: Number(threads) })
const answer = await vl.chat([user(image(picture), prompt)], {
  maxTokens: Number(maxTokens),
  ignoreEos: true,
  temperature: 0,
})
await vl.dispose()
console.log(JSON.stringify({ usage: answer.usage, timings: answer.timings }))
