/** `batch` as it is shipped: a line for each line, whatever happens in between. */
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../support/errors'
import { cli, fixture, run, start } from './program'

const folder = temporaryFolder()
const scene = fixture('images/scene.png')
const small = ['--max-tokens', '3', '--temperature', '0', '--max-pixels', '4096', '--min-pixels', '1024']

interface Entry {
  readonly line: number
  readonly input: string
  readonly id?: unknown
  readonly text?: string
  readonly images?: readonly { readonly tokens: number }[]
  readonly finishReason?: string
  readonly usage?: { readonly completionTokens: number }
  readonly error?: { readonly name: string; readonly code: string; readonly message: string }
}

let count = 0
/** A fresh pair of files. */
function files(lines: readonly unknown[]) {
  const name = join(folder.path, String(count++))
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  writeFileSync(`${name}.jsonl`, text)
  return { input: `${name}.jsonl`, output: `${name}.out.jsonl` }
}

function entriesOf(path: string): Entry[] {
  const text = readFileSync(path, 'utf8')
  expect(text.endsWith('\n')).toBe(true)
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry)
}

const byLine = (entries: readonly Entry[]) => entries.map(({ line }) => line).sort((a, b) => a - b)

async function batch(input: string, output: string, ...more: string[]) {
  const { code, stdout } = await run([cli, 'batch', input, output, ...small, '--json', ...more])
  return { code, ...(JSON.parse(stdout || '{}') as Record<string, number>) }
}

test('answers every line: a question about pictures, or messages', async () => {
  const { input, output } = files([
    { id: 'a', image: scene, question: 'What is this?' },
    { id: 7, image: [scene, fixture('images/wide.png')] },
    '',
    { messages: [{ role: 'user', content: 'Hello' }], options: { maxTokens: 1 } },
  ])
  const common = ['--question', 'What differs?', '--system', 'Be brief.', '--concurrency', '1']
  const summary = await batch(input, output, ...common)
  expect(summary).toEqual({
    code: 0,
    lines: 3,
    answered: 3,
    failed: 0,
    before: 0,
    failedBefore: 0,
    outdated: 0,
    seconds: expect.any(Number),
  })

  const entries = entriesOf(output)
  expect(entries.map(({ line, id, images }) => ({ line, id, images: images?.length }))).toEqual([
    { line: 1, id: 'a', images: 1 },
    { line: 2, id: 7, images: 2 },
    { line: 4, id: undefined, images: 0 },
  ])
  expect(entries.map(({ usage }) => usage?.completionTokens)).toEqual([3, 3, 1])

  const asked = await run([
    cli,
    'ask',
    scene,
    '-q',
    'What is this?',
    '--system',
    'Be brief.',
    ...small,
    '--json',
  ])
  expect(entries[0]?.text).toBe((JSON.parse(asked.stdout) as { text: string }).text)
})

test('a line that cannot be answered tells why, the others are answered; exit code 2', async () => {
  const { input, output } = files([
    { id: 1, image: 'absent.png', question: 'What?' },
    '{"image": ',
    '[]',
    { image: scene },
    { question: 'x', options: { maxToken: 1 } },
    { imag: scene, question: 'What?' },
    { id: 7, question: 'Hello' },
  ])
  expect(await batch(input, output, '--concurrency', '1')).toMatchObject({ code: 2, answered: 1, failed: 6 })
  expect(entriesOf(output).map(({ id, error }) => [id, error?.code, error?.message])).toEqual([
    [1, 'FILE_NOT_FOUND', expect.stringContaining('absent.png')],
    [undefined, 'INVALID_ARGUMENT', expect.stringContaining('is not JSON')],
    [undefined, 'INVALID_ARGUMENT', expect.stringContaining('not a JSON object')],
    [undefined, 'INVALID_ARGUMENT', expect.stringContaining('--question')],
    [undefined, 'INVALID_ARGUMENT', expect.stringContaining('`maxToken`')],
    [undefined, 'INVALID_ARGUMENT', expect.stringContaining('`imag`')],
    [7, undefined, undefined],
  ])
})

test('errors are done again with --retry, answers are not', async () => {
  const picture = join(folder.path, 'later.png')
  const { input, output } = files([{ question: 'Hello' }, { image: picture, question: 'What?' }])
  expect(await batch(input, output)).toMatchObject({ code: 2, failed: 1 })
  writeFileSync(picture, readFileSync(scene))
  const again = await batch(input, output)
  expect(again).toMatchObject({ code: 2, answered: 0, failed: 0, before: 2, failedBefore: 1 })
  expect(await batch(input, output, '--retry')).toMatchObject({ code: 0, answered: 1, failed: 0, before: 1 })
  expect(entriesOf(output).map(({ line, error }) => ({ line, error }))).toEqual([{ line: 1 }, { line: 2 }])
})

