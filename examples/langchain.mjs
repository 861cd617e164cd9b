/**
 * LangChain.js on a model in this process: its OpenAI classes talk to a server that answers on this machine only.
 *
 *   npm install @langchain/openai @langchain/core
 *   node examples/langchain.mjs dog.jpg
 */
import { readFile } from 'node:fs/promises'
import { HumanMessage, SystemMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { QwenVL } from 'qwenvl-native'
import { startServer } from 'qwenvl-native/server'
import { mmproj, model, picture } from './files.mjs'

const vl = await QwenVL.load({ model, mmproj })
const server = await startServer(vl, { port: 0, modelName: 'qwen-vl' })
const chat = new ChatOpenAI({
  model: 'qwen-vl',
  apiKey: 'none',
  maxTokens: 60,
  configuration: { baseURL: `${server.url}/v1` },
})

const url = `data:image/png;base64,${await readFile(picture, 'base64')}`
const question = new HumanMessage({
  content: [
    { type: 'image_url', image_url: { url } },
    { type: 'text', text: 'Describe the picture.' },
  ],
})
let tokens = 0
for await (const chunk of await chat.stream([new SystemMessage('Answer briefly.'), question])) {
  process.stdout.write(chunk.text)
  tokens += chunk.usage_metadata?.output_tokens ?? 0
}
console.log(`\n[${tokens} tokens]`)

await server.close()
await vl.dispose()
