/**
 * Prints the path of a Chromium for the test of the web page: the one that CHROMIUM_PATH names, one on PATH, or playwright's.
 *
 *   node scripts/chromium.mjs              fails where there is none
 *   node scripts/chromium.mjs --install    installs it then: by apt where that may be, else by playwright
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome.exe']

if (process.argv.includes('--install') && !find()) install()
const found = find()
if (found) {
  console.log(found)
} else {
  console.error(
    'There is no Chromium for the test of the web page. Install it: node scripts/chromium.mjs --install\n' +
      'Or name one in CHROMIUM_PATH.',
  )
  process.exitCode = 1
}

function find() {
  const { CHROMIUM_PATH: named, PATH = '' } = process.env
  const onPath = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return [...(named ? [named] : []), ...onPath, chromium.executablePath()].find((path) => existsSync(path))
}

function install() {
  const apt = process.getuid?.() === 0 && run('apt-get', 'update', '-qq')
  if (apt && run('apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'chromium')) return
  const playwright = fileURLToPath(new URL('cli.js', import.meta.resolve('playwright-core/package.json')))
  run(process.execPath, playwright, 'install', '--with-deps', '--only-shell', 'chromium')
}

/** Its words go to stderr: stdout is for the path. */
function run(...[command, ...args]) {
  return spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0
}
