/**
 * exit.cjs <state> <way>: brings the engine into a state, sends 'reached', and ends the process (or a worker) in a
 * way. Nothing here disposes of anything.
 */
const { setTimeout: sleep } = require('node:timers/promises')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { package: qwenvl, engine, options, params } = require('./package.cjs')

const [state, way] = isMainThread ? process.argv.slice(2) : workerData
// Where the event loop has to end by itself, the work has to end too.
const bounded = way === 'loop-end' || way === 'worker-end'
const endless = { temperature: 0, ignoreEos: true, ...(bounded && { maxTokens: 100 }) }

const states = {
  /** Files are looked into on libuv's pool. */
  inspecting: async () => {
    qwenvl.QwenVL.load(options).catch(() => undefined)
  },
  /** The engine's thread has just started. */
  loading: async () => {
    engine.Engine.open(params).catch(() => undefined)
  },
  idle: async () => {
    await qwenvl.QwenVL.load(options)
  },
  encoding: async () => {
    const side = bounded ? 280 : 1120
    const pixels = new Uint8Array(side * side * 3)
    const open = await engine.Engine.open(params)
    open.submit(
      {
        kind: 'encode',
        priority: 0,
        hash: '',
        cache: 'none',
        pixels,
        width: side,
        height: side,
        count: (side / 28) ** 2,
      },
      () => undefined,
    )
    await sleep(20)
  },
  generating: async () => {
    const vl = await qwenvl.QwenVL.load(options)
    const stream = vl.stream('Hello', endless)
    const queued = vl.stream('And this one waits', endless)
    const iterator = stream[Symbol.asyncIterator]()
    for (let i = 0; i < 3; i++) await iterator.next()
    void Promise.all([stream.result, queued.result]).catch(() => undefined)
  },
  /** Nobody reads: the engine's thread waits. */
  parked: async () => {
    const vl = await qwenvl.QwenVL.load(options)
    await vl.stream('Hello', endless)[Symbol.asyncIterator]().next()
    await sleep(300)
  },
}

const ways = {
  'loop-end': () => undefined,
  'worker-end': () => undefined,
  exit: () => process.exit(3),
  'worker-exit': () => process.exit(3),
  throw: () => setImmediate(() => { throw new Error('thrown on purpose') }), // prettier-ignore
  'worker-throw': () => setImmediate(() => { throw new Error('thrown on purpose') }), // prettier-ignore
  SIGTERM: () => process.kill(process.pid, 'SIGTERM'),
  SIGINT: () => process.kill(process.pid, 'SIGINT'),
  // The parent acts, and finds them alive:
  disconnect: () => process.once('disconnect', () => process.exit(0)),
  'worker-terminate': () => setInterval(() => undefined, 1000),
  'exit-beside-worker': () => setInterval(() => undefined, 1000),
}

async function inWorker() {
  const worker = new Worker(__filename, { workerData: [state, way] })
  worker.on('error', ({ message }) => process.stdout.write(`${message}\n`))
  worker.once('exit', (code) => process.stdout.write(`worker ended with ${code}\n`))
  await new Promise((resolve) => worker.once('message', resolve)) // events.once() would reject on 'error'
  process.send('reached')
  if (way === 'worker-terminate') await worker.terminate()
  if (way === 'exit-beside-worker') process.exit(3)
}

async function main() {
  if (isMainThread && way.includes('worker')) return inWorker()
  await states[state]()
  if (isMainThread) process.send('reached')
  else parentPort.postMessage('reached')
  ways[way]()
}

main()
