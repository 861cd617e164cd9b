/** The command line as it is shipped: dist/cli/main.js in child processes, on a tiny random model. */
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  GenerationResult,
  ImageEmbedding,
  ModelInfo,
  PromptInspection,
  SystemReport,
  VideoEmbedding,
} from '../../lib'
import { cli, fixture, root, run, start, withModel } from './program'
import type { Ended, ProgramOptions } from './program'

type Answer = Omit<GenerationResult, 'tokens'> & { readonly tokens: readonly number[] }
type Inspected = Pick<PromptInspection, 'text' | 'ropeDelta' | 'images'> & {
  readonly tokens: readonly number[]
  readonly positions: Readonly<Record<'t' | 'h' | 'w', readonly number[]>>
}
type Embedded = Omit<ImageEmbedding, 'data' | 'type'> & { readonly bytes: number }
interface Info {
  readonly system: SystemReport
  readonly model?: ModelInfo
}

interface Bench {
  readonly runs: readonly Readonly<Record<string, number>>[]
  readonly median: Readonly<Record<string, number>>
}
interface Doctor {
  readonly findings: readonly { readonly check: string; readonly state: string; readonly text: string }[]
  readonly system?: SystemReport
}

const folder = mkdtempSync(join(tmpdir(), 'qwenvl-cli-'))
const picture = fixture('images/scene.png')
/** Four frames of the least size that is a multiple of the model's factor, for speed. */
const clip = [
  '--video',
  fixture('video/clip.mp4'),
  '--fps',
  '2',
  '--max-frames',
  '4',
  '--total-pixels',
  '8192',
]
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const question = ['-q', 'What is in this picture?']
const short = ['--max-tokens', '8', '--seed', '1']
const endless = ['--temperature', '0', '--max-tokens', '1000000', '--context-size', '32768']

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a command that has to succeed, silently but for stdout. */
async function qwenvl(args: readonly string[], options?: ProgramOptions): Promise<string> {
  const ended = await run([cli, ...args], options)
  expect({ ...ended, stdout: '' }).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
  return ended.stdout
}

async function qwenvlJson<T>(args: readonly string[], options?: ProgramOptions): Promise<T> {
  const stdout = await qwenvl([...args, '--json'], options)
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  return JSON.parse(stdout) as T
}

/** What a failed command said, after checking that it is one line of the agreed form. */
async function errorOf(args: readonly string[], options?: ProgramOptions): Promise<string> {
  const { code, stdout, stderr } = await run([cli, ...args], options)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^error: [^\n]+\n$/)
  return stderr
}

