/** An answer as it is generated, with a time limit: node examples/stream.mjs dog.jpg */
import { AbortError, QwenVL, image, user } from 'qwenvl-native'
import { mmproj, model, picture } from './files.mjs'

const vl = await QwenVL.load({ model, mmproj })
try {
  const signal = AbortSignal.timeout(30_000)
  for await (const part of vl.stream([user(image(picture), 'Describe it.')], { maxTokens: 200, signal })) {
    if (part.type === 'image')
      console.log(`[picture: ${part.tokens} tokens in ${part.encodeMs.toFixed(0)} ms]`)
    if (part.type === 'text') process.stdout.write(part.text)
    if (part.type === 'finish') console.log(`\n[${part.finishReason}]`)
  }
} catch (error) {
  if (!(error instanceof AbortError)) throw error
  console.log('\n[stopped after 30 s]')
} finally {
  await vl.dispose()
}
