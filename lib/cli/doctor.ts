/** `doctor`: what of this machine is used, what is not and why, and whether a model answers. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { image, listModels, systemReport, user } from '../index'
import type { ImagePart, SystemReport } from '../index'
import { hubSettings } from '../models/settings'
import { errorLine } from './failure'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { bytes, json, print, table } from './output'

const run = promisify(execFile)

/** 'note': works, but there is something to know; 'problem': does not work. */
interface Finding {
  readonly check: string
  readonly state: 'ok' | 'note' | 'problem'
  readonly text: string
}

export async function doctor(flags: ModelFlags, signal: AbortSignal): Promise<void> {
  const [findings, system] = installed()
  findings.push(await videoTools(), await cache(), ...(system ? [await selfTest(flags, signal)] : []))
  const marks = { ok: 'ok', note: 'note', problem: 'PROBLEM' }
  const rows = findings.map(({ check, state, text }) => [marks[state], check, text])
  await print(flags.json ? json({ findings, system }) : table(rows), signal)
  if (findings.some(({ state }) => state === 'problem')) process.exitCode = 1
}

/** What depends on the native part; no more than its own finding where it cannot be loaded. */
function installed(): [Finding[], SystemReport | undefined] {
  const node: Finding = {
    check: 'node',
    state: 'ok',
    text: `${process.version}, ${process.platform}-${process.arch}`,
  }
  try {
    const system = systemReport()
    return [[node, ...findingsOf(system)], system]
  } catch (error) {
    return [[node, { check: 'native part', state: 'problem', text: plain(error) }], undefined]
  }
}

/** What a report means. */
export function findingsOf(system: SystemReport): Finding[] {
  const { version, llamaCpp, build, binary } = system
  const kind = build === 'native' ? 'compiled for this machine' : 'for all processors of this platform'
  const text = `qwenvl-native ${version} with llama.cpp ${llamaCpp}, ${kind}: ${binary}`
  const native: Finding = { check: 'native part', state: 'ok', text }
  return [native, processor(system), ...variants(system), ...graphics(system), memory(system)]
}

function processor({ devices, backends }: SystemReport): Finding {
  const name = devices.find(({ kind }) => kind === 'cpu')?.description ?? 'unknown'
  const features = backends.find((backend) => backend.name === 'CPU')?.features ?? []
  const text = `${name}, ${availableParallelism()} threads at once; used: ${features.join(', ') || 'nothing special'}`
  return { check: 'processor', state: 'ok', text }
}

/** Of several libraries for processors the best is used. */
function variants({ libraries }: SystemReport): Finding[] {
  const all = libraries.filter(({ file }) => kindOf(file) === 'cpu')
  const [best, ...others] = all.sort((a, b) => (b.score ?? 0) - (a.score ?? 0))
  if (!best) return []
  const broken = others.filter(({ problem }) => problem !== undefined)
  const unfit = others.filter(({ score, problem }) => !score && problem === undefined)
  const weaker = others.length - broken.length - unfit.length
  const text = [
    `${best.file} is used (${best.score ?? 0} points); of the others ${weaker} suit less`,
    `${unfit.length} need another processor`,
    ...broken.map(({ file, problem = '' }) => `${file} cannot be loaded: ${problem}`),
  ]
  return [{ check: 'variants', state: 'ok', text: text.join(', ') }]
}

/** GPUs in use, and the backends for others that found none. */
function graphics({ devices, backends, libraries }: SystemReport): Finding[] {
  const used = devices.filter(({ kind }) => kind === 'gpu' || kind === 'igpu')
  const found = used.map(({ name, description, memoryFree, memoryTotal }): Finding => {
    const text = `${name}: ${description}, ${bytes(memoryFree)} of ${bytes(memoryTotal)} free`
    return { check: 'GPU', state: 'ok', text }
  })
  const broken = libraries
    .filter(({ file, problem }) => kindOf(file) !== 'cpu' && problem !== undefined)
    .map(({ file, problem = '' }): Finding => ({
      check: 'GPU',
      state: 'note',
      text: `${file} cannot be loaded: ${problem}${needsOf(kindOf(file))}`,
    }))
  if (found.length > 0) return [...found, ...broken]
  const idle = backends.map(({ name }) => name).filter((name) => !['CPU', 'BLAS'].includes(name))
  const text =
    idle.length > 0
      ? `none found by ${idle.join(', ')}: a driver is missing, or there is none`
      : `none: this build knows no GPU. ${fitting()}`
  return broken.length > 0 ? broken : [{ check: 'GPU', state: 'note', text }]
}

