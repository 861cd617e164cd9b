/**
 * Compiles the native addon: fetches llama.cpp, then runs cmake-js. Does nothing when nothing changed.
 *
 *   node scripts/build.mjs                    for this machine, into build/Release/
 *   node scripts/build.mjs --cuda             … with CUDA (also --vulkan, --metal; --no-metal on macOS)
 *   --cuda-architectures=90  compute capabilities, when the GPU is in another machine
 *   node scripts/build.mjs --release          portable, into prebuilds/<platform>-<arch>/
 *   node scripts/build.mjs --debug            unoptimised, into build/with-debug/ (load it by QWENVL_NATIVE_PATH)
 *   node scripts/build.mjs --sanitize=address in our code, into build-address/ (likewise); --sanitize-llama: in all
 *   --tests  also test/cpp     --jobs=N  parallel compilers     --force  even if nothing changed
 *   --json   a line on stdout when it is done: {"addon": path, "compiled": whether something was}
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { fetchLlama } from './fetch-llama.mjs'
import { withLock } from './lock.mjs'
import { progress } from './progress.mjs'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Compiler time of one core, seconds; measured on the 2-core machine CI uses. */
const CORE_SECONDS = { developer: 360, release: 900 }

const { values: options } = parseArgs({
  options: {
    release: { type: 'boolean', default: false },
    debug: { type: 'boolean', default: false },
    cuda: { type: 'boolean', default: false },
    'cuda-architectures': { type: 'string' },
    vulkan: { type: 'boolean', default: false },
    metal: { type: 'boolean', default: process.platform === 'darwin' },
    'no-metal': { type: 'boolean', default: false },
    sanitize: { type: 'string', default: '' },
    'sanitize-llama': { type: 'boolean', default: false },
    tests: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
    force: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

main().catch((error) => {
  console.error(`qwenvl-native: ${error.message}`)
  process.exitCode = 1
})

async function main() {
  await requireTools()
  const plan = planOf(options)
  const compiled = await bringUpToDate(plan)
  if (options.json) console.log(JSON.stringify({ addon: plan.addon, compiled }))
}

/** False: nothing had to be done. */
async function bringUpToDate(plan) {
  if (isFresh(plan)) return false
  const wait = (pid) => console.error(`qwenvl-native: waiting for process ${pid}, which is building`)
  return withLock(join(root, 'build/lock'), wait, async () => {
    if (isFresh(plan)) return false
    await fetchLlama({ root })
    await compile(plan)
    if (plan.prebuild) await installPrebuild(plan)
    writeFileSync(plan.stampFile, plan.stamp)
    return true
  })
}

/** Where this build goes and what decides whether it is still good. */
function planOf({ release, debug, tests, cuda, vulkan, metal, 'no-metal': noMetal, ...rest }) {
  const { sanitize, 'sanitize-llama': sanitizeLlama, 'cuda-architectures': architectures } = rest
  const folder = join(
    root,
    // Beside build/, so that a compiler cache gives the objects that are the same: all of llama.cpp.
    sanitize ? `build-${sanitize.replace(',', '-')}${sanitizeLlama ? '-llama' : ''}` : 'build',
    release ? 'prebuild' : debug ? 'with-debug' : '',
  )
  const config = debug ? 'Debug' : 'Release'
  const on = (value) => (value ? 'ON' : 'OFF')
  const defines = {
    QWENVL_RELEASE: on(release),
    QWENVL_CUDA: on(cuda),
    ...(cuda && architectures && { CMAKE_CUDA_ARCHITECTURES: architectures }),
    QWENVL_VULKAN: on(vulkan),
    QWENVL_METAL: on(metal && !noMetal),
    QWENVL_CORE_TESTS: on(tests),
    ...(sanitize && { QWENVL_SANITIZE: sanitize, QWENVL_SANITIZE_LLAMA: on(sanitizeLlama) }),
    ...(release && process.platform === 'linux' && { QWENVL_LIBC: libc() }),
  }
  const prebuild = release ? join(root, 'prebuilds', `${process.platform}-${process.arch}`) : undefined
  const addon = prebuild
    ? join(prebuild, defines.QWENVL_LIBC ? `qwenvl-native.${defines.QWENVL_LIBC}.node` : 'qwenvl-native.node')
    : join(folder, config, 'qwenvl-native.node')
  const inputs = ['CMakeLists.txt', 'native', ...(tests ? ['test/cpp'] : [])]
  const stamp = hashOf([manifest.version, process.arch, config, JSON.stringify(defines)], inputs)
  return { folder, config, defines, prebuild, addon, stamp, stampFile: join(folder, 'qwenvl-native.stamp') }
}

function isFresh({ stamp, stampFile, addon }) {
  return (
    !options.force && existsSync(addon) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp
  )
}

function hashOf(words, inputs) {
  const hash = createHash('sha256').update(words.join('\n'))
  const add = (path) => {
    const full = join(root, path)
    if (!existsSync(full)) return
    const entries = readdirSync(full, { recursive: true, withFileTypes: true })
    for (const file of entries
      .filter((e) => e.isFile())
      .map((e) => join(e.parentPath ?? e.path, e.name))
      .sort()) {
      hash.update(relative(root, file)).update(readFileSync(file))
    }
  }
  for (const input of inputs) {
    if (input.endsWith('.txt')) hash.update(readFileSync(join(root, input)))
    else add(input)
  }
  return hash.digest('hex')
}

async function compile({ folder, config, defines, prebuild }) {
  mkdirSync(folder, { recursive: true })
  const kind = prebuild ? 'release' : 'developer'
  const minutes = Math.max(1, Math.round(CORE_SECONDS[kind] / Number(options.jobs) / 60))
  const status = progress(
    `compiling llama.cpp and the addon (once, about ${minutes} min on ${options.jobs} cores)`,
  )
  const log = createWriteStream(join(folder, 'build.log'))
  const lines = []
  const start = Date.now()
  const onLine = (line) => {
    log.write(`${line}\n`)
    lines.push(line)
    const step = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line)
    if (step)
      status.update(standing(step[2] ? Number(step[1]) / Number(step[2]) : Number(step[1]) / 100, start))
  }
  const cmakeJs = (command, ...args) =>
    runCmakeJs([command, '--directory', root, '--out', folder, '--config', config, ...args], onLine)
  const configure = () =>
    cmakeJs('configure', ...Object.entries(defines).map(([key, value]) => `--CD${key}=${value}`))
  try {
    const cache = join(folder, 'CMakeCache.txt')
    const configuredBefore = existsSync(cache)
    await configure().catch((error) => {
      if (!configuredBefore) throw error
      // A moved folder, another generator or compiler: the cache is in the way.
      rmSync(cache)
      rmSync(join(folder, 'CMakeFiles'), { recursive: true, force: true })
      return configure()
    })
    await cmakeJs('build', '--parallel', options.jobs)
    status.done()
  } catch (error) {
    status.fail()
    const path = relative(root, join(folder, 'build.log'))
    const toolkit = options.cuda ? ' · --cuda: the CUDA toolkit, with nvcc on PATH' : ''
    throw new Error(
      `the native build failed (${error.message}). From ${path}:\n\n${errorsIn(lines)}\n\n${needs}${toolkit}`,
      { cause: error },
    )
  } finally {
    log.end()
  }
}

/** "42 %, about 2 min left" */
function standing(fraction, start) {
  const minutes = Math.ceil(((Date.now() - start) / 60_000) * (1 / fraction - 1))
  const left = fraction > 0.05 && fraction < 1 ? `, about ${minutes} min left` : ''
  return `${Math.floor(100 * fraction)} %${left}`
}

/** The log from its first error on, else its end. */
function errorsIn(lines) {
  const first = lines.findIndex((line) => /^FAILED:|error:|CMake Error/.test(line))
  return (first < 0 ? lines.slice(-40) : lines.slice(first, first + 60)).join('\n')
}

function runCmakeJs(args, onLine) {
  const [command, ...first] = cmakeJsCommand()
  return new Promise((done, failed) => {
    const child = spawn(command, [...first, ...args], {
      cwd: root,
      shell: command === 'npm' && process.platform === 'win32',
    })
    for (const stream of [child.stdout, child.stderr]) {
      let rest = ''
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split(/\r?\n/)
        rest = lines.pop() ?? ''
        lines.forEach(onLine)
      })
    }
    child.on('error', failed)
    child.on('close', (code) =>
      code === 0 ? done() : failed(new Error(`cmake-js ${args[0]} ended with ${code}`)),
    )
  })
}

