/**
 * Videos equal the reference: qwen-vl-utils and transformers, float32, on tiny random checkpoints of each generation.
 * tools/fixtures/clips.py makes the data. Needs ffmpeg on PATH.
 */
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { image, video, videoEmbedding } from '../../lib'
import type { ContentPart, Message, QwenVL, VideoOptions } from '../../lib'
import { Engine, resizeBicubic, resizeFrame } from '../../lib/engine/engine'
import { generations } from '../../lib/generations'
import { prepareVideo } from '../../lib/media/video'
import type { PreparedVideo } from '../../lib/media/video'
import { temporaryFolder } from '../support/errors'
import { bare, goldenIds, goldenRoot, heldOut, noise, picture } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { collect, essence, greedy, loadFixture } from '../support/model'
import { centred, cosine, firstLogits } from '../support/numbers'

const clips = join(goldenRoot, 'video')

interface GoldenArray {
  readonly file: string
  readonly shape: readonly number[]
}
type Keys = Readonly<Record<string, number>>
type GoldenPart =
  | { readonly type: 'text'; readonly text: string }
  | ({ readonly type: 'image'; readonly image: string } & Keys)
  | ({ readonly type: 'video'; readonly video: string | readonly string[] } & Keys)
interface GoldenCase {
  readonly name: string
  readonly messages: ReadonlyArray<{ readonly role: 'user'; readonly content: readonly GoldenPart[] }>
  readonly addVisionId: boolean
  readonly prompt: string
  readonly frames: { file: string; count: number; width: number; height: number; sampleFps: number }
  readonly grid: readonly [number, number, number]
  readonly inputIds: readonly number[]
  readonly positions: readonly [number[], number[], number[]]
  readonly ropeDelta: number
  readonly embeddings: GoldenArray
  readonly logits: GoldenArray
  readonly tokens: readonly number[]
}

const located = (name: string) => join(clips, name)

function partOf(part: GoldenPart): ContentPart {
  if (part.type === 'image') return { ...part, image: join(goldenRoot, 'images', part.image) }
  if (part.type === 'text') return part
  const { video: source } = part
  return { ...part, video: typeof source === 'string' ? located(source) : source.map(located) }
}

const messagesOf = ({ messages }: GoldenCase): Message[] =>
  messages.map(({ role, content }) => ({ role, content: content.map(partOf) }))

/** The video of a case, as lib/conversation.ts prepares it. */
function prepare(id: FixtureId, { messages }: GoldenCase): Promise<PreparedVideo> {
  const generation = generations.find((candidate) => candidate.id === id)
  const part = messages[0]?.content.find(({ type }) => type === 'video')
  if (!generation || part?.type !== 'video') throw new Error('golden data lack a video')
  const { type: _, video: source, ...keys } = part
  const options = Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [
      key.replace(/_(.)/g, (__, letter: string) => letter.toUpperCase()),
      value,
    ]),
  ) as VideoOptions
  const { patchSize, mergeSize, video: rules } = generation
  return prepareVideo(
    typeof source === 'string' ? located(source) : source.map(located),
    options,
    { patchSize, mergeSize, ...rules, reference: 'qwen-vl-utils' },
    { picture: resizeBicubic, frame: resizeFrame },
  )
}

