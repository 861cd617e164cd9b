/**
 * Runs the C++ tests and the tests of the addon with sanitizers in our native code. llama.cpp is as ever: upstream runs its
 * own sanitizers, and the runtime watches the heap and the locks of both. With `--llama` they are in llama.cpp too.
 *
 *   node scripts/sanitize.mjs address|thread [--llama] [--jobs=N]     everything
 *   node scripts/sanitize.mjs thread -- test/native --shard=1/8       so much of the addon's tests: arguments of jest
 *
 * Linux and GCC. Each builds into a folder of its own and takes some minutes; not part of CI.
 */
import { execFileSync, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const suppressions = join(root, 'test/sanitizers')
// A test asks for terabytes and wants to be refused, not ended.
const refusing = 'allocator_may_return_null=1'
const address = `detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:${refusing}`
const undefinedBehaviour = 'halt_on_error=1:print_stacktrace=1'
const thread = `halt_on_error=1:second_deadlock_stack=1:${refusing}`

/**
 * What is compiled in, the runtime that has to be loaded before Node (which is not instrumented), and the environment of
 * the C++ tests and of the addon's.
 */
const kinds = {
  address: {
    sanitizers: 'address,undefined',
    runtime: 'libasan.so',
    core: { ASAN_OPTIONS: address, UBSAN_OPTIONS: undefinedBehaviour },
    addon: {
      ASAN_OPTIONS: address,
      LSAN_OPTIONS: `suppressions=${suppressions}/node.lsan`,
      UBSAN_OPTIONS: undefinedBehaviour,
    },
  },
  thread: {
    sanitizers: 'thread',
    runtime: 'libtsan.so',
    core: { TSAN_OPTIONS: thread },
    addon: { TSAN_OPTIONS: `${thread}:suppressions=${suppressions}/node.tsan` },
  },
}

const { values, positionals } = parseArgs({
  options: {
    llama: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
  },
  allowPositionals: true,
})
const [name, ...tests] = positionals
const kind = kinds[name]
if (!kind) {
  console.error(`Expected one of ${Object.keys(kinds).join(', ')}, got ${name ?? 'nothing'}.`)
  process.exit(2)
}
const folder = join(root, `build-${kind.sanitizers.replace(',', '-')}${values.llama ? '-llama' : ''}`)
const node = process.execPath
const build = [`--sanitize=${kind.sanitizers}`, '--tests', `--jobs=${values.jobs}`]
await run(node, ['scripts/build.mjs', ...build, ...(values.llama ? ['--sanitize-llama'] : [])])
if (tests.length === 0) await run('ctest', ['--test-dir', folder, '--output-on-failure'], kind.core)
const jest = ['node_modules/jest/bin/jest.js', '--testTimeout=600000']
await run(node, [...jest, ...(tests.length > 0 ? tests : ['test/native'])], {
  ...kind.addon,
  LD_PRELOAD: runtimePath(kind.runtime),
  QWENVL_NATIVE_PATH: join(folder, 'Release', 'qwenvl-native.node'),
})

function runtimePath(library) {
  const compiler = process.env.CC ?? 'cc'
  return execFileSync(compiler, [`-print-file-name=${library}`], { encoding: 'utf8' }).trim()
}

/** Shadow memory has its place: the thread sanitizer of GCC 12 does not start where the kernel randomises much. */
function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn('setarch', ['-R', program, ...args], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...env },
    })
    child.once('error', (error) => {
      console.error(error.message)
      process.exit(1)
    })
    child.once('close', (code) => (code === 0 ? resolve() : process.exit(code ?? 1)))
  })
}