describe('ask', () => {
  test('answers about a picture, as text and as one JSON object of the same answer', async () => {
    const text = await qwenvl(['ask', picture, ...question, ...short])
    const answer = await qwenvlJson<Answer>(['ask', picture, ...question, ...short])

    expect(`${answer.text}${answer.text.endsWith('\n') ? '' : '\n'}`).toBe(text)
    expect(answer).toEqual({
      text: expect.any(String),
      tokens: expect.any(Array),
      finishReason: expect.stringMatching(/^(stop|length)$/),
      usage: { promptTokens: expect.any(Number), cachedTokens: 0, completionTokens: expect.any(Number) },
      timings: {
        queueMs: expect.any(Number),
        decodeImageMs: expect.any(Number),
        encodeMs: expect.any(Number),
        prefillMs: expect.any(Number),
        generateMs: expect.any(Number),
      },
      rates: { prefill: expect.any(Number), generate: expect.any(Number) },
      videos: [],
      toolCalls: [],
      images: [
        {
          original: { width: 211, height: 158 },
          processed: { width: expect.any(Number), height: expect.any(Number) },
          grid: { t: 1, h: expect.any(Number), w: expect.any(Number) },
          tokens: expect.any(Number),
          encodeMs: expect.any(Number),
          cached: false,
          source: 'encoder',
        },
      ],
    })
    const { processed, grid, tokens } = only(answer.images)
    expect(processed).toEqual({ width: grid.w * 16, height: grid.h * 16 })
    expect(tokens).toBe((grid.w * grid.h) / 4)
    expect(answer.usage.promptTokens).toBeGreaterThan(tokens)
    expect(answer.tokens.length).toBeLessThanOrEqual(8)
  })

  test('with LoRA adapters at the scales that are named', async () => {
    const env = { QWENVL_MODEL: fixture('qwen3vl/model-f32.gguf') }
    const lora = fixture('qwen3vl/lora-f32.gguf')
    const asked = async (...more: string[]) =>
      (await qwenvlJson<Answer>(['ask', ...question, ...short, '--temperature', '0', ...more], { env }))
        .tokens
    const [plain, off, whole] = [
      await asked(),
      await asked('--lora', `${lora}=0`),
      await asked('--lora', lora),
    ]
    expect(off).toEqual(plain)
    expect(whole).not.toEqual(plain)
  })

  test('takes the files from options too, and a question without pictures', async () => {
    const files = ['--model', withModel.QWENVL_MODEL, '--mmproj', withModel.QWENVL_MMPROJ]
    const { images, usage } = await qwenvlJson<Answer>(['ask', ...question, ...short, ...files], { env: {} })
    expect(images).toEqual([])
    expect(usage.completionTokens).toBeGreaterThan(0)
  })

  test('hands its options to the model', async () => {
    const { usage, finishReason } = await qwenvlJson<Answer>([
      ...['ask', ...question, '--temperature', '0', '--max-tokens', '2', '--threads', '1', '--seed', '3'],
    ])
    expect({ completionTokens: usage.completionTokens, finishReason }).toEqual({
      completionTokens: 2,
      finishReason: 'length',
    })
    const plain = await qwenvlJson<Answer>(['ask', ...question, ...short])
    const instructed = await qwenvlJson<Answer>([
      'ask',
      ...question,
      ...short,
      '--system',
      'Answer in one word.',
    ])
    expect(instructed.usage.promptTokens).toBeGreaterThan(plain.usage.promptTokens)

    const small = await qwenvlJson<Answer>([
      'ask',
      picture,
      ...question,
      ...short,
      '--min-pixels',
      '1024',
      '--max-pixels',
      '4096',
    ])
    const { width, height } = only(small.images).processed
    expect(width * height).toBeLessThanOrEqual(4096)
  })

  test('keeps the order of pictures and reads one from stdin', async () => {
    const input = readFileSync(fixture('images/wide.png'))
    const { images } = await qwenvlJson<Answer>(['ask', picture, '-', ...question, ...short], { input })
    const wide = await qwenvlJson<Answer>(['ask', fixture('images/wide.png'), ...question, ...short])
    expect(images.map(({ original }) => original)).toEqual([
      { width: 211, height: 158 },
      only(wide.images).original,
    ])
  })

  test('shows a video behind the pictures, as much of it as asked for', async () => {
    const { images, videos } = await qwenvlJson<Answer>(['ask', picture, ...clip, ...question, ...short])
    expect(images).toHaveLength(1)
    expect(only(videos)).toMatchObject({ frames: 4, sampleFps: 2, original: { width: 128, height: 96 } })
    const { stderr } = await run([cli, 'ask', ...clip, ...question, ...short, '--verbose'])
    expect(stderr).toMatch(/^video 1: 4 frames, 2 per second, 128×96 → \d+×\d+ pixels, grid 2×/m)
  })

  test('--verbose tells sizes and times on stderr', async () => {
    const { code, stderr } = await run([cli, 'ask', picture, ...question, ...short, '--verbose'])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stderr).toMatch(/^picture 1: 211×158 → \d+×\d+ pixels, grid 1×\d+×\d+, \d+ tokens$/m)
    expect(stderr).toMatch(/prefill \d+ tokens .* generate \d+ tokens/)
  })
})

