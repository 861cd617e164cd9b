/**
 * Runs after `npm ci` in a clone (never for users of the packed package): native addon and dist/, both only when
 * something changed.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const steps = [compileTypeScript]
// A dependant installs us from git: npm packs this folder, so a local build would be thrown away. dist/ is what it
// needs; the first use explains `npx qwenvl-native build`.
const cache = process.env.npm_config_cache
if (!cache || !root.startsWith(cache)) steps.unshift(buildNative)

for (const step of steps) {
  if (process.exitCode) break
  step()
}

function buildNative() {
  node(join(root, 'scripts/build.mjs'))
}

function compileTypeScript() {
  let compiler
  try {
    compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  } catch {
    console.error('qwenvl-native: TypeScript is not installed (npm ci --omit=dev), dist/ stays as it is')
    return
  }
  node(join(compiler, '../bin/tsc'), '-p', 'tsconfig.json')
  if (!process.exitCode) node(join(root, 'scripts/page.mjs'))
}

function node(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exitCode = status ?? 1
}
