/** A conversation about a picture, in the terminal: node examples/chat.mjs dog.jpg. An empty line ends it. */
import { createInterface } from 'node:readline/promises'
import { QwenVL, image } from 'qwenvl-native'
import { mmproj, model, picture } from './files.mjs'

const vl = await QwenVL.load({ model, mmproj })
const chat = vl.createChat({ system: 'Answer briefly.', maxTokens: 200 })
const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' })

terminal.prompt()
for await (const question of terminal) {
  if (question === '') break
  const first = chat.length === 1 // only the system message so far
  const stream = chat.stream(first ? [image(picture), question] : question)
  for await (const part of stream) if (part.type === 'text') process.stdout.write(part.text)
  const { usage } = await stream.result
  console.log(`\n[${usage.cachedTokens} of ${usage.promptTokens} prompt tokens were still in memory]`)
  terminal.prompt()
}
terminal.close()
await vl.dispose()