/** cmake-js of the clone, else (installed package) the same version through npm. */
function cmakeJsCommand() {
  try {
    return [
      process.execPath,
      join(createRequire(join(root, 'package.json')).resolve('cmake-js/package.json'), '../bin/cmake-js'),
    ]
  } catch {
    return ['npm', 'exec', '--yes', `cmake-js@${manifest.devDependencies['cmake-js']}`, '--']
  }
}

async function installPrebuild({ folder, config, prebuild, defines }) {
  rmSync(defines.QWENVL_LIBC ? join(prebuild, defines.QWENVL_LIBC) : prebuild, {
    recursive: true,
    force: true,
  })
  await run('cmake', [
    '--install',
    folder,
    '--config',
    config,
    '--component',
    'qwenvl',
    '--strip',
    '--prefix',
    prebuild,
  ])
}

const needs =
  'Needed: a C++17 compiler, CMake 3.21 or newer, git. Debian/Ubuntu: apt install build-essential cmake git · ' +
  'macOS: xcode-select --install && brew install cmake · Windows: Visual Studio Build Tools (C++), CMake, git'

async function requireTools() {
  for (const tool of ['cmake', 'git']) {
    await run(tool, ['--version']).catch(() => {
      throw new Error(`${tool} was not found. ${needs}`)
    })
  }
}

function libc() {
  process.report.excludeNetwork = true
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
}