describe.each<FixtureId>(goldenIds)('%s', (id) => {
  const folder = join(goldenRoot, id)
  const files = { model: join(folder, 'model-f32.gguf'), mmproj: join(folder, 'mmproj-f32.gguf') }
  const { cases } = JSON.parse(readFileSync(join(folder, 'video.json'), 'utf8')) as {
    readonly cases: readonly GoldenCase[]
  }
  const array = ({ file }: GoldenArray) => {
    const bytes = readFileSync(join(folder, file))
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  }

  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ ...files, contextSize: 1024 })
  })
  afterAll(() => vl.dispose())

  const ofAll = heldOut ? test.skip : test
  ofAll('all cases are there', () => {
    expect(cases.map(({ name }) => name)).toEqual([
      'frames-even',
      'frames-odd',
      'file',
      'file-part',
      'file-fast',
      'picture-and-video',
    ])
  })

  describe.each(cases)('$name', (expected) => {
    test('frames: their number, size and pixels', async () => {
      const { frames, grid } = expected
      const prepared = await prepare(id, expected)
      expect([prepared.grid.t, prepared.grid.h, prepared.grid.w]).toEqual(grid)
      expect([prepared.width, prepared.height, prepared.frames]).toEqual([
        frames.width,
        frames.height,
        frames.count,
      ])
      expect(prepared.sampleFps).toBeCloseTo(frames.sampleFps, 12)
      const wanted = await sharp(join(folder, frames.file)).raw().toBuffer()
      const ours = Buffer.concat(prepared.pairs.map(({ pixels }) => pixels))
      expect(ours.length).toBe(wanted.length)
      const apart = ours.reduce((count, value, i) => count + Number(value !== wanted[i]), 0)
      const most = ours.reduce(
        (largest, value, i) => Math.max(largest, Math.abs(value - (wanted[i] ?? NaN))),
        0,
      )
      expect(most).toBeLessThanOrEqual(1)
      expect(apart / ours.length).toBeLessThan(0.001)
    })

    test('the prompt: text, ids, positions and rope delta are exact', async () => {
      const messages = messagesOf(expected)
      const seen = await vl.inspect(messages, { addVisionId: expected.addVisionId })
      expect(seen.text).toBe(expected.prompt)
      expect([...seen.tokens]).toEqual(expected.inputIds)
      const { t, h, w } = seen.positions
      expect([[...t], [...h], [...w]]).toEqual(expected.positions)
      expect(seen.ropeDelta).toBe(expected.ropeDelta)
      expect(seen.videos).toHaveLength(1)
      expect(await vl.countTokens(messages, { addVisionId: expected.addVisionId })).toBe(seen.tokens.length)
    })

    test('greedy tokens and the first logits', async () => {
      const { vocabSize } = vl.info
      const answer = await vl.chat(messagesOf(expected), {
        maxTokens: expected.tokens.length,
        temperature: 0,
        repetitionPenalty: 1,
        presencePenalty: 0,
        ignoreEos: true,
        addVisionId: expected.addVisionId,
        logprobs: vocabSize,
      })
      expect(cosine(firstLogits(answer, vocabSize), centred(array(expected.logits)))).toBeGreaterThan(0.9999)
      expect([...answer.tokens]).toEqual(expected.tokens)
    })

    test('embeddings of its pairs', async () => {
      const { width, height, tokens, grid, pairs } = await prepare(id, expected)
      const engine = await Engine.open({ ...files, ...bare })
      const rows: number[] = []
      for (const { pixels } of pairs) {
        const size = { width, height, frames: 2 as const, count: tokens / grid.t }
        rows.push(
          ...(await new Promise<Float32Array>((resolve, reject) => {
            engine.submit(
              { kind: 'encode', priority: 0, hash: '', cache: 'none', pixels, ...size },
              (event) => {
                if (event.type === 'embedding') resolve(event.data)
                if (event.type === 'error') reject(new Error(event.message))
              },
            )
          })),
        )
      }
      await engine.close()
      const wanted = array(expected.embeddings)
      expect(rows).toHaveLength(wanted.length)
      expect(cosine(Float32Array.from(rows), wanted)).toBeGreaterThan(0.99999)
    })
  })
})

