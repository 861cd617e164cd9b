/**
 * README.md and docs/*.md tell the truth: every js block runs as printed in a project that has the package, and every
 * option, error code, export and flag has its line. A block marked `js setup` is put before the later ones of its file.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as api from '../../lib'
import { checkGenerateOptions, checkLoadOptions } from '../../lib/checks'
import { startHub } from '../support/hub'
import type { FakeHub } from '../support/hub'
import { cli, fixture, root, run, withModel } from './program'

const guides = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const documents = ['README.md', ...guides.map((name) => `docs/${name}`)]
const read = (name: string) => readFileSync(join(root, name), 'utf8')
const project = mkdtempSync(join(tmpdir(), 'qwenvl-docs-'))

/** The tiny model under the names that the documents use. */
let hub: FakeHub
const env = () => ({ ...withModel, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(project, 'cache') })

beforeAll(async () => {
  hub = await startHub({
    'ggml-org/Qwen2.5-VL-3B-Instruct-GGUF': {
      files: {
        'Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf': readFileSync(fixture('qwen2.5vl/model-f16.gguf')),
        'mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf': readFileSync(fixture('qwen2.5vl/mmproj-f16.gguf')),
      },
    },
  })
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules/qwenvl-native'), 'junction')
  for (const name of ['zod', 'ai', 'openai', '@anthropic-ai', '@langchain']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction')
  }
  copyFileSync(fixture('images/exif-orientation-6.jpg'), join(project, 'dog.jpg'))
  copyFileSync(fixture('images/scene.png'), join(project, 'a.png'))
  copyFileSync(fixture('images/wide.png'), join(project, 'b.png'))
  for (const name of ['page.png', 'screen.png'])
    copyFileSync(fixture('images/scene.png'), join(project, name))
  copyFileSync(fixture('qwen3vl/lora-f32.gguf'), join(project, 'invoices.gguf'))
  copyFileSync(fixture('video/clip.mp4'), join(project, 'clip.mp4'))
  const summary = await run([cli, 'embed', 'dog.jpg', '--out', 'dog.f32', '--json'], { cwd: project })
  writeFileSync(join(project, 'dog.json'), summary.stdout)
})
afterAll(async () => {
  rmSync(project, { recursive: true, force: true })
  await hub[Symbol.asyncDispose]()
})

interface Program {
  readonly name: string
  readonly code: string
}

function programsOf(document: string): Program[] {
  const programs: Program[] = []
  let setup = ''
  for (const { 1: mark, 2: block = '', index } of read(document).matchAll(
    /^```js(?: (\S+))?\n([\s\S]*?)^```$/gm,
  )) {
    const line = read(document).slice(0, index).split('\n').length
    programs.push({ name: `${document}:${line}`, code: setup + block })
    if (mark === 'setup') setup += block
  }
  return programs
}

const programs = documents.flatMap(programsOf)

test('there are programs', () => {
  expect(programs.filter(({ name }) => name.startsWith('README.md')).length).toBeGreaterThan(1)
  expect(programs.filter(({ name }) => name.startsWith('docs/api.md')).length).toBeGreaterThan(5)
})

test.each(programs)('$name runs', async ({ code }) => {
  writeFileSync(join(project, 'program.mjs'), code)
  const ended = await run(['program.mjs'], { cwd: project, env: env() })
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' })
})

test('the first program answers', async () => {
  const program =
    /<!-- first-program -->\s*```js\n([\s\S]*?)```\s*<!-- \/first-program -->/.exec(read('README.md'))?.[1] ??
    ''
  writeFileSync(join(project, 'first.mjs'), program)
  const { stdout } = await run(['first.mjs'], { cwd: project })
  expect(stdout).not.toBe('')
})

describe('has a line in README.md:', () => {
  const readme = read('README.md')

  test.each([
    ['load', checkLoadOptions],
    ['generate', checkGenerateOptions],
  ])('every %s option', (_, check) => {
    const names = optionsOf(check)
    expect(names.length).toBeGreaterThan(10)
    expect(names.filter((name) => !readme.includes(`\`${name}\``))).toEqual([])
  })

  test('every error code', () => {
    const codes = [...read('lib/errors.ts').matchAll(/^ {2}\| '([A-Z_]+)'$/gm)].map(([, code = '']) => code)
    expect(codes.length).toBeGreaterThan(20)
    expect(codes.filter((code) => !readme.includes(`\`${code}\``))).toEqual([])
  })
})

test('docs/api.md names every export', () => {
  const text = read('docs/api.md')
  expect(Object.keys(api).filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
})

test('docs/cli.md names every flag, and the help of a command gives examples with its own', async () => {
  const text = read('docs/cli.md')
  const flags: string[] = []
  for (const command of [
    'ask',
    'chat',
    'batch',
    'embed',
    'inspect',
    'serve',
    'pull',
    'list',
    'rm',
    'estimate',
    'bench',
    'info',
    'doctor',
    'build',
  ]) {
    const { stdout } = await run([cli, 'help', command])
    const own = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag = '']) => flag)
    const examples = [...stdout.matchAll(/^ {2}\$ qwenvl-native (.*)$/gm)].map(([, line = '']) => line)
    expect(examples.map((line) => line.split(' ')[0])).toContain(command)
    const used = examples.flatMap((line) => line.match(/--[a-z-]+/g) ?? [])
    expect(used.filter((flag) => !own.includes(flag))).toEqual([])
    flags.push(...own)
  }
  expect(flags.length).toBeGreaterThan(20)
  expect([...new Set(flags)].filter((flag) => flag !== '--help' && !text.includes(flag))).toEqual([])
}, 180_000) // a process for each command

test('links lead to files and headings that exist', () => {
  const broken: string[] = []
  for (const document of documents) {
    for (const { 1: target = '' } of read(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = '', heading] = target.split('#')
      const file = path === '' ? document : join(document, '..', path)
      if (!exists(file) || (heading !== undefined && !headingsOf(file).includes(heading)))
        broken.push(`${document}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

/** The names that the check of options lists when it meets an unknown one. */
function optionsOf(check: (options: unknown) => unknown): string[] {
  try {
    check({ model: 'x', unknown: 1 })
  } catch (error) {
    return /The options are: (.*)\./.exec((error as Error).message)?.[1]?.split(', ') ?? []
  }
  return []
}

function exists(file: string): boolean {
  try {
    return readdirSync(join(root, file, '..')).includes(file.replace(/\/$/, '').split('/').at(-1) ?? '')
  } catch {
    return false
  }
}

function headingsOf(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replace(/\s/g, '-'),
  )
}
