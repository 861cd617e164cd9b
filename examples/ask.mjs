/** One question about one picture: node examples/ask.mjs dog.jpg */
import { QwenVL, image, user } from 'qwenvl-native'
import { mmproj, model, picture } from './files.mjs'

const vl = await QwenVL.load({ model, mmproj })
const answer = await vl.chat([user(image(picture), 'What is in this picture?')], { maxTokens: 200 })
console.log(answer.text)
console.log(answer.usage, answer.timings, answer.images)
await vl.dispose()
