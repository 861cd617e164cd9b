/**
 * The packed tarball, installed in an empty folder elsewhere: what a user gets. Packs first (a release build, minutes),
 * or takes the file in QWENVL_TARBALL.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const MAX_BYTES = 40e6
const consumer = realpathSync(mkdtempSync(join(tmpdir(), 'qwenvl-package-')))
const installed = join(consumer, 'node_modules/qwenvl-native')
const tuple = `${process.platform}-${process.arch}`
const npm = (args, cwd, stdio = 'pipe') =>
  execFileSync('npm', args, { cwd, stdio, encoding: 'utf8', shell: process.platform === 'win32' })
const node = (args, options = {}) =>
  spawnSync(process.execPath, args, { cwd: consumer, encoding: 'utf8', ...options })

/** Runs `code` in the consumer's folder and returns its output; fails with its error text. */
function run(code, options) {
  const { status, stdout, stderr } = node(['-e', code], options)
  assert.equal(status, 0, stderr)
  return stdout.trim()
}

let tarball

before(() => {
  tarball = process.env.QWENVL_TARBALL
  if (!tarball) {
    npm(['pack', '--foreground-scripts', '--pack-destination', consumer], repository, [
      'ignore',
      'inherit',
      'inherit',
    ])
    tarball = join(
      consumer,
      readdirSync(consumer).find((name) => name.endsWith('.tgz')),
    )
  }
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }')
  npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', resolve(tarball)], consumer)
})

after(() => rmSync(consumer, { recursive: true, force: true }))

