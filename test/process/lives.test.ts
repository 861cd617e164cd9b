/** The engine among others: workers, copies of the package, other realms, and what becomes of it in memory. */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runChild } from '../support/child'
import type { ChildOptions } from '../support/child'
import { root } from '../support/fixtures'

const child = (name: string) => join(__dirname, 'children', name)

/** What a program sent, after it ended well. */
async function sent(
  name: string,
  args: readonly string[] = [],
  options: ChildOptions = {},
): Promise<unknown> {
  const outcome = await runChild(child(name), args, options)
  expect(outcome).toMatchObject({ code: 0, signal: null, stderr: '' })
  expect(outcome.messages).toHaveLength(1)
  return outcome.messages[0]
}

describe('in one process', () => {
  test('two workers and the main thread each have a model', async () => {
    const [main, ...workers] = (await sent('workers.cjs')) as string[][]
    expect(main).toHaveLength(3)
    expect(workers).toEqual([main, main])
  })

  test('two copies of the package work side by side', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'qwenvl-copies-'))
    try {
      const copies = ['a', 'b'].map((name) => copyPackage(join(folder, name)))
      const result = (await sent('copies.cjs', copies)) as { answers: string[]; pictures: string[] }
      expect(result).toMatchObject({ distinct: true, recognised: true })
      expect(new Set(result.answers).size).toBe(1)
      expect(new Set(result.pictures).size).toBe(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('a vm context gets its own classes and takes its own arrays', async () => {
    expect(await sent('realm.cjs')).toEqual({
      otherRealm: true,
      code: 'FILE_NOT_FOUND',
      typed: true,
      same: true,
      tokens: 20,
    })
  })

  test("a caller's listener that throws harms nobody else", async () => {
    expect(await sent('listener.cjs')).toEqual({
      caught: ['thrown on purpose'],
      calls: true,
      completionTokens: 5,
    })
  })
})

describe('memory', () => {
  const collecting = { execArgv: ['--expose-gc'] }

  test('does not grow with the number of models that were', async () => {
    const { grownMb, threads } = (await sent('memory.cjs', ['cycles'], collecting)) as Record<string, number>
    // 200 lives of a model with about 3 MB of weights, cells and buffers each.
    expect(grownMb).toBeLessThan(60)
    expect(threads).toBe(0)
  })

  test('who waits for the end of a model is kept', async () => {
    expect(await sent('memory.cjs', ['disposing'], collecting)).toBe('disposed')
  })

  test('a model that works is kept', async () => {
    expect(await sent('memory.cjs', ['working'], collecting)).toEqual({ completionTokens: 400 })
  })

  const onLinux = process.platform === 'linux' ? test : test.skip

  onLinux('a forgotten model is freed', async () => {
    expect(await sent('memory.cjs', ['dropped'], collecting)).toEqual({ before: 1, after: 0 })
  })

  onLinux('too little of it for a context is an error with a way out', async () => {
    // 16 million cells of the tiny model take more than 10 GB.
    const limited = `ulimit -v 8000000; exec "${process.execPath}" "${child('poor.cjs')}"`
    const { stdout } = await promisify(execFile)('sh', ['-c', limited])
    expect(JSON.parse(stdout)).toEqual({
      name: 'ModelLoadError',
      code: 'OUT_OF_MEMORY',
      message: expect.stringContaining('smaller `contextSize`'),
      completionTokens: 5,
    })
  })
})

/** What an installed package consists of, at another place. */
function copyPackage(target: string): string {
  mkdirSync(join(target, 'build', 'Release'), { recursive: true })
  for (const name of ['dist', 'package.json'])
    cpSync(join(root, name), join(target, name), { recursive: true })
  const binaries = join('build', 'Release')
  for (const name of readdirSync(join(root, binaries)).filter((file) => file.endsWith('.node'))) {
    cpSync(join(root, binaries, name), join(target, binaries, name))
  }
  symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'), 'dir')
  return target
}