describe('a video that is encoded once', () => {
  const frame = (seed: number) => ({ data: noise(56, 56, seed), width: 56, height: 56, channels: 3 as const })
  const shown = (sampleFps: number) =>
    video([1, 2, 3, 4].map(frame), { minPixels: 784, maxPixels: 16 * 1024, sampleFps })
  const ask = (part: ContentPart) => [{ role: 'user' as const, content: [part, 'What?'] }]

  test.each<[FixtureId, string, number]>([
    ['qwen2vl', 'numbers its pairs', 2],
    ['qwen2.5vl', 'counts seconds', 1],
    ['qwen2.5vl', 'has two pairs at one position in time', 8],
    ['qwen3vl', 'reads their times', 2],
    ['qwen3.5', 'reads their times', 2],
  ])('is to %s, which %s, what its frames are', async (id, _, sampleFps) => {
    await using vl = await loadFixture({ id })
    const embedding = await vl.embedVideo(shown(sampleFps))
    const { sampleFps: rate, times, frames, grid } = embedding
    expect({ rate, frames, t: grid.t, pairs: times.length }).toEqual({
      rate: sampleFps,
      frames: 4,
      t: 2,
      pairs: 2,
    })
    const seen = await vl.inspect(ask(embedding))
    expect(seen).toEqual(await vl.inspect(ask(shown(sampleFps))))
    expect(await vl.countTokens(ask(embedding))).toBe(seen.tokens.length)
    const { type: __, ...stored } = embedding
    const answer = await vl.chat(ask(videoEmbedding(stored)), greedy)
    await using other = await loadFixture({ id })
    expect(essence(answer)).toEqual(essence(await other.chat(ask(shown(sampleFps)), greedy)))
    expect(answer.videos).toMatchObject([{ encodeMs: 0, frames: 4 }])
    // And the other way round: what was computed of its rows is known again by its pixels.
    const again = await vl.chat(ask(shown(sampleFps)), greedy)
    expect(again.videos).toMatchObject([{ cached: true }])
  })

  test('is refused for another model, and everything but a video is', async () => {
    await using one = await loadFixture({ id: 'qwen2vl' })
    await using other = await loadFixture({ id: 'qwen3vl' })
    const embedding = await one.embedVideo(shown(2))
    expect(await one.embedVideo(embedding)).toBe(embedding)
    await expect(other.chat(ask(embedding), greedy)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('embedVideo()') as string,
    })
    for (const part of [image(picture('tiny.png')), { type: 'text' as const, text: 'x' }]) {
      await expect(one.embedVideo(part)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(one.measureVideo(part)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    await expect(one.embedImage(embedding)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('can be stopped', async () => {
    await using vl = await loadFixture({ id: 'qwen2vl' })
    await expect(vl.embedVideo(shown(2), { signal: AbortSignal.abort('enough') })).rejects.toMatchObject({
      name: 'AbortError',
      cause: 'enough',
    })
  })
})

describe('a prompt with two media', () => {
  const programs = temporaryFolder()
  // Of Node.js: a shell does not start under ThreadSanitizer.
  const script = (name: string, lines: string) => {
    const path = programs.file(name, `#!${process.execPath}\n${lines}\n`)
    chmodSync(path, 0o755)
    return path
  }
  const onTwoCores = process.platform === 'win32' || availableParallelism() < 2 ? test.skip : test

  onTwoCores('stops reading one of them when the other fails', async () => {
    const started = join(programs.path, 'started')
    script(
      'ffprobe',
      `require('child_process').spawnSync('ffprobe', process.argv.slice(2), { stdio: 'inherit' })`,
    )
    const ffmpegPath = script(
      'ffmpeg',
      `const { writeFileSync, renameSync } = require('fs')
       writeFileSync('${started}.tmp', String(process.pid))
       renameSync('${started}.tmp', '${started}')
       setTimeout(() => {}, 600_000)`,
    )
    await using vl = await loadFixture({ ffmpegPath })
    const broken = Readable.from(
      (async function* () {
        while (!existsSync(started)) await sleep(10)
        yield Buffer.from('half a picture')
        throw new Error('the line went dead')
      })(),
    )
    const content = [
      video(located('clip.mp4'), { minPixels: 784, maxPixels: 4 * 784 }),
      image(broken),
      'What?',
    ]
    await expect(vl.chat([{ role: 'user', content }])).rejects.toThrow('the line went dead')
    const program = Number(readFileSync(started, 'utf8'))
    expect(() => process.kill(program, 0)).toThrow('ESRCH')
  })
})

describe('a conversation', () => {
  let vl: QwenVL
  beforeAll(async () => {
    vl = await loadFixture({ id: 'qwen2.5vl' })
  })
  afterAll(() => vl.dispose())

  const frame = (seed: number) => ({ data: noise(56, 56, seed), width: 56, height: 56, channels: 3 as const })
  const options = { minPixels: 784, maxPixels: 4 * 784 }
  const shown = (...seeds: number[]) => video(seeds.map(frame), options)

  test('tells of a video once, and of every picture', async () => {
    const content = [image(frame(9), options), shown(1, 2, 3, 4), 'What?']
    const stream = vl.stream([{ role: 'user', content }], greedy)
    const parts = await collect(stream)
    expect(parts.filter(({ type }) => type === 'image' || type === 'video')).toMatchObject([
      { type: 'image', index: 0, cached: false },
      {
        type: 'video',
        index: 0,
        cached: false,
        frames: 4,
        sampleFps: 2,
        times: [0.25, 1.25],
        grid: { t: 2 },
      },
    ])
    const { images, videos } = await stream.result
    expect([images.length, videos.length]).toEqual([1, 1])
  })

  test('keeps what it computed of a video', async () => {
    const chat = vl.createChat(greedy)
    const first = await chat.send(shown(5, 6, 7, 8), 'What?')
    const second = await chat.send('And then?')
    expect(second.usage.cachedTokens).toBeGreaterThanOrEqual(first.usage.promptTokens)
    expect(second.videos).toMatchObject([{ cached: true, encodeMs: 0 }])
  })

  test.each([
    ['another end', [1, 2, 3, 4], [1, 2, 5, 6], 2],
    // Eight frames a second: pairs two by two at one position in time.
    ['another end at the same position in time', [1, 2, 3, 4], [1, 2, 5, 6], 8],
  ])('a video with %s is computed anew from there', async (_, first, second, sampleFps) => {
    const ask = (seeds: number[]) => [
      { role: 'user' as const, content: [video(seeds.map(frame), { ...options, sampleFps }), 'What?'] },
    ]
    await using fresh = await loadFixture({ id: 'qwen2.5vl' })
    const wanted = essence(await fresh.chat(ask(second), greedy))
    await vl.chat(ask(first), greedy)
    expect(essence(await vl.chat(ask(second), greedy))).toEqual(wanted)
  })

  test('takes a single frame, shown twice', async () => {
    const { videos, tokens } = await vl.chat([{ role: 'user', content: [shown(3), 'What?'] }], greedy)
    expect(videos).toMatchObject([{ frames: 2, grid: { t: 1 } }])
    const twice = await vl.chat([{ role: 'user', content: [shown(3, 3), 'What?'] }], greedy)
    expect([...twice.tokens]).toEqual([...tokens])
  })
})
