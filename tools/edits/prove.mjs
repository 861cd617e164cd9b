/**
 * Shows that every declared edit of llama.cpp (native/llama.cpp.json) is needed: builds the source without it, in a copy of
 * this repository (build-edits/), and runs the test that it names, which has to fail; with all edits it has to pass. An
 * edit that is about speed alone must change no number: its test has to pass without it, too. Prints a table; ends with 1
 * when a test says something else.
 *
 *   node tools/edits/prove.mjs [--only WORDS]...
 *
 * --only takes edits whose file or reason has these words. An edit goes with those that follow it and name no test: they
 * are one change.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const copy = join(root, 'build-edits')
const pinFile = join(copy, 'native/llama.cpp.json')
const { values: options } = parseArgs({
  options: { only: { type: 'string', multiple: true } },
})

const pin = JSON.parse(readFileSync(join(root, 'native/llama.cpp.json'), 'utf8'))
const changes = groupsOf(pin.edits).filter(isWanted)
copyRepository()
if (!build(pin.edits)) throw new Error(`The build with all edits failed: see ${join(copy, 'build/build.log')}`)
for (const change of changes) change.isSound = passes(change.test)
let isProven = true
for (const change of changes) {
  const { outcome, isShown } = judge(change)
  console.log(`${outcome.padEnd(32)} ${change.edits[0].file}: ${titleOf(change.test)}`)
  isProven &&= isShown
}
if (!isProven) process.exitCode = 1

/** An edit that names a test, with the rest of its change: `{ test, edits }`. */
function groupsOf(edits) {
  const groups = []
  for (const edit of edits) {
    if (edit.test) groups.push({ test: edit.test, edits: [edit] })
    else groups.at(-1).edits.push(edit)
  }
  return groups
}

function isWanted({ edits }) {
  const words = options.only ?? ['']
  return words.some((word) => edits.some(({ file, reason }) => `${file} ${reason}`.includes(word)))
}

function judge({ test, edits, ...change }) {
  if (!change.isSound) return { outcome: 'NOT SHOWN: fails with it, too', isShown: false }
  if (!build(pin.edits.filter((edit) => !edits.includes(edit)))) {
    // For code of ours that calls it, to be built is the test.
    const isShown = test.file.startsWith('native/')
    return { outcome: isShown ? 'does not build without it' : 'NOT SHOWN: does not build', isShown }
  }
  const isSpeed = edits.every(({ speed }) => speed)
  const stillPasses = passes(test)
  if (isSpeed) return { outcome: stillPasses ? 'the same numbers without it' : 'NOT SHOWN: changes numbers', isShown: stillPasses }
  return { outcome: stillPasses ? 'NOT SHOWN: passes without it' : 'fails without it', isShown: !stillPasses }
}

/** What git has or would take, and the fetched llama.cpp; what was built there before is kept. */
function copyRepository() {
  const kept = ['build', '.llama.cpp', 'dist']
  const stale = existsSync(copy) ? readdirSync(copy).filter((name) => !kept.includes(name)) : []
  for (const name of stale) rmSync(join(copy, name), { recursive: true })
  const list = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  for (const file of list.split('\0').filter(Boolean)) {
    if (!existsSync(join(root, file))) continue
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(root, file), join(copy, file), { preserveTimestamps: true })
  }
  for (const folder of ['.llama.cpp', 'dist']) {
    if (existsSync(join(copy, folder))) continue
    cpSync(join(root, folder), join(copy, folder), { recursive: true, preserveTimestamps: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  run('npm', ['run', '--silent', 'build:ts'])
}

/** Builds with these edits; false when the compiler or the linker refuses. */
function build(edits) {
  writeFileSync(pinFile, JSON.stringify({ ...pin, edits }, null, 2))
  return run(process.execPath, ['scripts/build.mjs', '--tests'])
}

function passes({ file, name = '' }) {
  if (file.startsWith('native/')) return true // that it builds is the test
  if (file.startsWith('test/cpp')) return run('ctest', ['--test-dir', 'build', '-R', file.match(/(\w+)\.cpp$/)[1]])
  return run(join('node_modules', '.bin', 'jest'), [file, '-t', name])
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: copy, stdio: 'ignore', env: { ...process.env, LLAMA_CPP_DIR: '' } })
  if (error) throw error
  return status === 0
}

function titleOf({ file, name }) {
  return name ? `${file} “${name}”` : file
}
