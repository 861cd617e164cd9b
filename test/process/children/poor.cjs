/** A context that the memory of this process does not hold, then one that it does. */
const { package: qwenvl, options } = require('./package.cjs')

async function main() {
  const load = (contextSize) => qwenvl.QwenVL.load({ ...options, contextSize, cacheType: 'f32' })
  const error = await load(1 << 24).catch((caught) => caught)
  const vl = await load(512)
  const { usage } = await vl.chat('Hello', { maxTokens: 5, ignoreEos: true })
  await vl.dispose()
  const { name, code, message } = error
  process.stdout.write(JSON.stringify({ name, code, message, completionTokens: usage.completionTokens }))
}

main()
