/** The package inside a vm context, whose Error, Int32Array and the like are not the addon's. */
const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const vm = require('node:vm')
const { options, root } = require('./package.cjs')

const names = ['Buffer', 'AbortController', 'AbortSignal', 'URL', 'TextDecoder', 'ReadableStream', 'performance', 'process', 'queueMicrotask', 'setTimeout', 'clearTimeout', 'setImmediate'] // prettier-ignore
const context = vm.createContext(Object.fromEntries(names.map((name) => [name, globalThis[name]])))
const modules = new Map()

function load(file) {
  const known = modules.get(file)
  if (known) return known.exports
  const module = { exports: {} }
  modules.set(file, module)
  const outside = createRequire(file)
  const require = (name) => (name.startsWith('.') ? load(outside.resolve(name)) : outside(name))
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'utf8')}\n})`
  vm.runInContext(source, context, { filename: file })(module.exports, require, module, file, dirname(file))
  return module.exports
}

async function main() {
  const inside = load(join(root, 'dist', 'index.js'))
  const foreign = vm.runInContext('Error', context)
  const vl = await inside.QwenVL.load(options)
  const settings = { temperature: 0, ignoreEos: true, maxTokens: 20 }
  const picture = inside.image({ data: new Uint8Array(112 * 112 * 3), width: 112, height: 112, channels: 3 })
  const embedding = await vl.embedImage(picture)
  const byPicture = await vl.chat([inside.user(picture, 'What?')], settings)
  const byEmbedding = await vl.chat([inside.user(embedding, 'What?')], settings)
  // Ids from outside, as a caller of another realm has them.
  const turns = [inside.user('a'), { ...inside.assistant('b'), tokens: Int32Array.of(65) }, inside.user('c')]
  const { tokens } = await vl.chat(turns, settings)
  const error = await inside.QwenVL.load({ ...options, model: '/does/not/exist.gguf' }).catch(
    (caught) => caught,
  )
  await vl.dispose()
  process.send({
    otherRealm: foreign !== Error && error instanceof foreign && !(error instanceof Error),
    code: error.code,
    typed: error instanceof inside.ModelLoadError,
    same: byPicture.text === byEmbedding.text,
    tokens: tokens.length,
  })
}

main()