describe('embed', () => {
  test('writes rows of little-endian float32 and tells their shape', async () => {
    const file = join(folder, 'scene.f32')
    const summary = await qwenvlJson<Embedded>(['embed', picture, '--out', file])
    const { tokens, width, grid } = summary
    const bytes = readFileSync(file)

    expect(summary).toMatchObject({
      file,
      type: 'float32',
      byteOrder: 'little-endian',
      shape: [tokens, width],
    })
    expect(tokens).toBe((grid.h * grid.w) / 4)
    expect(bytes.length).toBe(tokens * width * 4)
    expect(summary.bytes).toBe(bytes.length)
    const values = Array.from({ length: tokens * width }, (_, index) => bytes.readFloatLE(index * 4))
    expect(values.every(Number.isFinite)).toBe(true)
    expect(new Set(values).size).toBeGreaterThan(width)
  })

  test('prints the same for people', async () => {
    const file = join(folder, 'again.f32')
    expect(await qwenvl(['embed', picture, '--out', file])).toMatch(
      /again\.f32: \d+ × \d+ float32, little-endian, \d+ bytes; 211×158 → /,
    )
  })
})

test('embed writes the rows of a video too', async () => {
  const file = join(folder, 'clip.f32')
  const summary = await qwenvlJson<Omit<VideoEmbedding, 'data'> & { bytes: number }>([
    'embed',
    ...clip,
    '--out',
    file,
  ])
  const { grid, tokens, width, hashes, times, bytes } = summary
  expect(grid.t).toBe(2)
  expect([hashes.length, times.length]).toEqual([2, 2])
  expect(tokens).toBe((grid.t * grid.h * grid.w) / 4)
  expect([bytes, readFileSync(file).length]).toEqual([tokens * width * 4, tokens * width * 4])
  expect(await qwenvl(['embed', ...clip, '--out', file])).toMatch(
    /clip\.f32: \d+ × .*; 4 frames, 2 per second, /,
  )
})

describe('inspect', () => {
  const messages = [{ role: 'user', content: [{ type: 'image', image: picture }, question[1]] }]
  const file = join(folder, 'messages.json')
  beforeAll(() => writeFileSync(file, JSON.stringify(messages)))

  test('shows the rows of a conversation: as many positions as ids, a picture as its tokens', async () => {
    const { text, tokens, positions, ropeDelta, images } = await qwenvlJson<Inspected>([
      'inspect',
      '--messages',
      file,
    ])
    const sizes = only(images)

    expect(text).toContain('<|vision_start|><|image_pad|><|vision_end|>What is in this picture?')
    expect(Object.keys(positions)).toEqual(['t', 'h', 'w'])
    for (const row of [positions.t, positions.h, positions.w]) expect(row).toHaveLength(tokens.length)
    expect(ropeDelta).toBe(Math.max(...positions.t, ...positions.h, ...positions.w) + 1 - tokens.length)

    const pad = mostFrequent(tokens)
    const first = tokens.indexOf(pad)
    expect(tokens.filter((token) => token === pad)).toHaveLength(sizes.tokens)
    expect(new Set(positions.t.slice(first, first + sizes.tokens)).size).toBe(1)
    expect(new Set(positions.h.slice(first, first + sizes.tokens)).size).toBe(sizes.grid.h / 2)
    expect(new Set(positions.w.slice(first, first + sizes.tokens)).size).toBe(sizes.grid.w / 2)
  })

  test('counts what `ask` then computes', async () => {
    const { tokens } = await qwenvlJson<Inspected>(['inspect', '--messages', file])
    const { usage } = await qwenvlJson<Answer>(['ask', picture, ...question, ...short])
    expect(usage.promptTokens).toBe(tokens.length)
  })

  test('abbreviates pictures for people, and reads stdin', async () => {
    const { tokens, images } = await qwenvlJson<Inspected>(['inspect', '--messages', file])
    const text = await qwenvl(['inspect', '--messages', '-'], { input: JSON.stringify(messages) })
    expect(text).toContain(`${mostFrequent(tokens)} × ${only(images).tokens}\n`)
    expect(text).toContain(`tokens: ${tokens.length}, rope delta`)
    expect(text.split('\n').length).toBeLessThan(40)
  })

  test('with the sizes of either reference', async () => {
    const input = JSON.stringify([
      { role: 'user', content: [{ type: 'image', image: fixture('images/tiny.png') }] },
    ])
    const sizeBy = async (reference: string[]) =>
      only((await qwenvlJson<Inspected>(['inspect', '--messages', '-', ...reference], { input })).images)
        .processed
    expect(await sizeBy(['--reference', 'qwen-vl-utils'])).toEqual({ width: 96, height: 64 })
    expect(await sizeBy(['--reference', 'transformers'])).toEqual({ width: 320, height: 224 })
    expect(await sizeBy([])).toEqual({ width: 320, height: 224 })
  })
})

