/** copies.cjs <root> <root>: two copies of the package in one process, both at work, and each at home with the other. */
const { join } = require('node:path')
const { options } = require('./package.cjs')

async function main() {
  const copies = process.argv.slice(2).map((root) => require(join(root, 'dist')))
  const models = await Promise.all(copies.map(({ QwenVL }) => QwenVL.load(options)))
  const settings = { temperature: 0, ignoreEos: true, maxTokens: 100 }
  const answers = await Promise.all(models.map((vl) => vl.chat('Hello', settings)))
  const [first, second] = copies
  const picture = first.image({ data: new Uint8Array(112 * 112 * 3), width: 112, height: 112, channels: 3 })
  const embedding = await models[0].embedImage(picture)
  const exchanged = await models[1].chat([second.user(embedding, 'What?')], settings)
  const own = await models[0].chat([first.user(picture, 'What?')], settings)
  const error = await models[0].chat('x', { nonsense: 1 }).catch((caught) => caught)
  await models[0].dispose()
  const alone = await models[1].chat('Hello', settings)
  await models[1].dispose()
  process.send({
    distinct: first.QwenVL !== second.QwenVL,
    answers: [...answers, alone].map(({ text }) => text),
    pictures: [exchanged.text, own.text],
    recognised: second.QwenVLError.isInstance(error) && !(error instanceof second.QwenVLError),
  })
}

main()
