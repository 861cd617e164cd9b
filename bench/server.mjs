/**
 * `qwenvl-native serve` against llama-server of the pinned source, asked over HTTP in the same way, in turns; and against
 * the library in a process of its own: what HTTP costs.
 *
 *   node bench/server.mjs [--rows health,overhead] [--model F --mmproj F] [--threads N] [--gpu] [--rounds 5] [--tokens 64] [--json]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { imageUrl } from './llama-server.mjs'
import { machine, median, printTable } from './measure.mjs'
import { comparison, wantedRows } from './options.mjs'
import { greedy, withOurs, withServer } from './sides.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const options = comparison()
const { tokens, rounds } = options
const contextSize = 4096
const clients = 8
const text = 'Tell the story of a llama that learned to read.'

const rows = [
  { id: 'health', name: '/health', unit: 'requests/s', goal: '>= 1', measure: both(healthRate) },
  { id: 'first', name: 'first token, text', unit: 'ms', goal: '<= 1', measure: both(firstToken) },
  {
    id: 'picture',
    name: 'first token, new picture',
    unit: 'ms',
    goal: '<= 0.75',
    measure: both(firstOfPicture),
  },
  { id: 'decode', name: 'one client', unit: 'tokens/s', goal: '>= 1', measure: both(oneClient) },
  {
    id: 'clients',
    name: `${clients} clients together`,
    unit: 'tokens/s',
    goal: '>= 1.15',
    measure: both(manyClients),
  },
  {
    id: 'overhead',
    name: 'over HTTP : by the library',
    unit: 'tokens/s',
    goal: '>= 0.98',
    measure: overhead,
  },
]
const results = []
for (const row of wantedRows(rows, options.rows)) {
  process.stderr.write(`${row.name} …\n`)
  const { ours, theirs } = await row.measure()
  results.push({ ...row, ours, theirs, ratio: median(ours) / median(theirs) })
}
if (options.json) {
  console.log(JSON.stringify({ machine: machine(options), ...options, results }))
} else {
  console.log(
    `${machine(options)}\n${options.model.split(/[\\/]/).at(-1)}, ${options.threads} threads, medians of ${rounds} rounds\n`,
  )
  printTable(
    ['measure', 'qwenvl-native', 'peer', 'ratio', 'goal'],
    results.map(({ name, unit, ours, theirs, ratio, goal }) => [
      name,
      `${median(ours).toFixed(1)} ${unit}`,
      `${median(theirs).toFixed(1)} ${unit}`,
      ratio.toFixed(3),
      goal,
    ]),
  )
}

/** A measure of both servers, in turns; a first round is not counted. */
function both(measure) {
  return async () => {
    const values = { ours: [], theirs: [] }
    const ours = await startOurs()
    try {
      await withServer({ ...options, contextSize }, ['-np', clients], async (theirs) => {
        for (let round = -1; round < rounds; round++) {
          // The threads of llama-server spin for some 100 ms after an answer.
          await pause(1000)
          const one = await measure(ours, round)
          const other = await measure(theirs, round)
          if (round < 0) continue
          values.ours.push(one)
          values.theirs.push(other)
        }
      })
    } finally {
      await ours.stop()
    }
    return values
  }
}

/** Tokens per second of one answer, over HTTP and by the library, each in a process of its own. */
async function overhead() {
  const values = { ours: [], theirs: [] }
  const ours = await startOurs()
  try {
    await withOurs({ ...options, contextSize }, { parallel: clients }, async (vl) => {
      for (let round = -1; round < rounds; round++) {
        const served = await oneClient(ours, round)
        let first
        for await (const part of vl.stream(`${round} ${text}`, { ...greedy, maxTokens: tokens }))
          if (part.type === 'text') first ??= performance.now()
        const direct = ((tokens - 1) * 1000) / (performance.now() - first)
        if (round < 0) continue
        values.ours.push(served)
        values.theirs.push(direct)
      }
    })
  } finally {
    await ours.stop()
  }
  return values
}

async function startOurs() {
  const { model, mmproj, threads, gpu } = options
  const args = ['--model', model, '--mmproj', mmproj, '--threads', threads, '--context-size', contextSize]
  args.push(`--gpu-layers=${gpu ? -1 : 0}`)
  const command = [
    join(root, 'dist/cli/main.js'),
    'serve',
    '--port',
    0,
    '--json',
    '--parallel',
    clients,
    ...args,
  ]
  const child = spawn(process.execPath, command.map(String), { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('serve ended'))),
  ])
  const stop = async () => {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  return { url: JSON.parse(line).url, stop }
}

/** Requests of a second, over as many connections as clients. */
async function healthRate({ url }) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const end = performance.now() + 2000
  let count = 0
  const ask = () =>
    new Promise((resolve, reject) => {
      request(`${url}/health`, { agent }, (response) => response.resume().once('end', resolve))
        .once('error', reject)
        .end()
    })
  const work = async () => {
    for (; performance.now() < end; count++) await ask()
  }
  await Promise.all(Array.from({ length: clients }, work))
  agent.destroy()
  return count / 2
}

async function firstToken(server, round) {
  return (await answer(server, `${round} ${text}`, 2)).firstMs
}

async function firstOfPicture(server) {
  const noise = {
    create: { width: 448, height: 448, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 40 } },
  }
  const content = [imageUrl(await sharp(noise).png().toBuffer()), { type: 'text', text }]
  return (await answer(server, content, 2)).firstMs
}

async function oneClient(server, round) {
  const { firstMs, totalMs } = await answer(server, `${round} ${text}`, tokens)
  return ((tokens - 1) * 1000) / (totalMs - firstMs)
}

async function manyClients(server, round) {
  const started = performance.now()
  await Promise.all(
    Array.from({ length: clients }, (_, client) => answer(server, `${round} ${client} ${text}`, tokens)),
  )
  return (clients * tokens * 1000) / (performance.now() - started)
}

/**
 * Milliseconds to the first token and to the end. Both servers tell the role with the first token; of random weights its
 * text may be half a character, which is held back.
 */
async function answer({ url }, content, maxTokens) {
  const started = performance.now()
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages: [{ role: 'user', content }],
      stream: true,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
    }),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  let firstMs
  for await (const text of Readable.fromWeb(response.body).setEncoding('utf8'))
    if (text.includes('data: {')) firstMs ??= performance.now() - started
  return { firstMs, totalMs: performance.now() - started }
}
