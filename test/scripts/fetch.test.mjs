/** The vendoring rules of scripts/fetch-llama.mjs, on a small stand-in for llama.cpp. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { applyEdits, fetchLlama, readPin } from '../../scripts/fetch-llama.mjs'

const work = realpathSync(mkdtempSync(join(tmpdir(), 'qwenvl-fetch-')))
const upstream = join(work, 'upstream')
const git = (...args) =>
  execFileSync('git', ['-C', upstream, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
    encoding: 'utf8',
  }).trim()
const edit = { file: 'a.cpp', find: 'GELU,', count: 2, replace: 'GELU_ERF,', reason: 'exact' }
const offline = { package: 'no-such-package-of-ours@0.0.0-none', bundle: 'x.bundle' }
let pin
let root

before(() => {
  mkdirSync(upstream)
  execFileSync('git', ['init', '-q', '-b', 'main', upstream])
  writeFileSync(join(upstream, 'a.cpp'), 'f(GELU, GELU, 1)\n')
  writeFileSync(join(upstream, 'b.cpp'), 'untouched\n')
  git('add', '.')
  git('commit', '-q', '-m', 'release')
  git('tag', 'v1')
})

beforeEach((context) => {
  git('checkout', '-q', '-f', 'v1')
  pin = { tag: 'v1', tree: git('rev-parse', 'v1^{tree}'), npm: offline, git: upstream, edits: [edit] }
  root = join(work, context.name.replaceAll(/\W+/g, '-'))
  mkdirSync(root)
})

after(() => rmSync(work, { recursive: true, force: true }))

const fromFolder = (changes = {}) =>
  fetchLlama({ root, pin: { ...pin, ...changes }, env: { ...process.env, LLAMA_CPP_DIR: upstream } })
const read = (name) => readFileSync(join(root, '.llama.cpp/src', name), 'utf8')

describe('LLAMA_CPP_DIR', () => {
  test('is exported and edited elsewhere, itself untouched', async () => {
    await fromFolder()
    assert.equal(read('a.cpp'), 'f(GELU_ERF, GELU_ERF, 1)\n')
    assert.equal(git('status', '--porcelain'), '')
  })

  test('of another release is refused', async () => {
    writeFileSync(join(upstream, 'b.cpp'), 'newer\n')
    git('commit', '-q', '-am', 'newer')
    await assert.rejects(fromFolder(), /LLAMA_CPP_DIR .* has the source tree .* but v1 is/)
  })

  test('with local changes is refused', async () => {
    writeFileSync(join(upstream, 'b.cpp'), 'changed\n')
    await assert.rejects(fromFolder(), /has local changes \(M b\.cpp\)/)
  })

  test('that is no checkout is refused', async () => {
    const env = { ...process.env, LLAMA_CPP_DIR: root }
    await assert.rejects(fetchLlama({ root, pin, env }), /is not a git checkout of llama\.cpp/)
  })
})

describe('without LLAMA_CPP_DIR', () => {
  const env = { ...process.env, LLAMA_CPP_DIR: '', npm_config_offline: 'true', npm_execpath: '' }

  test('upstream git by tag is the last source, and kept for later', async () => {
    await fetchLlama({ root, pin: { ...pin, git: `file://${upstream}` }, env })
    assert.equal(read('b.cpp'), 'untouched\n')
    rmSync(join(root, '.llama.cpp/src'), { recursive: true })
    await fetchLlama({ root, pin: { ...pin, git: 'file:///nowhere' }, env })
    assert.equal(read('b.cpp'), 'untouched\n')
  })

  test('every failed source is named', async () => {
    const broken = { ...pin, git: 'file:///nowhere' }
    await assert.rejects(fetchLlama({ root, pin: broken, env }), ({ message }) => {
      assert.match(message, /npm package no-such-package-of-ours/)
      assert.match(message, /git file:\/\/\/nowhere/)
      assert.match(message, /LLAMA_CPP_DIR/)
      return true
    })
  })

  test('a source with another tree is refused', async () => {
    const other = { ...pin, git: `file://${upstream}`, tree: '0'.repeat(40) }
    await assert.rejects(fetchLlama({ root, pin: other, env }), /does not hold the pinned source tree 0{40}/)
    assert.equal(existsSync(join(root, '.llama.cpp/src')), false)
  })
})

describe('edits', () => {
  test('fail when the text is not found exactly as often as declared', async () => {
    await assert.rejects(
      fromFolder({ edits: [{ ...edit, count: 1 }] }),
      /a\.cpp \(exact\) failed: expected "GELU," 1 time\(s\), found it 2/,
    )
    assert.equal(existsSync(join(root, '.llama.cpp/src')), false)
  })

  test('fail when the file is gone', () => {
    assert.throws(() => applyEdits(upstream, [{ ...edit, file: 'gone.cpp' }]), /no such file any more/)
  })

  test('when changed, start from the pristine source and leave the times of other files', async () => {
    await fromFolder()
    const b = join(root, '.llama.cpp/src/b.cpp')
    const before = statSync(b).mtimeMs
    await fromFolder({ edits: [{ ...edit, replace: 'SILU,' }] })
    assert.equal(read('a.cpp'), 'f(SILU, SILU, 1)\n')
    // utimes keeps whole milliseconds and may round either way; a file written anew would be seconds or hours off.
    utimesSync(b, 1000, 1000)
    await fromFolder()
    assert.equal(statSync(b).mtimeMs, 1_000_000)
    assert.ok(before > 1_000_000)
  })

  test('of the real pin name a reason each', () => {
    for (const { reason, count } of readPin().edits) assert.ok(reason.length > 10 && count > 0)
  })

  test('of the real pin name the test that fails without them, or go with the one before (npm run test:edits)', () => {
    const { edits } = readPin()
    assert.ok(edits[0].test)
    for (const { test: shown, reason } of edits) {
      if (shown) assert.ok(existsSync(new URL(`../../${shown.file}`, import.meta.url)), shown.file)
      else assert.match(reason, /^The same[:.]/)
    }
  })
})

describe('two runs', () => {
  const script = `
    import { fetchLlama } from ${JSON.stringify(new URL('../../scripts/fetch-llama.mjs', import.meta.url).href)}
    await fetchLlama(JSON.parse(process.argv[1]))`

  test('at once both succeed', async () => {
    await Promise.all([fromFolder(), fromFolder()])
    const env = { ...process.env, LLAMA_CPP_DIR: upstream }
    const child = spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      JSON.stringify({ root, pin, env }),
    ])
    assert.equal(child.status, 0, String(child.stderr))
    assert.deepEqual(readdirSync(join(root, '.llama.cpp')), ['src'])
  })

  test('after a kill the leftovers are cleaned away', async () => {
    const home = join(root, '.llama.cpp')
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    mkdirSync(join(home, `tmp-${dead}`), { recursive: true })
    writeFileSync(join(home, 'lock'), String(dead))
    await fromFolder()
    assert.deepEqual(readdirSync(home), ['src'])
  })
})
