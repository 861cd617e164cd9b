/** A listener of the caller that throws while a model loads: an uncaught error, which a program may handle. */
const { package: qwenvl, options } = require('./package.cjs')

const caught = []
process.on('uncaughtException', ({ message }) => caught.push(message))

async function main() {
  let calls = 0
  const onProgress = () => {
    if (calls++ === 0) throw new Error('thrown on purpose')
  }
  const vl = await qwenvl.QwenVL.load({ ...options, onProgress })
  const { usage } = await vl.chat('Hello', { maxTokens: 5, ignoreEos: true })
  await vl.dispose()
  process.send({ caught, calls: calls > 1, completionTokens: usage.completionTokens })
}

main()
