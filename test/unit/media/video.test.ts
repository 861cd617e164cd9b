import { readFileSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AbortError, ImageError, InvalidArgumentError } from '../../../lib/errors'
import type { Resize } from '../../../lib/media/image'
import { inspectVideo, prepareVideo } from '../../../lib/media/video'
import type { VideoGeometry } from '../../../lib/media/videosize'
import type { VideoOptions, VideoSource } from '../../../lib/prompt/messages'
import { root } from '../../support/fixtures'

const clip = join(root, 'test/fixtures/video/clip.mp4')
const geometry: VideoGeometry = {
  patchSize: 14,
  mergeSize: 2,
  processor: 'Qwen2VLVideoProcessor',
  minPixels: 128 * 784,
  maxPixels: 768 * 784,
  reference: 'qwen-vl-utils',
}
const small = { minPixels: 4 * 784, maxPixels: 4 * 784 }

/** Keeps only the first pixel, so that frames can be told apart; the real scaling is tested with the addon. */
const scale: Resize = async (pixels, _width, _height, targetWidth, targetHeight) =>
  new Uint8Array(targetWidth * targetHeight * 3).fill(pixels[0] ?? 0)
const scaling = { picture: scale, frame: scale }

const frame = (shade: number, width = 56, height = 56) => ({
  data: new Uint8Array(width * height * 3).fill(shade),
  width,
  height,
  channels: 3 as const,
})
const prepare = (source: VideoSource, options: VideoOptions = {}, reading = {}) =>
  prepareVideo(source, { ...small, ...options }, geometry, scaling, reading)

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('a list of frames', () => {
  test('becomes pairs in its order', async () => {
    const { pairs, grid, tokens, sampleFps, times, original } = await prepare(
      [10, 20, 30, 40].map((n) => frame(n)),
    )
    expect(pairs.map(({ pixels }) => [pixels[0], pixels.at(-1)])).toEqual([
      [10, 20],
      [30, 40],
    ])
    expect({ grid, tokens, sampleFps, times, original }).toEqual({
      grid: { t: 2, h: 4, w: 4 },
      tokens: 8,
      sampleFps: 2,
      times: [0.25, 1.25],
      original: { width: 56, height: 56 },
    })
  })

  test('of an odd number repeats its last', async () => {
    const { pairs, frames } = await prepare([frame(10), frame(20), frame(30)])
    expect(pairs.map(({ pixels }) => [pixels[0], pixels.at(-1)])).toEqual([
      [10, 20],
      [30, 30],
    ])
    expect(frames).toBe(4)
  })

  test('has its rate from sampleFps, or from fps as older READMEs write it; rawFps counts its times', async () => {
    const two = [frame(1), frame(2)]
    expect((await prepare(two, { sampleFps: 4 })).sampleFps).toBe(4)
    expect((await prepare(two, { fps: 1 })).sampleFps).toBe(1)
    expect((await prepare(two, { sampleFps: 1, rawFps: 10 })).times).toEqual([0.05])
  })

  test('is known by what is in its pairs', async () => {
    const hashes = async (...shades: number[]) =>
      (await prepare(shades.map((n) => frame(n)))).pairs.map(({ hash }) => hash)
    const [first, second] = await hashes(1, 2, 3, 4)
    expect(await hashes(1, 2, 5, 6)).toEqual([first, expect.not.stringMatching(second ?? '')])
    expect(await hashes(3, 4)).toEqual([second])
  })

  test('of mixed sizes is refused, with the frame and the way out', async () => {
    const mixed = [frame(1), frame(2), frame(3, 140, 56)]
    const error = await errorOf(prepare(mixed, { minPixels: undefined, maxPixels: undefined }))
    expect(error).toMatchObject({ code: 'VIDEO_FRAME_SIZES', details: { frame: 2 } })
    expect((error as Error).message).toContain('Frame 3 has 140×56')
    expect((error as Error).message).toContain('resizedHeight')
    const { width, height } = await prepare(mixed, { resizedWidth: 56, resizedHeight: 56 })
    expect([width, height]).toEqual([56, 56])
  })

  test('with a frame that cannot be read says which', async () => {
    const error = await errorOf(prepare([frame(1), 'no-such-frame.jpg']))
    expect(error).toBeInstanceOf(ImageError)
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND', details: { frame: 1 } })
    expect((error as Error).message).toMatch(/^Frame 2 of the video: .*no-such-frame\.jpg/)
  })

  test.each(['nframes', 'minFrames', 'maxFrames', 'videoStart', 'videoEnd'] as const)(
    'is taken whole: no %s',
    async (name) => {
      const error = await errorOf(prepare([frame(1), frame(2)], { [name]: 2 }))
      expect(error).toBeInstanceOf(InvalidArgumentError)
      expect((error as Error).message).toContain(`\`${name}\``)
    },
  )
})

describe('a file', () => {
  test('is measured without decoding', async () => {
    expect(await inspectVideo(clip, small, geometry)).toEqual({
      width: 56,
      height: 28,
      grid: { t: 2, h: 2, w: 4 },
      tokens: 4,
      original: { width: 128, height: 96 },
      frames: 4,
      sampleFps: 2,
      times: [8 / 24, 39 / 24],
    })
  })

  test('is what its bytes are, and its URL', async () => {
    const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith('qwenvl-video-'))
    const before = temporary()
    const { pairs } = await prepare(clip)
    expect((await prepare(readFileSync(clip))).pairs).toEqual(pairs)
    expect((await prepare(pathToFileURL(clip).href)).pairs).toEqual(pairs)
    expect((await prepare(pathToFileURL(clip))).pairs).toEqual(pairs)
    expect((await prepare(`file://${clip}`)).pairs).toEqual(pairs)
    expect(temporary()).toEqual(before)
  })

  test('is refused before it is decoded, when the caller says so', async () => {
    const refuse = () => {
      throw new InvalidArgumentError('INVALID_ARGUMENT', 'too long')
    }
    const decode: Resize = () => Promise.reject(new Error('decoded'))
    const call = prepareVideo(clip, small, geometry, { picture: decode, frame: decode }, {}, refuse)
    await expect(call).rejects.toThrow('too long')
  })

  test('tells its own rate', async () => {
    expect(await errorOf(prepare(clip, { sampleFps: 2 }))).toBeInstanceOf(InvalidArgumentError)
  })

  test('larger than the limit of pixels is refused', async () => {
    const error = await errorOf(prepare(clip, {}, { maxInputPixels: 128 * 96 - 1 }))
    expect(error).toMatchObject({ code: 'VIDEO_SOURCE' })
    expect((error as Error).message).toContain('`maxInputPixels`')
  })

  test('that is a single picture in memory is refused', async () => {
    expect(await errorOf(prepare(frame(1)))).toMatchObject({ code: 'VIDEO_SOURCE' })
  })

  test('can be left at any time', async () => {
    const controller = new AbortController()
    const stop: Resize = (...args) => {
      controller.abort()
      return scale(...args)
    }
    const { signal } = controller
    const call = prepareVideo(clip, small, geometry, { picture: scale, frame: stop }, { signal })
    expect(await errorOf(call)).toBeInstanceOf(AbortError)
  })
})