describe('info', () => {
  test('prints the facts of the installation and of the model, or all of them as JSON', async () => {
    const { system, model } = await qwenvlJson<Info>(['info'])
    expect(system).toMatchObject({ version, node: process.version })
    expect(model).toMatchObject({ generation: 'qwen3vl', generationName: 'Qwen3-VL', image: { factor: 32 } })

    const text = await qwenvl(['info'])
    expect(text).toMatch(new RegExp(`^qwenvl-native +${version}$`, 'm'))
    expect(text).toMatch(/^generation +Qwen3-VL \(qwen3vl\)$/m)
  })

  test('needs no projector', async () => {
    const env = { QWENVL_MODEL: withModel.QWENVL_MODEL }
    expect(await qwenvl(['info'], { env })).toMatch(/^picture encoder +none: pass --mmproj$/m)
  })
})

describe('bench', () => {
  const few = ['--picture', '128x96', '--prompt', '20', '--generate', '5', '--runs', '2']

  test('measures a picture, a prompt and an answer that are new each time', async () => {
    const { runs, median, ...rest } = await qwenvlJson<Bench>(['bench', ...few])
    expect(rest).toMatchObject({
      decoder: 'CPU',
      encoder: 'CPU',
      loadMs: expect.any(Number),
      peakBytes: expect.any(Number),
    })
    expect(runs).toHaveLength(2)
    for (const run of [...runs, median]) {
      expect(run).toMatchObject({ pictureTokens: 70, generatedTokens: 5 })
      expect(run.promptTokens).toBeGreaterThan(20)
      for (const ms of [run.encodeMs, run.prefillMs, run.generateMs]) expect(ms).toBeGreaterThan(0)
    }
  })

  test('prints a table, without pictures where there is no projector', async () => {
    const text = await qwenvl(['bench', ...few], { env: { QWENVL_MODEL: withModel.QWENVL_MODEL } })
    expect(text).toMatch(/^prefill +\d+ tokens +\S+ ms +\S+ tokens\/s$/m)
    expect(text).not.toMatch(/^encode/m)
  })
})

