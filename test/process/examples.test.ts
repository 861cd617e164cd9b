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
  'langchain.mjs': /\[[1-9]\d* tokens\]/,
  'embed.mjs': /^\d+ rows of \d+ values, grid \{ t: 1,/,
  'demo.mjs': /Picture +drawn from seed 7: [\s\S]*\([1-9]\d* kept\)[\s\S]*Boxes +1 drawn on .*boxes\.png/,
}

const helpers = ['files.mjs', 'scene.mjs']
const examples = readdirSync(folder).filter((name) => name.endsWith('.mjs') && !helpers.includes(name))

test('all examples are known here', () => {
  expect(examples.sort()).toEqual(Object.keys(expected).sort())
})

test.each(examples)('%s', async (name) => {
  const args = name === 'demo.mjs' ? ['7'] : [picture]
  const input = name === 'chat.mjs' ? 'What is this?\nAnd now?\n\n' : ''
  const ended = await run([join(folder, name), ...args], { input, ...(name === 'demo.mjs' && { env: {} }) })
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' })
  expect(ended.stdout).toMatch(expected[name] ?? /never/)
})

test('an example without a model asks the built-in one', async () => {
  const { code, stdout } = await run([join(folder, 'ask.mjs'), picture], { env: {} })
  expect(code).toBe(0)
  expect(stdout).toMatch(/promptTokens: \d+/)
})
