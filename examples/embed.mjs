/** A picture encoded once and asked about twice: node examples/embed.mjs dog.jpg */
import { QwenVL, image, user } from 'qwenvl-native'
import { mmproj, model, picture } from './files.mjs'

const vl = await QwenVL.load({ model, mmproj })
const embedding = await vl.embedImage(image(picture, { maxPixels: 512 * 512 }))
console.log(`${embedding.tokens} rows of ${embedding.width} values, grid`, embedding.grid)

for (const question of ['What is in this picture?', 'Which colours has it?']) {
  const { text } = await vl.chat([user(embedding, question)], { maxTokens: 60 })
  console.log(`${question}\n  ${text}`)
}
await vl.dispose()
