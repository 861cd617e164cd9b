/** Numbers for the user: what requests took, what the engine holds, who traces hears of it; nothing is printed. */
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { image, tool, user } from '../../lib'
import type { LogLine, MediumTrace, QwenVL, RequestTrace } from '../../lib'
import { noise } from '../support/fixtures'
import { greedy, loadFixture } from '../support/model'

let vl: QwenVL
beforeEach(async () => {
  vl = await loadFixture({ contextSize: 1024, parallel: 1 })
})
afterEach(() => vl.dispose())

const picture = (seed: number) => image({ data: noise(56, 56, seed), width: 56, height: 56, channels: 3 })
const long = { temperature: 0, ignoreEos: true, maxTokens: 300 }

/** What an answer took is counted when it ends; how large the memory is, a moment after loading. */
async function settled() {
  while (vl.stats().kv.cells === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  return vl.stats()
}

describe('stats()', () => {
  test('begins with nothing', async () => {
    expect(await settled()).toEqual({
      requests: { active: 0, running: 0, waiting: 0, completed: 0, failed: 0, cancelled: 0, refused: 0 },
      tokens: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
      timings: { queueMs: 0, decodeImageMs: 0, encodeMs: 0, prefillMs: 0, generateMs: 0 },
      rates: { prefill: 0, generate: 0 },
      kv: { cells: 1024, used: 0, cachedSequences: 0 },
      embeddings: { memoryHits: 0, diskHits: 0, misses: 0, entries: 0, bytes: 0 },
    })
  })

  test('sums up what the answers tell', async () => {
    const answers = [await vl.chat([user(picture(1), 'One?')], greedy), await vl.chat('Two?', greedy)]
    const { requests, tokens, timings, rates, kv } = await settled()
    expect(requests).toMatchObject({ active: 0, running: 0, waiting: 0, completed: 2 })
    for (const key of ['promptTokens', 'cachedTokens', 'completionTokens'] as const)
      expect(tokens[key]).toBe(answers.reduce((sum, { usage }) => sum + usage[key], 0))
    for (const key of ['queueMs', 'decodeImageMs', 'encodeMs', 'prefillMs', 'generateMs'] as const)
      expect(timings[key]).toBeCloseTo(answers.reduce((sum, each) => sum + each.timings[key], 0))
    expect(rates.prefill).toBeCloseTo(
      (1000 * (tokens.promptTokens - tokens.cachedTokens)) / timings.prefillMs,
    )
    expect(rates.generate).toBeCloseTo((1000 * (tokens.completionTokens - 2)) / timings.generateMs)
    expect(kv).toMatchObject({ cells: 1024, cachedSequences: 2 })
    expect(kv.used).toBeGreaterThan(0)
  })

  test('an answer tells its own rates', async () => {
    const { usage, timings, rates } = await vl.chat('Hello', greedy)
    expect(rates.prefill).toBeCloseTo((1000 * usage.promptTokens) / timings.prefillMs)
    expect(rates.generate).toBeCloseTo((1000 * 15) / timings.generateMs)
  })

  test('tells what runs and what waits', async () => {
    const running = vl.stream('One', long)
    await running[Symbol.asyncIterator]().next()
    const waiting = vl.chat('Two', { ...greedy, maxTokens: 1 })
    while (vl.stats().requests.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(vl.stats().requests).toMatchObject({ active: 2, running: 1, waiting: 1, completed: 0 })
    await running.result
    expect((await waiting).timings.queueMs).toBeGreaterThan(0)
  })

  test('counts failed and cancelled requests apart', async () => {
    await vl.chat([user(image('/does/not/exist.png'))]).catch(() => undefined)
    await vl.chat('word '.repeat(3000)).catch(() => undefined)
    await vl.chat('Hello', { ...long, signal: AbortSignal.timeout(5) }).catch(() => undefined)
    for await (const _ of vl.stream('Hello', long)) break
    expect(vl.stats().requests).toMatchObject({ active: 0, completed: 0, failed: 2, cancelled: 2 })
  })
})

describe('node:diagnostics_channel', () => {
  const requests = tracingChannel<unknown, RequestTrace>('qwenvl-native:request')

  test('tells of every request, and of its pictures', async () => {
    const heard: Array<[string, RequestTrace]> = []
    const media: MediumTrace[] = []
    const note = (name: string) => (trace: RequestTrace) => void heard.push([name, { ...trace }])
    const handlers = {
      start: note('start'),
      end: () => undefined,
      asyncStart: () => undefined,
      asyncEnd: note('asyncEnd'),
      error: note('error'),
    }
    const onMedium = (medium: unknown) => void media.push(medium as MediumTrace)
    requests.subscribe(handlers)
    subscribe('qwenvl-native:media', onMedium)
    try {
      const { usage, timings, rates, images, text } = await vl.chat([user(picture(2), 'One?')], greedy)
      await vl.chat([user(image('/does/not/exist.png'))]).catch(() => undefined)
      const model = vl.info.description
      const result = { finishReason: 'length', usage, timings, rates }
      expect(heard).toEqual([
        ['start', { id: 1, kind: 'answer', model }],
        ['asyncEnd', { id: 1, kind: 'answer', model, result }],
        ['start', { id: 2, kind: 'answer', model }],
        [
          'error',
          { id: 2, kind: 'answer', model, error: expect.objectContaining({ code: 'FILE_NOT_FOUND' }) },
        ],
        ['asyncEnd', expect.anything()],
      ])
      expect(JSON.stringify(heard)).not.toContain(text)
      expect(media).toEqual([{ type: 'image', request: 1, index: 0, ...images[0] }])
      await vl.embedImage(picture(2))
      expect(heard.at(-1)).toMatchObject(['asyncEnd', { id: 3, kind: 'embedding', result: undefined }])
    } finally {
      requests.unsubscribe(handlers)
      unsubscribe('qwenvl-native:media', onMedium)
    }
  })

  test('a run is one request: the sum of its answers', async () => {
    const ended: RequestTrace[] = []
    const name = 'tracing:qwenvl-native:request:asyncEnd'
    const onEnd = (trace: unknown) => void ended.push(trace as RequestTrace)
    subscribe(name, onEnd)
    try {
      const look = tool({ name: 'look', description: 'Looks.', run: () => 'nothing' })
      const options = { ...greedy, ignoreEos: false, maxTokens: 60, tools: [look] }
      const { steps } = await vl.run('Look!', { ...options, toolChoice: { name: 'look' } })
      expect(steps.length).toBeGreaterThan(1)
      const generated = steps.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
      expect(ended).toMatchObject([{ kind: 'run', result: { usage: { completionTokens: generated } } }])
    } finally {
      unsubscribe(name, onEnd)
    }
  })
})

describe('logs', () => {
  test('go to onLog, in whole lines', async () => {
    const lines: LogLine[] = []
    await using model = await loadFixture({ onLog: (line) => lines.push(line) })
    await model.chat('Hello', greedy)
    expect(lines.length).toBeGreaterThan(20)
    expect(lines.filter(({ message }) => message === '' || message.includes('\n'))).toEqual([])
    const levels = new Set(lines.map(({ level }) => level))
    expect([...levels].filter((level) => !['debug', 'info', 'warn', 'error'].includes(level))).toEqual([])
    expect(lines.some(({ message }) => message.includes('qwen2vl'))).toBe(true)
  })
})
