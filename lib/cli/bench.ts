/** `bench`: how fast a model is on this machine. */
import { image, user } from '../index'
import type { QwenVL, Size } from '../index'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { bytes, duration, json, print, table } from './output'
import { pictureSize } from './picture'

export interface BenchFlags extends ModelFlags {
  /** Words of the text. */
  readonly prompt: number
  /** Tokens of the answer. */
  readonly generate: number
  /** E.g. 1024x1024. */
  readonly picture: string
  readonly runs: number
}

/** One run; times in ms. */
interface Run {
  readonly pictureTokens: number
  readonly encodeMs: number
  readonly promptTokens: number
  readonly prefillMs: number
  readonly generatedTokens: number
  readonly generateMs: number
}

export async function bench(flags: BenchFlags, signal: AbortSignal): Promise<void> {
  const size = pictureSize(flags.picture)
  const started = performance.now()
  await withModel(flags, signal, async (model) => {
    const loadMs = performance.now() - started
    await measure(model, 0, size, flags, signal) // the first touches memory for the first time
    const runs: Run[] = []
    for (let run = 1; run <= flags.runs; run++) runs.push(await measure(model, run, size, flags, signal))
    const { description, decoder, encoder, threads } = model.info
    const median = medianOf(runs)
    const peakBytes = process.resourceUsage().maxRSS * 1024
    const result = { model: description, decoder, encoder, threads, loadMs, median, runs, peakBytes }
    await print(flags.json ? json(result) : describe(result, size), signal)
  })
}

/** A question about a picture, then one without. Each run is new to every cache. */
async function measure(
  model: QwenVL,
  run: number,
  size: Size,
  { prompt, generate }: BenchFlags,
  signal: AbortSignal,
): Promise<Run> {
  const greedy = { temperature: 0, ignoreEos: true, signal }
  const seen = model.info.encoder
    ? await model.chat([user(image(noise(size, run)), 'What is this?')], { ...greedy, maxTokens: 1 })
    : undefined
  const text = Array.from({ length: prompt }, (_, index) => `${(run + 1) * 7919 + index}`.slice(-1)).join(' ')
  const { usage, timings } = await model.chat(`${run} ${text}`, { ...greedy, maxTokens: generate })
  return {
    pictureTokens: seen?.images[0]?.tokens ?? 0,
    encodeMs: seen?.timings.encodeMs ?? 0,
    promptTokens: usage.promptTokens - usage.cachedTokens,
    prefillMs: timings.prefillMs,
    generatedTokens: usage.completionTokens,
    generateMs: timings.generateMs,
  }
}

/** RGB noise, the same for the same run. */
function noise({ width, height }: Size, run: number) {
  const data = new Uint8Array(width * height * 3)
  let state = run + 1
  for (let index = 0; index < data.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    data[index] = state >>> 24
  }
  return { data, width, height, channels: 3 as const }
}

function medianOf(runs: readonly Run[]): Run {
  const median = (key: keyof Run) => runs.map((run) => run[key]).sort((a, b) => a - b)[runs.length >> 1] ?? 0
  return {
    pictureTokens: median('pictureTokens'),
    encodeMs: median('encodeMs'),
    promptTokens: median('promptTokens'),
    prefillMs: median('prefillMs'),
    generatedTokens: median('generatedTokens'),
    generateMs: median('generateMs'),
  }
}

interface Result {
  readonly model: string
  readonly decoder: string
  readonly encoder: string | undefined
  readonly threads: number
  readonly loadMs: number
  readonly median: Run
  readonly runs: readonly Run[]
  readonly peakBytes: number
}

function describe(
  { model, decoder, encoder, threads, loadMs, median, runs, peakBytes }: Result,
  size: Size,
): string {
  const row = (what: string, amount: string, tokens: number, ms: number) => [
    what,
    amount,
    ms < 10_000 ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : duration(ms / 1000),
    ms > 0 && tokens > 0 ? `${((tokens * 1000) / ms).toFixed(1)} tokens/s` : '',
  ]
  const { pictureTokens, encodeMs, promptTokens, prefillMs, generatedTokens, generateMs } = median
  const picture = `${size.width}×${size.height}, ${pictureTokens} tokens`
  return [
    `${model}, ${threads} threads, ${decoder}${encoder && encoder !== decoder ? `, pictures on ${encoder}` : ''}\n\n`,
    table([
      row('load', '', 0, loadMs),
      ...(pictureTokens > 0 ? [row('encode', picture, pictureTokens, encodeMs)] : []),
      row('prefill', `${promptTokens} tokens`, promptTokens, prefillMs),
      row('generate', `${generatedTokens} tokens`, generatedTokens, generateMs),
    ]),
    `\nmedian of ${runs.length} runs after a first one; peak memory ${bytes(peakBytes)}\n`,
  ].join('')
}
