/** Two workers with a model each, while the main thread generates with its own: all answer alike. */
const { Worker, isMainThread, parentPort } = require('node:worker_threads')
const { package: qwenvl, options } = require('./package.cjs')

const settings = { temperature: 0, ignoreEos: true, maxTokens: 200 }

async function answers() {
  const vl = await qwenvl.QwenVL.load(options)
  const picture = qwenvl.image({
    data: new Uint8Array(112 * 112 * 3).fill(99),
    width: 112,
    height: 112,
    channels: 3,
  })
  const texts = []
  for (let i = 0; i < 3; i++)
    texts.push((await vl.chat([qwenvl.user(picture, `Question ${i}`)], settings)).text)
  await vl.dispose()
  return texts
}

async function main() {
  if (!isMainThread) return parentPort.postMessage(await answers())
  const inWorker = () =>
    new Promise((resolve, reject) => new Worker(__filename).once('message', resolve).once('error', reject))
  process.send(await Promise.all([answers(), inWorker(), inWorker()]))
}

main()
