/**
 * Models in random configurations and random requests of them, the same ones for the same seed: beginnings that many
 * share, pictures larger than a batch, videos that begin the same, conversations that fork and are saved.
 */
import { join } from 'node:path'
import { image, video } from '../../lib'
import type { ContentPart, GenerateOptions, LoadOptions } from '../../lib'
import { adapterOf, fixtureIds, noise, pair, root, small } from './fixtures'
import type { Random } from './random'

export interface Configuration {
  readonly load: LoadOptions
  /** What is kept in a folder, for a second process too. */
  readonly disk: 'nothing' | 'embeddings' | 'prompts'
  /** Sides of pictures are multiples of this, in pixels. */
  readonly unit: number
}

interface Picture {
  readonly id: number
  readonly width: number
  readonly height: number
}
interface Clip {
  readonly side: number
  readonly frames: readonly number[]
  readonly sampleFps: number
}
/** A text, a picture, what the encoder made of one, or a video. */
export type Shown =
  string | { readonly picture: Picture; readonly embedded: boolean } | { readonly clip: Clip }

export interface Turn {
  readonly content: readonly Shown[]
  /** What is done with the conversation before it. */
  readonly before: 'nothing' | 'fork' | 'save' | 'save kv'
}

export interface Plan {
  readonly n: number
  readonly options: GenerateOptions
  /** 'left': by its reader. 'unread': for a while. */
  readonly fate: 'good' | 'aborted' | 'left' | 'unread'
  /** When it comes, and how long after that its fate does, in ms. */
  readonly startMs: number
  readonly fateMs: number
  /** One is a question, several are a conversation. */
  readonly turns: readonly [Turn, ...Turn[]]
}

export function configurationOf({ fraction, oneOf }: Random): Configuration {
  const id = oneOf(fixtureIds)
  const mtp = id === 'qwen3.5' && fraction() < 0.5
  return {
    load: {
      ...pair(id),
      ...small,
      ...(mtp && { model: join(root, 'test/fixtures', id, 'model-mtp-f32.gguf'), mtp }),
      contextSize: oneOf([384, 512, 768, 1024]),
      batchSize: oneOf([16, 24, 33, 64, 128]),
      parallel: oneOf([1, 2, 3, 4, 6]),
      stepMs: oneOf([1, 5, 100]),
      deterministic: fraction() < 0.3,
      cacheBytes: oneOf([0, 20_000, 2 ** 28]),
      ...(fraction() < 0.35 && { lora: [{ path: adapterOf(id), scale: 0 }] }),
    },
    disk: oneOf(['nothing', 'nothing', 'embeddings', 'prompts']),
    unit: id.startsWith('qwen2') ? 28 : 32,
  }
}

export function plansOf(random: Random, { load, unit }: Configuration, count: number): Plan[] {
  const { fraction, below, oneOf } = random
  const pictures = Array.from({ length: 5 }, (_, id) => ({
    id,
    width: unit * oneOf([1, 2, 3, 4, 6, 10]),
    height: unit * oneOf([1, 2, 3, 4, 6, 10]),
  })).map((each) => ({ ...each, height: each.width === 10 * unit ? 4 * unit : each.height }))
  const clips = clipsOf(random, unit)
  const beginnings = ['abcdefghijklmnop qrstuvw xyz. ', 'the what why. '].map((text) => text.repeat(12))
  const text = () => oneOf(beginnings).slice(0, oneOf([3, 10, 20, 40, 70, 100, 140]))
  const tail = () => oneOf(['?', 'What?', ` ${below(1000)}`])
  const shown = (embedded = false) => ({ picture: oneOf(pictures), embedded })
  const contents: ReadonlyArray<() => Shown[]> = [
    () => [text(), tail()],
    () => [shown(), tail()],
    () => [text(), shown(), tail()],
    () => [shown(), ' or ', shown(), tail()],
    () => [shown(), shown(), tail()],
    () => [{ clip: oneOf(clips) }, tail()],
    () => [shown(true), tail()],
  ]
  const content = () => oneOf(contents)()
  return Array.from({ length: count }, (_, n) => ({
    n,
    options: optionsOf(random, load, n),
    fate: oneOf(['good', 'good', 'good', 'good', 'aborted', 'aborted', 'left', 'unread']),
    startMs: fraction() < 0.6 ? 0 : below(300),
    fateMs: fraction() ** 2 * 300,
    turns: [
      { content: content(), before: 'nothing' },
      ...Array.from({ length: fraction() < 0.7 ? 0 : 1 + below(2) }, () => ({
        content: fraction() < 0.4 ? content() : [tail()],
        before: oneOf(['nothing', 'nothing', 'fork', 'save', 'save kv'] as const),
      })),
    ],
  }))
}

/** Of equal sizes, the first two frames the same ones, now and then the next two as well. */
function clipsOf({ fraction, oneOf }: Random, unit: number): Clip[] {
  const side = unit * oneOf([2, 3, 4, 6])
  const sampleFps = oneOf([2, 8, 16])
  const second = fraction() < 0.5 ? 10 : 0
  return [0, 1, 2].map((n) => ({
    side,
    sampleFps,
    frames: [50, 51, 60 + n * second, 61 + n * second, 90 + n, 95 + n],
  }))
}

function optionsOf(
  { fraction, below, oneOf }: Random,
  { lora, deterministic }: LoadOptions,
  n: number,
): GenerateOptions {
  const scale = oneOf([0, 0.5, 1])
  return {
    ...(deterministic && fraction() < 0.3 ? { temperature: 1, seed: n } : { temperature: 0 }),
    repetitionPenalty: 1,
    presencePenalty: 0,
    ignoreEos: true,
    logprobs: true,
    maxTokens: 1 + below(oneOf([3, 12, 24])),
    priority: below(3),
    ...(fraction() < 0.5 && { speculate: oneOf([1, 3, 8, 16]) }),
    ...(lora && fraction() < 0.5 && { lora: lora.map((adapter) => ({ ...adapter, scale })) }),
  }
}

/** As parts of a message. What is embedded is encoded by `embed`. */
export function partsOf(
  content: readonly Shown[],
  embed: (part: ContentPart) => Promise<ContentPart>,
): Promise<Array<string | ContentPart>> {
  const raw = (id: number, width: number, height: number) =>
    ({ data: noise(width, height, id), width, height, channels: 3 }) as const
  return Promise.all(
    content.map(async (each) => {
      if (typeof each === 'string') return each
      if ('clip' in each) {
        const { frames, side, sampleFps } = each.clip
        const bounds = { minPixels: 28 * 28, maxPixels: 32 * 32 * 64 }
        return video(
          frames.map((id) => raw(id, side, side)),
          { sampleFps, ...bounds },
        )
      }
      const { id, width, height } = each.picture
      const part = image(raw(id, width, height), { minPixels: 28 * 28, maxPixels: 32 * 32 * 200 })
      return each.embedded ? embed(part) : part
    }),
  )
}
