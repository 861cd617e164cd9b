/** Measuring tools of the benchmarks: medians, peak memory, event-loop delay, a table. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemReport } from 'qwenvl-native'

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Runs `program` to its end; resolves with its stdout, its peak resident memory in bytes (Linux) and its seconds. */
export function runProgram(program, args) {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    let peak = 0
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr = (stderr + text).slice(-4000)))
    const poll = setInterval(() => (peak = Math.max(peak, peakMemory(child.pid))), 20)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearInterval(poll)
      if (code === 0) resolve({ stdout, peak, seconds: (performance.now() - started) / 1000 })
      else reject(new Error(`${program} ended with ${signal ?? code}:\n${stderr}`))
    })
  })
}

/** The kernel's high-water mark of a process's resident memory, bytes; 0 where there is none to read. */
export function peakMemory(pid) {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return line ? Number(line[1]) * 1024 : 0
  } catch {
    return 0
  }
}

/** CPU time that a process has taken so far, user and system, in ms; Linux. */
export function cpuTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  const ticksPerSecond = 100
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000
}

/** Runs `work` and tells how late the event loop's timers were meanwhile, in ms. Includes the 1 ms timer itself. */
export async function withLoopDelay(work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const result = await work()
  histogram.disable()
  return { result, p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 }
}

/** Cores that are not hyper-threads of another one: what llama.cpp uses by default. */
export function physicalCores() {
  try {
    const info = readFileSync('/proc/cpuinfo', 'utf8')
    const cores = info
      .split('\n\n')
      .map((cpu) => /physical id\s*:\s*(\d+)[^]*core id\s*:\s*(\d+)/.exec(cpu)?.slice(1).join())
    return new Set(cores.filter(Boolean)).size || availableParallelism()
  } catch {
    return availableParallelism()
  }
}

/** One line about the machine, and its GPU if that is what is measured. */
export function machine({ gpu = false } = {}) {
  const flags = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_int8']
  let has = ''
  try {
    const line = /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0].split(' ') ?? []
    has = flags.filter((flag) => line.includes(flag)).join(' ')
  } catch {
    // Not Linux: the model's name has to do.
  }
  const device = gpu && systemReport().devices.find(({ kind }) => kind === 'gpu' || kind === 'igpu')
  const card = device ? `; ${device.description}` : ''
  return `${cpus()[0]?.model.trim()}, ${cpus().length} logical cores${has && `, ${has}`}${card}; Node ${process.version}`
}

/** Prints rows of strings as a Markdown table. */
export function printTable(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  console.log([line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n'))
}
