/** Every example runs as its head comment says, on a tiny random model. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fixture, root, run } from './program'

const folder = join(root, 'examples')
const picture = fixture('images/exif-orientation-6.jpg')

/** What an example prints, however random its model is. */
const expected: Readonly<Record<string, RegExp>> = {
  'ask.mjs': /promptTokens: \d+[\s\S]*encodeMs: [\s\S]*processed: /,
  'stream.mjs': /^\[picture: \d+ tokens in \d+ ms\][\s\S]*\[(stop|length)\]$/m,
  'chat.mjs': /\[0 of \d+ prompt tokens[\s\S]*\[[1-9]\d* of \d+ prompt tokens were still in memory\]/,
  'embed.mjs': /^\d+ rows of \d+ values, grid \{ t: 1,/,
  'demo.mjs':
    /weights of this small model are random[\s\S]*Picture[\s\S]*Prompt +\d+ tokens, [1-9]\d* of them still in memory/,
}

const examples = readdirSync(folder).filter((name) => name.endsWith('.mjs') && name !== 'files.mjs')

test('all examples are known here', () => {
  expect(examples.sort()).toEqual(Object.keys(expected).sort())
})

test.each(examples)('%s', async (name) => {
  const args = name === 'demo.mjs' ? [] : [picture]
  const input = name === 'chat.mjs' ? 'What is this?\nAnd now?\n\n' : ''
  const ended = await run([join(folder, name), ...args], { input, ...(name === 'demo.mjs' && { env: {} }) })
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' })
  expect(ended.stdout).toMatch(expected[name] ?? /never/)
})

test('an example without a model says what to set', async () => {
  const { code, stderr } = await run([join(folder, 'ask.mjs')], { env: {} })
  expect(code).toBe(1)
  expect(stderr).toMatch(/QWENVL_MODEL and QWENVL_MMPROJ/)
})
