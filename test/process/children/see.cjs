// Looks at one picture and tells where its embedding came from. The argument is the JSON of the load options.
const { join } = require('node:path')
const { QwenVL, image, user } = require('./package.cjs').package

const scene = join(__dirname, '..', '..', 'fixtures', 'images', 'scene.png')

async function main() {
  const vl = await QwenVL.load(JSON.parse(process.argv[2]))
  const question = [user(image(scene), 'What is it?')]
  const { text, images } = await vl.chat(question, { temperature: 0, ignoreEos: true, maxTokens: 16 })
  process.send({ text, source: images[0].source, stats: vl.stats().embeddings })
  await vl.dispose()
  process.disconnect()
}

void main()