describe('doctor', () => {
  const checks = ({ findings }: Doctor) =>
    Object.fromEntries(findings.map(({ check, state }) => [check, state]))

  test('tells what is used, and lets a model answer', async () => {
    const found = await qwenvlJson<Doctor>(['doctor'])
    expect(checks(found)).toMatchObject({
      node: 'ok',
      'native part': 'ok',
      processor: 'ok',
      memory: 'ok',
      models: 'ok',
      'self test': 'ok',
    })
    expect(found.system).toMatchObject({
      version,
      backends: expect.arrayContaining([expect.objectContaining({ name: 'CPU' })]),
    })
    const text = await qwenvl(['doctor'])
    expect(text).toMatch(/^ok +self test +.* tokens\/s$/m)
  })

  test.each<[string, string, Record<string, string>]>([
    ['no native part', 'native part', { QWENVL_NATIVE_PATH: '/absent.node' }],
    ['a model that does not load', 'self test', { QWENVL_MODEL: picture }],
  ])('%s is a problem, exit code 1', async (_, check, env) => {
    const { code, stdout, stderr } = await run([cli, 'doctor', '--json'], { env })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(checks(JSON.parse(stdout) as Doctor)).toMatchObject({ node: 'ok', [check]: 'problem' })
  })

  test('a missing ffmpeg is worth a note', async () => {
    const { findings } = await qwenvlJson<Doctor>(['doctor'], { env: { PATH: '/absent' } })
    expect(findings).toContainEqual({
      check: 'ffmpeg',
      state: 'note',
      text: expect.stringContaining('Install ffmpeg'),
    })
  })
})

