/**
 * Makes the server's web page in dist/: its files as they are, and its modules with all that they import, as browsers take
 * them. Types were checked before; here they are only left out.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = 'server/page'
const target = join(root, 'dist', page)
const compilerOptions = { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 }

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
for (const name of ['index.html', 'style.css', 'icon.svg']) {
  cpSync(join(root, 'lib', page, name), join(target, name))
}

const made = new Set()
make(`${page}/main`)

/** Writes a module of lib/, and those that it imports. */
function make(module) {
  if (made.has(module)) return
  made.add(module)
  const source = readFileSync(join(root, 'lib', `${module}.ts`), 'utf8')
  let { outputText: code } = ts.transpileModule(source, { compilerOptions })
  for (const { fileName, pos } of ts.preProcessFile(code).importedFiles.reverse()) {
    if (!fileName.startsWith('.')) throw new Error(`lib/${module}.ts imports ${fileName}: no browser has it`)
    make(posix.join(posix.dirname(module), fileName))
    const end = pos + 1 + fileName.length // `pos` is the opening quote
    code = `${code.slice(0, end)}.js${code.slice(end)}`
  }
  const file = join(target, 'modules', `${module}.js`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, code)
}