test('a killed run is continued: nothing lost, nothing doubled', async () => {
  const lines = Array.from({ length: 40 }, (_, index) => ({ id: index, question: `Say ${index % 20}` }))
  const { input, output } = files(lines)
  const running = start([cli, 'batch', input, output, ...small])
  await linesIn(output, 5)
  running.child.kill('SIGKILL')
  expect(await running.ended).toMatchObject({ signal: 'SIGKILL' })
  appendFileSync(output, '{"line": 99, "inp') // what a write that was cut off leaves
  const before = readFileSync(output, 'utf8').split('\n').length - 1

  expect(before).toBeLessThan(40)
  expect(await batch(input, output)).toMatchObject({ code: 0, lines: 40, answered: 40 - before, before })
  const entries = entriesOf(output)
  expect(entries.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(lines.map(({ id }) => id))
  expect(await batch(input, output)).toMatchObject({ code: 0, answered: 0, before: 40 })
})

test('Ctrl-C ends it with whole lines, exit code 130', async () => {
  const { input, output } = files(
    Array.from({ length: 300 }, (_, index) => ({ id: index, question: `Say ${index}` })),
  )
  const running = start([cli, 'batch', input, output, ...small])
  await linesIn(output, 3)
  running.child.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 130, signal: null, stdout: '' })
  expect(entriesOf(output).length).toBeLessThan(300)
  expect(existsSync(`${output}.lock`)).toBe(false)
})

test('of a changed input, only what is new is done', async () => {
  const [first, second, third] = [{ question: 'One' }, { question: 'Two' }, { question: 'Three' }]
  const { input, output } = files([first, third])
  await batch(input, output, '--concurrency', '1')
  writeFileSync(input, [second, third, first, first].map((line) => JSON.stringify(line)).join('\n'))
  expect(await batch(input, output, '--concurrency', '1')).toMatchObject({
    lines: 4,
    answered: 2,
    before: 2,
  })
  expect(entriesOf(output).map(({ line }) => line)).toEqual([1, 2, 1, 4])
})

test('answers to another question, or made with other options, stay, and are told of', async () => {
  const { input, output } = files([{ image: scene }, { question: 'Hello' }, { id: 1 }])
  const again = (...more: string[]) => run([cli, 'batch', input, output, ...small, ...more])
  await again('--question', 'What?')
  const same = await again('--question', 'What?')
  expect(same).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0 answered.* 3 done/) })
  expect(same.stderr).not.toContain('note:')
  const other = await again('--question', 'Where?') // the second line has a question of its own
  expect(other).toMatchObject({ code: 0, stderr: expect.stringMatching(/^note: 2 lines of .*\n$/m) })
  const warmer = await again('--question', 'What?', '--seed', '3', '--json')
  expect(JSON.parse(warmer.stdout)).toMatchObject({ answered: 0, before: 3, outdated: 3 })
  expect(entriesOf(output)).toHaveLength(3)
})

test('several lines are computed together: a long answer holds up no short one', async () => {
  const lines = Array.from({ length: 12 }, (_, index) => ({
    question: `Say ${index}`,
    options: { maxTokens: index === 0 ? 400 : 2, ignoreEos: true },
  }))
  const { input, output } = files(lines)
  expect(await batch(input, output, '--concurrency', '4')).toMatchObject({ code: 0, answered: 12 })
  const entries = entriesOf(output)
  expect(byLine(entries)).toEqual(lines.map((_, index) => index + 1))
  expect(entries.at(-1)?.line).toBe(1)
})

test('two runs with one output do not mix', async () => {
  const long = { question: 'Tell a long story.', options: { maxTokens: 8000, ignoreEos: true } }
  const { input, output } = files([{ question: 'Hello' }, ...Array.from({ length: 100 }, () => long)])
  const running = start([cli, 'batch', input, output, ...small])
  await linesIn(output, 1)
  const { code, stderr } = await run([cli, 'batch', input, output, ...small])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('is being written by another batch'),
  })
  running.child.kill('SIGINT')
  await running.ended
})

test.each<[string, (names: { input: string; output: string }) => string[], RegExp]>([
  ['no input', ({ output }) => ['absent.jsonl', output], /absent\.jsonl cannot be read: ENOENT/],
  ['no folder for the output', ({ input }) => [input, 'no/such/out.jsonl'], /no\/such/],
  ['another file as output', ({ input }) => [input, input], /:1 is not the output of a batch/],
  ['no concurrency', ({ input, output }) => [input, output, '--concurrency', '0'], /whole number from 1/],
])('an error is one line: %s', async (_, args, expected) => {
  const names = files([{ question: 'Hello' }, { question: 'Hello' }])
  const { code, stdout, stderr } = await run([cli, 'batch', ...args(names)])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^error: [^\n]+\n$/)
  expect(stderr).toMatch(expected)
})

/** Resolves when a file has so many lines. */
async function linesIn(path: string, least: number): Promise<void> {
  const has = () => existsSync(path) && readFileSync(path, 'utf8').split('\n').length > least
  const watcher = watch(folder.path)
  while (!has()) await once(watcher, 'change')
  watcher.close()
}
