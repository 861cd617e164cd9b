/** Makes what the tarball carries: a clean dist/ and the portable binary of this platform in prebuilds/. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(join(root, 'dist'), { recursive: true, force: true })
const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
for (const args of [
  [tsc, '-p', 'tsconfig.json'],
  [join(root, 'scripts/page.mjs')],
  [join(root, 'scripts/build.mjs'), '--release'],
]) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
