/** Both sides of a comparison, loaded with the same files and threads, and gone when the measuring ends. */
import { fileURLToPath } from 'node:url'
import { QwenVL } from 'qwenvl-native'
import { LlamaServer, layersOf } from './llama-server.mjs'
import { runProgram } from './measure.mjs'
import { peer } from './peers.mjs'

export const greedy = { ignoreEos: true, temperature: 0 }

/** How our side loads what a comparison compares. */
export function loading({ model, mmproj, contextSize, threads, gpu }) {
  return { model, mmproj, contextSize, threads, gpuLayers: gpu ? -1 : 0 }
}

export async function withOurs(bench, options, use) {
  const vl = await QwenVL.load({ ...loading(bench), ...options })
  try {
    return await use(vl)
  } finally {
    await vl.dispose()
  }
}

export async function withServer({ model, mmproj, contextSize, threads, gpu, peers }, args, use) {
  // Their warm-up encodes a picture of 2116 tokens, for which they keep the buffers: not what is compared.
  const same = ['-m', model, '--mmproj', mmproj, '-c', contextSize, '-t', threads, '--no-warmup']
  const server = await LlamaServer.start([...same, ...args], { gpu, peers })
  try {
    return await use(server)
  } finally {
    await server.stop()
  }
}

/** Tokens per second as llama-bench counts them. */
export async function llamaBench({ model, threads, gpu, peers }, ...args) {
  const settings = ['-m', model, '-t', threads, '-r', 1, '-ngl', layersOf(gpu), '-o', 'json', ...args].map(
    String,
  )
  const { stdout } = await runProgram(peer('llama-bench', peers), settings)
  return JSON.parse(stdout)[0].avg_ts
}

/** Runs bench/child.mjs, our side in a process of its own; its answer, its peak memory and its idle CPU time. */
export async function ourChild(bench, task, options = {}) {
  const script = fileURLToPath(new URL('child.mjs', import.meta.url))
  const settings = JSON.stringify({ load: { ...loading(bench), ...options }, ...task })
  const { stdout, peak } = await runProgram(process.execPath, [script, settings])
  return { ...JSON.parse(stdout), peak }
}
