/** `pull`, `list`, `rm`, `estimate` as they are shipped, in child processes that a hub on 127.0.0.1 serves. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CachedModel, Estimate, PulledModel, RemovedModel } from '../../lib'
import { temporaryFolder } from '../support/errors'
import { startHub } from '../support/hub'
import type { FakeHub } from '../support/hub'
import { cli, fixture, run, start, terminal } from './program'

const folder = temporaryFolder()
const model = randomBytes(1_200_000)
const projector = randomBytes(100_000)
let hub: FakeHub
let count = 0
let env: Record<string, string>
beforeEach(async () => {
  hub = await startHub({
    'o/n': { files: { 'x-Q4_K_M.gguf': model, 'mmproj-x-F16.gguf': projector } },
    'o/tiny': {
      files: {
        'tiny-F16.gguf': readFileSync(fixture('qwen3vl/model-f16.gguf')),
        'mmproj-tiny-F16.gguf': readFileSync(fixture('qwen3vl/mmproj-f16.gguf')),
      },
    },
  })
  env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder.path, String(count++)), HF_TOKEN: 'hf_x' }
})
afterEach(() => hub[Symbol.asyncDispose]())

/** A command that has to succeed. */
async function qwenvl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run([cli, ...args], { env })
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return stdout
}

async function qwenvlJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await qwenvl(...args, '--json')) as T
}

test('a model is pulled, listed, asked and removed', async () => {
  const pulled = await qwenvlJson<PulledModel>('pull', 'hf:o/tiny')
  expect(pulled).toMatchObject({ repository: 'o/tiny', quantisation: 'F16' })
  expect(await qwenvl('pull', 'hf:o/tiny')).toBe(
    `model      ${pulled.model}\nprojector  ${pulled.mmproj}\nsize       496.7 kB (was there) + 386.1 kB (was there)\n`,
  )

  const [listed] = await qwenvlJson<CachedModel[]>('list')
  expect(listed).toMatchObject({ reference: 'hf:o/tiny:F16', complete: true })
  expect(await qwenvl('list')).toBe('hf:o/tiny:F16  496.7 kB  mmproj-tiny-F16.gguf\n')

  env = { ...env, HF_HUB_OFFLINE: '1', QWENVL_MODEL: 'hf:o/tiny:F16' }
  const question = ['-q', 'What is this?', '--max-tokens', '4']
  const answer = await qwenvlJson<{ images: unknown[] }>('ask', fixture('images/scene.png'), ...question)
  expect(answer.images).toHaveLength(1)

  const removed = await qwenvlJson<RemovedModel[]>('rm', 'hf:o/tiny')
  expect(removed).toEqual([{ model: 'hf:o/tiny', files: expect.any(Array), freedBytes: 496704 + 386112 }])
  expect(await run([cli, 'list'], { env })).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringMatching(/^note: There are no models in .*pull.*\n$/),
  })
})

test('a model is estimated without being downloaded', async () => {
  const estimated = await qwenvlJson<Estimate>('estimate', 'hf:o/tiny', '--picture', '640x480')
  expect(estimated).toMatchObject({
    generation: 'qwen3vl',
    downloadBytes: 496704 + 386112,
    picture: { width: 640, height: 480, tokens: 300 },
    fits: true,
  })
  const text = await qwenvl('estimate', '-m', 'hf:o/tiny')
  expect(text).toMatch(/^download +882\.8 kB$/m)
  expect(text).toMatch(/^fits +yes$/m)
  expect(await qwenvlJson('list')).toEqual([])
})

test('a killed pull continues where it was', async () => {
  const running = start([cli, 'pull', 'hf:o/n', '--no-projector'], { env })
  hub.faults.push({
    silentAfter: 600_000,
    onMeet: () => setTimeout(() => running.child.kill('SIGKILL'), 1000),
  })
  expect(await running.ended).toMatchObject({ code: null, signal: 'SIGKILL' })
  const { model: path } = await qwenvlJson<PulledModel>('pull', 'hf:o/n', '--no-projector')
  expect(readFileSync(path).equals(model)).toBe(true)
  const [, second] = hub.transfers()
  expect(second?.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
})

test('two pulls of one file at the same time fetch it once', async () => {
  hub.faults.push({ delay: 1500 })
  const [first, second] = await Promise.all([
    qwenvlJson<PulledModel>('pull', 'hf:o/n', '--no-projector'),
    qwenvlJson<PulledModel>('pull', 'hf:o/n', '--no-projector'),
  ])
  expect(first.model).toBe(second.model)
  expect(readFileSync(first.model).equals(model)).toBe(true)
  expect(hub.transfers()).toHaveLength(1)
})

test('Ctrl-C ends a pull, exit code 130', async () => {
  const running = start([cli, 'pull', 'hf:o/n'], { env })
  hub.faults.push({ silentAfter: 600_000, onMeet: () => setTimeout(() => running.child.kill('SIGINT'), 300) })
  const { code, signal, stdout } = await running.ended
  expect({ code, signal, stdout }).toEqual({ code: 130, signal: null, stdout: '' })
})

test('in a pipe, progress is plain lines on stderr', async () => {
  const { stdout, stderr } = await run([cli, 'pull', 'hf:o/n'], { env })
  expect(stdout).toMatch(/^model {6}/)
  expect(stderr).toMatch(/^x-Q4_K_M\.gguf .* \d+ % \| .* of 1\.3 MB \| /)
  // eslint-disable-next-line no-control-regex
  expect(stderr).not.toMatch(/[\x00-\x09\x0b-\x1f]/)
})

// util-linux gives a program a terminal; elsewhere `script` takes other arguments.
const inLinux = process.platform === 'linux' ? test : test.skip
inLinux('in a terminal, progress is a bar that leaves nothing behind', async () => {
  hub.faults.push({ silentAfter: 600_000, onMeet: () => setTimeout(() => pulling.type('\x03'), 1500) })
  const pulling = terminal(['pull', 'hf:o/n'], env)
  await pulling.shows('\x1b[?25l') // the cursor is hidden
  await pulling.shows('x-Q4_K_M.gguf')
  await pulling.shows('of 1.3 MB')
  await pulling.shows('\x1b[?25h')
  expect(await pulling.ended).toBe(130)
})

test.each<[string, readonly string[], Record<string, string>, RegExp]>([
  ['no such quantisation', ['pull', 'hf:o/n:Q2_K'], {}, /has no Q2_K\. It has Q4_K_M\./],
  ['no repository', ['pull', 'hf:o/absent'], {}, /refuses .*o\/absent/],
  ['no name', ['pull', 'model.gguf'], {}, /hf:owner\/name:Q4_K_M/],
  ['offline', ['pull', 'hf:o/n'], { HF_HUB_OFFLINE: '1' }, /hf:o\/n is not complete in the cache/],
  ['nothing to remove', ['rm', 'hf:o/n'], {}, /hf:o\/n is not in the cache/],
  ['no size', ['estimate', 'hf:o/tiny', '--picture', 'big'], {}, /--picture has to be like 1920x1080/],
])('an error is one line: %s', async (_, args, more, expected) => {
  const { code, stdout, stderr } = await run([cli, ...args], { env: { ...env, ...more } })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^error: [^\n]+\n$/)
  expect(stderr).toMatch(expected)
})
