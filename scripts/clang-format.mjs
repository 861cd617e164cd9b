/** Checks (default) or rewrites (`--write`) our C++ with the pinned clang-format. Upstream's code is not ours. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const cli = join(createRequire(import.meta.url).resolve('clang-format-node/package.json'), '../build/cli.js')
const files = ['native', 'test/cpp'].flatMap(sourcesIn)
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror']
const style = `--style=file:${join(root, 'native/.clang-format')}`

if (files.length > 0) {
  const { status, error } = spawnSync(process.execPath, [cli, style, ...mode, ...files], {
    cwd: root,
    stdio: 'inherit',
  })
  if (error) throw error
  if (status !== 0) console.error('C++ is not formatted: run `npm run format`.')
  process.exitCode = status ?? 1
}

function sourcesIn(folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && /\.(h|cpp)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}
