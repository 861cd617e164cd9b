/**
 * Builds llama-bench and llama-server of the pinned llama.cpp into build-peers/, with the settings of our developer build
 * (native CPU flags, static, no OpenMP), so that a difference is ours and not the compiler's.
 *
 *   node bench/peers.mjs [--jobs N]
 *
 * The source is the one our addon is built from (scripts/fetch-llama.mjs; LLAMA_CPP_DIR is respected), without those of our
 * edits that only make it faster.
 */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { applyEdits, fetchLlama, readPin } from '../scripts/fetch-llama.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'build-peers')
const programs = ['llama-bench', 'llama-server']

const settings = {
  CMAKE_BUILD_TYPE: 'Release',
  BUILD_SHARED_LIBS: 'OFF',
  GGML_NATIVE: 'ON',
  GGML_OPENMP: 'OFF',
  GGML_BLAS: 'OFF',
  LLAMA_OPENSSL: 'OFF',
  LLAMA_BUILD_TESTS: 'OFF',
  LLAMA_BUILD_EXAMPLES: 'OFF',
  LLAMA_BUILD_UI: 'OFF',
  LLAMA_USE_PREBUILT_UI: 'OFF',
}

/** Path of a built peer. Throws an Error that says how to build it. */
export function peer(name, peers = folder) {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const path = join(peers, 'bin', name + suffix)
  if (!existsSync(path))
    throw new Error(`${name} is missing: run "node bench/peers.mjs" once (about 8 minutes on 2 cores)`)
  return path
}

async function build(jobs) {
  const source = upstreamSpeed(await fetchLlama())
  const defines = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`)
  await cmake('-S', source, '-B', folder, ...defines)
  await cmake('--build', folder, '--config', 'Release', '--parallel', jobs, '--target', ...programs)
}

/** A copy of the source with the edits taken back that make it faster. */
function upstreamSpeed(source) {
  const copy = join(folder, 'source')
  rmSync(copy, { recursive: true, force: true })
  cpSync(source, copy, { recursive: true, preserveTimestamps: true })
  const edits = readPin().edits.filter(({ speed }) => speed)
  applyEdits(copy, edits.map((edit) => ({ ...edit, find: edit.replace, replace: edit.find })).reverse())
  return copy
}

function cmake(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn('cmake', args, { stdio: 'inherit' })
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`cmake ended with ${code}`))))
  })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { jobs: { type: 'string', default: String(availableParallelism()) } },
  })
  await build(values.jobs)
}
