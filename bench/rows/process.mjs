/** What a process takes and holds up: its memory, its CPU time when idle, the event loop beside the model. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import sharp from 'sharp'
import { QwenVL, image } from 'qwenvl-native'
import { imageUrl } from '../llama-server.mjs'
import { cpuTime, peakMemory, withLoopDelay } from '../measure.mjs'
import { greedy, loading, ourChild, withServer } from '../sides.mjs'

const question = 'Describe this picture.'
const idleMs = 10_000

export const rows = [
  { id: 'memory', name: 'peak memory, one picture', unit: 'MiB', goal: '<= 1.05', measure: memory },
  { id: 'idle', name: 'CPU time of 10 idle seconds', unit: 'ms', goal: '0', measure: idle },
  { id: 'loop-load', name: 'event loop late, load (p99)', unit: 'ms', goal: '<= 10 ms', measure: loopOf(0) },
  { id: 'loop-see', name: 'event loop late, photo (p99)', unit: 'ms', goal: '<= 10 ms', measure: loopOf(1) },
  {
    id: 'loop-write',
    name: 'event loop late, answer (p99)',
    unit: 'ms',
    goal: '<= 10 ms',
    measure: loopOf(2),
  },
]

async function memory(bench) {
  const picture = await pictureFile(bench)
  const values = { ours: [], theirs: [] }
  for (let round = 0; round < Math.min(bench.rounds, 3); round++) {
    values.ours.push((await ourChild(bench, { picture, question, maxTokens: 16 })).peak / 2 ** 20)
    values.theirs.push(
      await withServer(bench, ['-np', 1], async (server) => {
        await answer(server, picture)
        return peakMemory(server.pid) / 2 ** 20
      }),
    )
  }
  return values
}

async function idle(bench) {
  const picture = await pictureFile(bench)
  const { idleCpuMs } = await ourChild(bench, { picture, question, maxTokens: 16, idleMs })
  const theirs = await withServer(bench, ['-np', 4], async (server) => {
    await answer(server, picture)
    const before = cpuTime(server.pid)
    await pause(idleMs)
    return cpuTime(server.pid) - before
  })
  return { ours: [idleCpuMs], theirs: [theirs] }
}

/** How late a timer of 1 ms fires while a model loads, while it sees a photo of 12 megapixels, while it writes. */
function loopOf(phase) {
  return async (bench) => {
    const photo = await sharp({
      create: { width: 4032, height: 3024, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 40 } },
    })
      .jpeg()
      .toBuffer()
    const load = await withLoopDelay(() => QwenVL.load(loading(bench)))
    const vl = load.result
    try {
      if (phase === 0) return { ours: [load.p99] }
      const work = [
        () => vl.embedImage(image(photo, { maxPixels: 448 * 448 })),
        () => vl.chat('Count.', { ...greedy, maxTokens: bench.tokens }),
      ][phase - 1]
      return { ours: [(await withLoopDelay(work)).p99] }
    } finally {
      await vl.dispose()
    }
  }
}

async function pictureFile({ folder, noise }) {
  const picture = join(folder, 'picture-448.png')
  await writeFile(picture, await noise(448, 448))
  return picture
}

async function answer(server, picture) {
  const content = [imageUrl(await readFile(picture)), { type: 'text', text: question }]
  for await (const piece of server.stream(content, { maxTokens: 16 })) void piece
}
