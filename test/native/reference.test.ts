/** Whose sizes and pixels pictures and videos get: the option `reference`. Both are those of the two packages. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { image, video } from '../../lib'
import type { LoadOptions, VideoOptions } from '../../lib'
import { goldenRoot, noise } from '../support/fixtures'
import type { FixtureId } from '../support/fixtures'
import { loadFixture } from '../support/model'

const clip = join(goldenRoot, 'video', 'clip.mp4')

const picture = (width: number, height: number) =>
  image({ data: noise(width, height), width, height, channels: 3 })

describe('a picture', () => {
  test.each<[FixtureId, LoadOptions['reference'], [number, number], [number, number]]>([
    ['qwen2vl', undefined, [1400, 14], [560, 28]],
    ['qwen2vl', 'transformers', [1400, 14], [560, 28]],
    ['qwen2vl', 'qwen-vl-utils', [1400, 14], [1400, 28]],
    ['qwen3vl', undefined, [70, 42], [352, 224]],
    ['qwen3vl', 'qwen-vl-utils', [70, 42], [96, 64]],
    ['qwen3vl', 'qwen-vl-utils', [1, 1], [64, 64]],
  ])('of %s with %s', async (id, reference, [width, height], [processedWidth, processedHeight]) => {
    await using vl = await loadFixture({ id, ...(reference && { reference }) })
    const { processed } = await vl.measureImage(picture(width, height))
    expect(processed).toEqual({ width: processedWidth, height: processedHeight })
    expect((await vl.embedImage(picture(width, height))).processed).toEqual(processed)
  })

  test('is bounded by the options of load before the reference', async () => {
    await using vl = await loadFixture({ id: 'qwen3vl', reference: 'qwen-vl-utils', minPixels: 65_536 })
    expect((await vl.measureImage(picture(70, 42))).processed).toEqual({ width: 352, height: 224 })
  })
})

describe('a video', () => {
  const measured = async (reference: LoadOptions['reference'], options: VideoOptions) => {
    await using vl = await loadFixture({ id: 'qwen3vl', ...(reference && { reference }) })
    return await vl.measureVideo(video(clip, options))
  }

  test('follows qwen-vl-utils, which takes pairs of frames', async () => {
    expect(await measured(undefined, { nframes: 3 })).toMatchObject({
      frames: 4,
      processed: { width: 448, height: 320 },
    })
  })

  test('follows transformers, which takes odd numbers too and bounds all frames together', async () => {
    const { frames, grid, processed } = await measured('transformers', { nframes: 3 })
    expect([frames, grid.t, processed]).toEqual([3, 2, { width: 128, height: 96 }])
    await expect(measured('transformers', { totalPixels: 1e6 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining("`reference: 'transformers'`") as string,
    })
  })
})

describe('pixels', () => {
  const bytes = (name: string) => readFileSync(join(goldenRoot, 'resize', `up.${name}.bin`))
  const size = { resizedWidth: 84, resizedHeight: 56 }
  const hashOf = (...pixels: readonly Buffer[]) =>
    createHash('sha256').update('84x56\n').update(Buffer.concat(pixels)).digest('hex')
  const source = () => ({
    data: new Uint8Array(bytes('source')),
    width: 37,
    height: 23,
    channels: 3 as const,
  })

  test.each<[LoadOptions['reference'], string]>([
    [undefined, 'target'],
    ['qwen-vl-utils', 'target'],
    ['transformers', 'torchvision'],
  ])('of a picture with %s', async (reference, golden) => {
    await using vl = await loadFixture({ ...(reference && { reference }) })
    expect((await vl.embedImage(image(source(), size))).hash).toBe(hashOf(bytes(golden)))
  })

  test('of frames with transformers', async () => {
    await using vl = await loadFixture({ reference: 'transformers' })
    const { hashes } = await vl.embedVideo(video([source(), source()], size))
    expect(hashes).toEqual([hashOf(bytes('torchvision'), bytes('torchvision'))])
  })
})
