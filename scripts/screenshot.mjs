/**
 * The picture of the web page in README.md: the built-in model's own answer to a sample picture, as Chromium shows it.
 *
 *   node scripts/screenshot.mjs            writes docs/images/page.webp
 */
/* global document */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import sharp from 'sharp'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'docs/images/page.webp')

const server = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'serve', '--port', '0', '--json'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const [line] = await once(server.stdout, 'data')
const found = spawnSync(process.execPath, [join(root, 'scripts/chromium.mjs')], { encoding: 'utf8' })
const browser = await chromium.launch({
  executablePath: found.stdout.trim(),
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})
try {
  const page = await browser.newPage({
    viewport: { width: 900, height: 860 },
    deviceScaleFactor: 2,
    reducedMotion: 'reduce',
  })
  // The same sample each time.
  await page.addInitScript(() => {
    let state = 79190
    Math.random = () => (state = (state * 16807) % 2147483647) / 2147483647
  })
  await page.goto(JSON.parse(line).url)
  await page.click('#sample')
  await page.locator('#media img').waitFor()
  await page.waitForFunction(() => document.querySelector('#question').value !== '')
  await page.keyboard.press('Enter')
  await page.locator('.answer[aria-busy=false]').waitFor()
  mkdirSync(join(target, '..'), { recursive: true })
  const { size } = await sharp(await page.screenshot())
    .webp({ quality: 85 })
    .toFile(target)
  console.log(`${target}, ${size} bytes`)
} finally {
  await browser.close()
  server.kill()
}
