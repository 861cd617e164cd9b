/**
 * memory.cjs <what>, with --expose-gc: makes and drops models; sends what is left of them.
 */
const { readFileSync, readdirSync } = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')
const { package: qwenvl, options } = require('./package.cjs')

const load = () => qwenvl.QwenVL.load({ ...options, contextSize: 512 })
const picture = qwenvl.image({ data: new Uint8Array(56 * 56 * 3), width: 56, height: 56, channels: 3 })

/** Engine threads of this process (Linux). */
function engineThreads() {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()
    } catch {
      return '' // it has just ended
    }
  })
  return names.filter((name) => name === 'qvl-engine').length
}

async function once() {
  const vl = await load()
  await vl.chat([qwenvl.user(picture, 'What?')], { maxTokens: 2 })
  await vl.dispose()
}

/** The end waits for the encoder, longer than for the request that it works for. */
async function disposedAtWork() {
  const vl = await load()
  const side = 1120
  const large = qwenvl.image({
    data: new Uint8Array(side * side * 3),
    width: side,
    height: side,
    channels: 3,
  })
  vl.embedImage(large).catch(() => undefined)
  await sleep(300)
  await vl.dispose()
}

const tasks = {
  /** Memory in megabytes after 40 and after 240 lives of a model. */
  cycles: async () => {
    for (let i = 0; i < 40; i++) await once()
    global.gc()
    const before = process.memoryUsage.rss()
    for (let i = 0; i < 200; i++) await once()
    global.gc()
    const after = process.memoryUsage.rss()
    return { grownMb: (after - before) / 2 ** 20, threads: engineThreads() }
  },
  /** A model that was forgotten without dispose() is freed. */
  dropped: async () => {
    await (async () => {
      const vl = await load()
      await vl.chat('Hello', { maxTokens: 2 })
    })()
    const before = engineThreads()
    for (let i = 0; i < 100 && engineThreads() > 0; i++) {
      global.gc()
      await sleep(20)
    }
    return { before, after: engineThreads() }
  },
  /** Whoever waits for dispose() is not collected, though only the model knows of them. */
  disposing: async () => {
    setInterval(global.gc, 1).unref()
    for (let i = 0; i < 30; i++) await once()
    for (let i = 0; i < 3; i++) await disposedAtWork()
    return 'disposed'
  },
  /** A model that works is not collected, though only its promise is held. */
  working: async () => {
    let answer
    void (async () => {
      answer = (await load()).chat('Hello', { maxTokens: 400, ignoreEos: true })
    })()
    const collecting = setInterval(global.gc, 5)
    while (answer === undefined) await sleep(5)
    const { usage } = await answer
    clearInterval(collecting)
    return { completionTokens: usage.completionTokens }
  },
}

tasks[process.argv[2]]().then((result) => process.send(result))