describe('the tarball', () => {
  test('holds what a user needs and nothing else', (context) => {
    const top = readdirSync(installed).sort()
    for (const name of [
      'dist',
      'models',
      'prebuilds',
      'native',
      'scripts',
      'CMakeLists.txt',
      'LICENSE',
      'THIRD_PARTY_NOTICES.md',
    ]) {
      assert.ok(top.includes(name), `${name} is missing`)
    }
    for (const name of ['test', 'lib', 'build', '.llama.cpp', 'tools', 'bench'])
      assert.ok(!top.includes(name), `${name} is packed`)
    const bytes = statSync(tarball).size
    context.diagnostic(`${basename(tarball)}: ${(bytes / 1e6).toFixed(1)} MB`)
    assert.ok(bytes < MAX_BYTES, `${bytes} bytes`)
  })

  test('has no install script', () => {
    const { scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    for (const name of ['preinstall', 'install', 'postinstall']) assert.equal(scripts[name], undefined)
    assert.ok(!readdirSync(installed).includes('binding.gyp'))
  })
})

describe('a consumer', () => {
  test('requires and imports the same module by name', () => {
    const required = run("console.log(Object.keys(require('qwenvl-native')).sort().join())")
    const imported = node([
      '--input-type=module',
      '-e',
      "import { QwenVL } from 'qwenvl-native'; console.log(QwenVL.name)",
    ])
    assert.equal(imported.stdout.trim(), 'QwenVL', imported.stderr)
    assert.match(required, /QwenVL/)
    assert.equal(
      run("import('qwenvl-native').then(m => console.log(m.QwenVL === require('qwenvl-native').QwenVL))"),
      'true',
    )
  })

  for (const [name, module, moduleResolution] of [
    ['node16.cts', 'node16', 'node16'],
    ['node16.mts', 'node16', 'node16'],
    ['bundler.ts', 'esnext', 'bundler'],
  ]) {
    test(`compiles TypeScript: ${name}`, () => {
      writeFileSync(
        join(consumer, name),
        "import { QwenVL } from 'qwenvl-native'\nexport const load: typeof QwenVL.load = (o) => QwenVL.load(o)\n",
      )
      const options = [
        '--strict',
        '--noEmit',
        '--target',
        'es2022',
        '--module',
        module,
        '--moduleResolution',
        moduleResolution,
      ]
      const types = ['--typeRoots', join(repository, 'node_modules/@types')]
      const lib = ['--lib', 'es2023', '--ignoreConfig']
      const { status, stdout } = node([
        join(repository, 'node_modules/typescript/bin/tsc'),
        name,
        ...options,
        ...types,
        ...lib,
      ])
      assert.equal(status, 0, stdout)
    })
  }

  test('looks at a picture with the model that is in the package', () => {
    const circle =
      '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" fill="#e6ebee"/>' +
      '<circle cx="160" cy="120" r="50" fill="#2050d6"/></svg>'
    const picture = `image(Buffer.from(${JSON.stringify(circle)}))`
    const answer = run(
      `const { QwenVL, image, user } = require('qwenvl-native')
      QwenVL.load().then(async (vl) => {
        console.log((await vl.chat([user(${picture}, 'What colour is the circle?')])).text)
        await vl.dispose()
      })`,
    )
    assert.equal(answer, 'Blue.')
  })

  test('runs the first program of the README as it is printed', () => {
    const readme = readFileSync(join(repository, 'README.md'), 'utf8')
    const program = /<!-- first-program -->\s*```(?:js|mjs|javascript)\n([\s\S]*?)```/.exec(readme)?.[1]
    assert.ok(program, 'README.md has no js block after <!-- first-program -->')
    for (const [, name] of program.matchAll(/'([\w./-]+\.(?:gguf|jpg|jpeg|png))'/g))
      cpSync(fixtureFor(name), join(consumer, name))
    writeFileSync(join(consumer, 'first.mjs'), program)
    const { status, stdout, stderr } = node(['first.mjs'])
    assert.equal(status, 0, stderr)
    assert.notEqual(stdout.trim(), '')
  })

  test('without a binary for the platform gets told the command', () => {
    const stripped = join(consumer, 'stripped')
    cpSync(installed, join(stripped, 'node_modules/qwenvl-native'), { recursive: true })
    rmSync(join(stripped, 'node_modules/qwenvl-native/prebuilds'), { recursive: true })
    const platform = join(stripped, 'node_modules/qwenvl-native/dist/engine/platform.js')
    const { status, stderr } = node(['-e', `require(${JSON.stringify(platform)}).loadAddon()`], {
      cwd: stripped,
    })
    assert.notEqual(status, 0)
    assert.match(stderr, /npx qwenvl-native build/)
  })
})

describe('the binary', () => {
  const load = () => `
    const { addon } = require(${JSON.stringify(join(installed, 'dist/engine/binding.js'))})
    const { backendFolder } = require(${JSON.stringify(join(installed, 'dist/engine/platform.js'))})
    addon().initialize(backendFolder(), () => {}, () => {})`

  test('is the packed one and finds its backends', () => {
    const out = JSON.parse(
      run(
        `${load()}; console.log(JSON.stringify({ at: backendFolder(), info: addon().buildInfo(), devices: addon().devices() }))`,
      ),
    )
    assert.ok(out.at.startsWith(join(installed, 'prebuilds', tuple)), out.at)
    assert.equal(out.info.dynamicBackends, true)
    assert.ok(out.devices.some(({ kind }) => kind === 'cpu'))
  })

  test('loads no library that lies in the working directory', { skip: process.platform !== 'linux' }, () => {
    const planted = join(consumer, 'planted')
    const names = prebuilt()
      .map(({ path }) => basename(path))
      .filter((name) => name.endsWith('.so'))
    mkdirSync(planted)
    const source = join(planted, 'planted.c')
    writeFileSync(
      source,
      '#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) { puts("PLANTED"); fflush(stdout); }\n',
    )
    for (const name of [...names, 'libggml-cpu-planted.so', 'libggml-cuda.so', 'libggml-vulkan.so']) {
      execFileSync('cc', ['-shared', '-fPIC', '-o', join(planted, name), source])
    }
    const env = { ...process.env, GGML_BACKEND_PATH: join(planted, 'libggml-cuda.so') }
    assert.equal(run(`${load()}; addon().devices(); console.log('clean')`, { cwd: planted, env }), 'clean')
  })

  test("leaves the host's terminate handler alone", { skip: process.platform !== 'linux' }, () => {
    const source = join(consumer, 'handler.cpp')
    writeFileSync(
      source,
      `#include <cstdio>
#include <exception>
__attribute__((constructor)) static void loaded() { std::printf("%p ", (void *) std::get_terminate()); std::fflush(stdout); }
`,
    )
    const [before, after] = ['before', 'after'].map((name) => join(consumer, `handler-${name}.so`))
    for (const probe of [before, after]) execFileSync('c++', ['-shared', '-fPIC', '-o', probe, source])
    // No addon: Node refuses it, after its constructor has told.
    const probe = (path) => `try { process.dlopen({ exports: {} }, ${JSON.stringify(path)}) } catch {}`
    const out = run(`${probe(before)}; ${load()}; addon().devices(); ${probe(after)}; console.log()`)
    const handlers = out.trim().split(' ')
    assert.equal(handlers.length, 2)
    assert.equal(handlers[0], handlers[1])
  })
})

describe('ELF', { skip: process.platform !== 'linux' }, () => {
  const system =
    /^(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux-[\w-]+|ld-musl-\w+|libc\.musl-\w+)\.so(\.\d+)?$/
  const dynamic = (path) => execFileSync('readelf', ['-dW', path], { encoding: 'utf8' })
  const values = (text, tag) =>
    [...text.matchAll(new RegExp(`\\(${tag}\\).*\\[(.*)\\]`, 'g'))].map(([, value]) => value)

  test('run paths are exact', () => {
    for (const { path } of prebuilt()) {
      const libc = /\.(glibc|musl)\.node$/.exec(path)?.[1]
      const [text, expected] = [dynamic(path), libc ? `$ORIGIN/${libc}` : '$ORIGIN']
      assert.deepEqual([...values(text, 'RUNPATH'), ...values(text, 'RPATH')], [expected], path)
    }
  })

  test('imports are ours or the system, sonames are ours', () => {
    const own = prebuilt().map(({ path }) => basename(path))
    for (const { path } of prebuilt()) {
      const text = dynamic(path)
      const foreign = values(text, 'NEEDED').filter(
        (name) => !system.test(name) && !(name.startsWith('libqvn-') && own.includes(name)),
      )
      assert.deepEqual(foreign, [], path)
      for (const name of values(text, 'SONAME'))
        assert.match(name, /^(libqvn-[\w.-]+\.so|libggml-[\w.-]+\.so|qwenvl-native(\.\w+)?\.node)$/)
    }
  })

  test('the addon exports its registration and nothing else, and stays mapped', () => {
    for (const { path } of prebuilt().filter(({ path }) => path.endsWith('.node'))) {
      const symbols = execFileSync('nm', ['-D', '--defined-only', path], { encoding: 'utf8' })
        .trim()
        .split('\n')
      const names = symbols.map((line) => line.split(' ').at(-1)).sort()
      assert.deepEqual(names, ['napi_register_module_v1', 'node_api_module_get_api_version_v1'])
      assert.match(dynamic(path), /NODELETE/)
    }
  })

  test('the C library it asks for', (context) => {
    const versions = new Set()
    for (const { path } of prebuilt()) {
      for (const [name] of execFileSync('objdump', ['-T', path], { encoding: 'utf8' }).matchAll(
        /\b(GLIBC|GLIBCXX|CXXABI)_[\d.]+/g,
      ))
        versions.add(name)
    }
    const highest = (prefix) =>
      [...versions]
        .filter((name) => name.startsWith(`${prefix}_`))
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .at(-1)
    context.diagnostic(['GLIBC', 'GLIBCXX', 'CXXABI'].map(highest).join(', '))
  })
})

describe('another package manager installs it without scripts', () => {
  for (const [manager, ...flags] of [['pnpm@10'], ['yarn@1', '--no-lockfile'], ['bun@1', '--no-save']]) {
    test(manager, () => {
      const folder = mkdtempSync(join(tmpdir(), 'qwenvl-manager-'))
      try {
        const manifest = { private: true, dependencies: { 'qwenvl-native': `file:${resolve(tarball)}` } }
        writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
        npm(['exec', '--yes', '--', manager, 'install', '--ignore-scripts', ...flags], folder)
        const code =
          "const { image, systemReport } = require('qwenvl-native'); console.log(typeof image, systemReport().devices.length > 0)"
        const { stdout, stderr } = node(['-e', code], { cwd: folder })
        assert.equal(stdout.trim(), 'function true', stderr)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  }
})

function prebuilt() {
  const folder = join(installed, 'prebuilds', tuple)
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && /\.(node|so)$/.test(entry.name))
  assert.ok(files.length > 0, `nothing in ${folder}`)
  return files.map((entry) => ({ path: join(entry.parentPath ?? entry.path, entry.name) }))
}

/** The fixture that stands in for a file that the README names: its text runs as it is printed. */
function fixtureFor(name) {
  const given = {
    model: process.env.QWENVL_TEST_MODEL,
    mmproj: process.env.QWENVL_TEST_MMPROJ,
    image: process.env.QWENVL_TEST_IMAGE,
  }
  const kind = !name.endsWith('.gguf') ? 'image' : basename(name).includes('mmproj') ? 'mmproj' : 'model'
  if (given[kind]) return given[kind]
  const fixtures = join(repository, 'test/fixtures')
  const files = readdirSync(fixtures, { recursive: true }).map(String).sort()
  const gguf = files.filter((file) => file.endsWith('.gguf'))
  const mmproj = gguf.find((file) => basename(file).includes('mmproj')) ?? ''
  const extension = name.split('.').at(-1)
  const found = {
    mmproj,
    model: gguf.find((file) => dirname(file) === dirname(mmproj) && basename(file).startsWith('model')),
    image: files.find((file) => file.endsWith(`.${extension}`)),
  }[kind]
  assert.ok(found, `no fixture stands in for ${name}`)
  return join(fixtures, found)
}
