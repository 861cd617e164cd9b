/**
 * The package in the main process of Electron, whose V8 refuses memory from outside of its cage. Wants a binary: ELECTRON
 * names one, else that of the npm package `electron` is taken (`npm install --no-save electron`). Not part of `npm test`.
 *
 *   ELECTRON=/path/to/electron npm run test:electron
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const app = fileURLToPath(new URL('main.cjs', import.meta.url))

test('a window is answered, and one that closes ends its answer', async () => {
  const seen = await run()
  assert.equal(seen.answer.texts.join(''), 'Blue.')
  assert.ok(seen.answer.usage.promptTokens > 40)
  assert.equal(seen.embedding, true)
  assert.ok(seen.ids > 40)
  assert.equal(seen.logprobs, 5)
  assert.equal(seen.ended, 'AbortError')
  assert.equal(seen.after, 'Blue.')
  console.log(`Electron ${seen.versions.electron}, Node.js ${seen.versions.node}, V8 ${seen.versions.v8}`)
})

/** What the app prints; it has to end with 0. */
async function run() {
  const electron = [binary(), '--no-sandbox', app] // root, as in containers, has no sandbox
  const screen = process.platform === 'linux' && !process.env.DISPLAY ? ['xvfb-run', '-a'] : []
  const [program, ...args] = [...screen, ...electron]
  const { stdout } = await promisify(execFile)(program, args, { timeout: 120_000 })
  return JSON.parse(stdout.split('\n').find((line) => line.startsWith('{')))
}

function binary() {
  try {
    return process.env.ELECTRON ?? createRequire(import.meta.url)('electron')
  } catch {
    throw new Error('There is no Electron: npm install --no-save electron, or name a binary as ELECTRON.')
  }
}
