/** Tests are written against lib/ and run against dist/: what is tested is what is shipped. Packages keep their own lib/. */
const { join } = require('node:path')

const root = join(__dirname, '../..')
const tests = join(root, 'test')

module.exports = (request, options) => {
  const inside = /^(?:\.\.\/)+lib(?:\/(.*))?$/.exec(request)
  if (!inside || !options.basedir.startsWith(tests)) return options.defaultResolver(request, options)
  return options.defaultResolver(join(root, 'dist', inside[1] ?? 'index'), options)
}