describe('an error is one line and exit code 1:', () => {
  const corrupt = join(folder, 'corrupt.png')
  beforeAll(() => writeFileSync(corrupt, readFileSync(picture).subarray(0, 500)))

  const textOnly = { env: { QWENVL_MODEL: withModel.QWENVL_MODEL } }
  const long = ['-q', 'word '.repeat(5000)]

  test.each<{ name: string; args: readonly string[]; expected: RegExp; options?: ProgramOptions }>([
    {
      name: 'a projector without its model',
      args: ['ask', ...question, '--mmproj', withModel.QWENVL_MMPROJ],
      expected: /--model.*a projector belongs to its model/,
      options: { env: {} },
    },
    { name: 'a missing model', args: ['info', '-m', 'no-such.gguf'], expected: /'no-such\.gguf'.*path/ },
    {
      name: 'a model by its name alone',
      args: ['ask', ...question, '-m', 'qwen3-vl'],
      expected: /'qwen3-vl'.*path.*hf:owner\/name.*`qwenvl-native list`/,
    },
    {
      name: 'a model of Hugging Face without hf:',
      args: ['estimate', 'Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M'],
      expected: /written hf:Qwen\/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M;/,
    },
    { name: 'a file that is no GGUF', args: ['info', '-m', picture], expected: /is not a GGUF file/ },
    {
      name: 'swapped files',
      args: ['info', '-m', withModel.QWENVL_MMPROJ, '--mmproj', withModel.QWENVL_MODEL],
      expected: /--model and --mmproj are swapped/,
    },
    {
      name: 'a picture without projector',
      args: ['ask', picture, ...question],
      expected: /Pass --mmproj\.$/m,
      options: textOnly,
    },
    { name: 'a corrupt picture', args: ['ask', corrupt, ...question], expected: /corrupt\.png' is damaged/ },
    { name: 'a missing picture', args: ['ask', 'no-such.png', ...question], expected: /'no-such\.png'/ },
    { name: 'no question', args: ['ask', picture], expected: /--question/ },
    {
      name: 'an unknown option',
      args: ['ask', ...question, '--temprature', '0'],
      expected: /unknown option '--temprature' \(Did you mean --temperature\?\)/,
    },
    {
      name: 'an unknown option instead of one that is needed',
      args: ['ask', '--qestion', 'What is this?'],
      expected: /unknown option '--qestion' \(Did you mean --question\?\)/,
    },
    { name: 'an unknown command', args: ['aks'], expected: /unknown command 'aks' \(Did you mean ask\?\)/ },
    {
      name: 'a model that is none',
      args: ['rm', 'foo'],
      expected: /name of a model of the form hf:.*got 'foo'/,
    },
    {
      name: 'a picture of this machine',
      args: ['ask', 'http://127.0.0.1:1/a.png', ...question],
      expected: /\(`--allow-private-addresses` of a command\)/,
    },
    {
      name: 'no number',
      args: ['ask', ...question, '--seed', 'x'],
      expected: /--seed <n>' argument 'x' is invalid\..*number/,
    },
    {
      name: 'out of range',
      args: ['ask', ...question, '--max-tokens', '0'],
      expected: /--max-tokens to be a whole number/,
    },
    {
      name: 'a prompt that is too long',
      args: ['ask', ...long],
      expected: /prompt has \d+ tokens.*--context-size/,
    },
    {
      name: 'missing messages',
      args: ['inspect', '--messages', 'no-such.json'],
      expected: /no-such\.json cannot be read/,
    },
    {
      name: 'messages that are no JSON',
      args: ['inspect', '--messages', '-'],
      expected: /stdin is not JSON/,
      options: { input: '[' },
    },
    {
      name: 'no message',
      args: ['inspect', '--messages', '-'],
      expected: /`messages`/,
      options: { input: '[]' },
    },
    { name: 'neither picture nor video', args: ['embed', '-o', 'x'], expected: /one picture, or one video/ },
    {
      name: 'both picture and video',
      args: ['embed', picture, ...clip, '-o', 'x'],
      expected: /one picture, or one video/,
    },
    {
      name: 'a video without ffmpeg',
      args: ['ask', ...clip, '--ffmpeg', join(folder, 'no-ffmpeg'), ...question],
      expected: /Install ffmpeg/,
    },
    {
      name: 'no folder to write to',
      args: ['embed', picture, '-o', 'no/such/x'],
      expected: /No access to 'no\/such\/x': no such file or directory\. Check the path/,
    },
    {
      name: 'a picture as a video',
      args: ['ask', '--video', picture, ...question],
      expected: /a picture is shown as one: .* without --video/,
    },
    {
      name: 'a size without pixels',
      args: ['bench', '--picture', '0x10'],
      expected: /--picture has to be like 1920x1080, not '0x10'/,
    },
    { name: 'no compiler', args: ['build', '--jobs', '0'], expected: /--jobs <n>' argument '0' is invalid/ },
  ])('$name', async ({ args, expected, options }) => {
    expect(await errorOf(args, options)).toMatch(expected)
  })

  test('--verbose adds what is behind it', async () => {
    const { code, stderr } = await run([cli, 'ask', 'no-such.png', ...question, '--verbose'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: [^\n]+\n[^\n]+\n/)
  })
})

describe('stopped from outside', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s during generation ends it, exit code %i', async (name, code) => {
    const { child, ended } = start([cli, 'ask', picture, ...question, ...endless])
    await once(child.stdout, 'data')
    child.kill(name)
    const result: Ended = await ended
    expect(result).toMatchObject({ code, signal: null, stderr: '' })
  })

  test('a closed pipe ends it without a word, exit code 0', async () => {
    const { child, ended } = start([cli, 'ask', ...question, ...endless])
    await once(child.stdout, 'data')
    child.stdout.destroy()
    expect(await ended).toMatchObject({ code: 0, signal: null, stderr: '' })
  })
})

test('help names every command and exits with 0', async () => {
  const help = await qwenvl(['--help'], { env: {} })
  for (const command of [
    'ask',
    'batch',
    'embed',
    'inspect',
    'pull',
    'list',
    'rm',
    'estimate',
    'bench',
    'info',
    'doctor',
    'build',
  ])
    expect(help).toMatch(new RegExp(`^  ${command} `, 'm'))
  expect(await qwenvl(['--version'], { env: {} })).toBe(`${version}\n`)
})

test('build tells, as JSON, where the binary is and that nothing was to do', async () => {
  const told = JSON.parse(await qwenvl(['build', '--json'], { env: {} })) as Record<string, unknown>
  expect(told).toEqual({ addon: expect.stringMatching(/qwenvl-native\.node$/), compiled: false })
  expect(existsSync(String(told['addon']))).toBe(true)
})

function only<T>(items: readonly T[]): T {
  expect(items).toHaveLength(1)
  return items[0] as T
}

function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? -1
}