/** What a backend loads from the system. */
function needsOf(backend: string): string {
  if (backend !== 'cuda') return ''
  return '. It needs the driver of NVIDIA and the libraries of CUDA (cudart, cuBLAS), where the linker finds them (LD_LIBRARY_PATH)'
}

/** The build that would use what seems to be there. */
function fitting(): string {
  if (existsSync('/proc/driver/nvidia/version'))
    return 'There is one of NVIDIA: `npx qwenvl-native build --cuda`.'
  if (existsSync('/dev/dri/renderD128')) return 'There seems to be one: `npx qwenvl-native build --vulkan`.'
  return 'For one of NVIDIA `npx qwenvl-native build --cuda`, for others `--vulkan`, on a Mac `--metal`.'
}

/** E.g. cpu of libggml-cpu-haswell.so. */
function kindOf(file: string): string {
  return /ggml-([a-z0-9]+)/.exec(file)?.[1] ?? file
}

function memory({ memory: all }: SystemReport): Finding {
  const limit = all < totalmem() ? ', as this container allows' : ''
  return {
    check: 'memory',
    state: 'ok',
    text: `${bytes(all)}${limit}; free on the machine: ${bytes(freemem())}`,
  }
}

async function videoTools(): Promise<Finding> {
  try {
    const versions = await Promise.all(['ffmpeg', 'ffprobe'].map((program) => run(program, ['-version'])))
    const [first = ''] = versions.map(
      ({ stdout }) => /^\S+ version (\S+)/.exec(stdout)?.[1] ?? 'of unknown version',
    )
    return { check: 'ffmpeg', state: 'ok', text: `${first}, with ffprobe` }
  } catch {
    const text =
      'ffmpeg and ffprobe are not both on PATH: videos cannot be read, only lists of frames. Install ffmpeg.'
    return { check: 'ffmpeg', state: 'note', text }
  }
}

async function cache(): Promise<Finding> {
  try {
    const [{ cacheDir }, models] = await Promise.all([hubSettings(), listModels()])
    const { bavail, bsize } = await statfs(existsSync(cacheDir) ? cacheDir : process.cwd())
    const size = models.reduce((sum, model) => sum + model.bytes, 0)
    const text = `${models.length} models (${bytes(size)}) in ${cacheDir}, ${bytes(bavail * bsize)} free`
    return { check: 'models', state: 'ok', text }
  } catch (error) {
    return { check: 'models', state: 'problem', text: plain(error) }
  }
}

/** The model, or without one the built-in model, looks at a red circle; of the built-in model the answer is known. */
async function selfTest(flags: ModelFlags, signal: AbortSignal): Promise<Finding> {
  try {
    return await withModel(flags, signal, async (model) => {
      const question = model.info.encoder ? [user(redCircle(), 'What colour is the circle?')] : 'Hello'
      const limits = { maxTokens: 8, temperature: 0, ignoreEos: flags.model !== undefined, signal }
      const { text: answer, usage, timings } = await model.chat(question, limits)
      const rate = usage.completionTokens / (timings.generateMs / 1000)
      const picture = model.info.encoder ? `a picture in ${timings.encodeMs.toFixed(0)} ms, ` : ''
      const text = `${model.info.description} on ${model.info.decoder}: ${picture}${rate.toFixed(1)} tokens/s`
      if (flags.model !== undefined) return { check: 'self test', state: 'ok', text }
      const right = answer.trim() === 'Red.'
      const told = `asked for the colour of a red circle it answered ${JSON.stringify(answer)}`
      return { check: 'self test', state: right ? 'ok' : 'problem', text: `${text}; ${told}` }
    })
  } catch (error) {
    if (signal.aborted) throw error
    return { check: 'self test', state: 'problem', text: plain(error) }
  }
}

function redCircle(): ImagePart {
  const side = 192
  const data = new Uint8Array(side * side * 3)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = Math.hypot(x - side / 2, y - side / 2) < side / 5
      data.set(inside ? [214, 34, 38] : [230, 235, 238], 3 * (y * side + x))
    }
  }
  return image({ data, width: side, height: side, channels: 3 })
}

function plain(error: unknown): string {
  return errorLine(error).replace(/^error: /, '')
}
