/**
 * Our side in a process of its own: loads, answers one question about one picture, waits. For memory, for what a restart
 * costs, for what an idle model takes. The argument is JSON: { load, picture, question, maxTokens, idleMs }; with `save`
 * only a chat with the picture is written, with `chat` it is asked instead of the picture.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { QwenVL, image, user } from 'qwenvl-native'

const { load, picture, question, maxTokens, idleMs = 0, save, chat } = JSON.parse(process.argv[2])
const vl = await QwenVL.load(load)
if (save) {
  await vl.createChat({ messages: [user(image(picture))] }).save(save, { kv: true })
  await vl.dispose()
  console.log('{}')
  process.exit()
}
const options = { maxTokens, ignoreEos: true, temperature: 0 }
const started = performance.now()
const stream = chat
  ? (await vl.loadChat(chat, options)).stream(question)
  : vl.stream([user(image(picture), question)], options)
let firstTokenMs
for await (const part of stream) {
  if (part.type === 'text') firstTokenMs ??= performance.now() - started
}
const { images } = await stream.result
const before = process.cpuUsage()
await pause(idleMs)
const { user: own, system } = process.cpuUsage(before)
await vl.dispose()
console.log(JSON.stringify({ firstTokenMs, images, idleCpuMs: (own + system) / 1000 }))
