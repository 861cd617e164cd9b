import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { QwenVLError } from '../../../lib/errors'
import { listedFrameSize, videoLayout } from '../../../lib/media/videosize'
import type { VideoGeometry, VideoSizeOptions } from '../../../lib/media/videosize'

type Pair = readonly [height: number, width: number]
interface Given {
  readonly frames: number
  readonly height: number
  readonly width: number
  readonly factor: number
  readonly keys: Record<string, number>
}
interface Table {
  readonly sizes: ReadonlyArray<Given & { utils: Pair | { error: string }; qwen3?: Pair | { error: string } }>
  readonly frameLists: ReadonlyArray<
    Given & { utils: { first: Pair; second: Pair; frames: number } | { error: string } }
  >
}

const table = JSON.parse(readFileSync(join(__dirname, '../../fixtures/video/tables.json'), 'utf8')) as Table

const optionsOf = (keys: Record<string, number>): VideoSizeOptions =>
  Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [
      key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )

function geometry(factor: number, reference: VideoGeometry['reference'] = 'qwen-vl-utils'): VideoGeometry {
  const common = { patchSize: factor / 2, mergeSize: 2, reference }
  return factor === 32
    ? { ...common, processor: 'Qwen3VLVideoProcessor', minPixels: 4096, maxPixels: 25_165_824 }
    : { ...common, processor: 'Qwen2VLVideoProcessor', minPixels: 128 * 784, maxPixels: 768 * 784 }
}

const described = <T extends Given>(given: T) => ({ ...given, title: JSON.stringify(given.keys) })

test.each(table.sizes.map(described))(
  'qwen-vl-utils: $frames frames of $width×$height by $factor with $title',
  ({ frames, height, width, factor, keys, utils }) => {
    const size = () => videoLayout({ width, height }, frames, optionsOf(keys), geometry(factor))
    if ('error' in utils) expect(size).toThrow(QwenVLError)
    else expect(size()).toMatchObject({ height: utils[0], width: utils[1] })
  },
)

test.each(table.sizes.filter(({ qwen3 }) => qwen3).map(described))(
  'transformers: $frames frames of $width×$height with $title',
  ({ frames, height, width, factor, keys, qwen3 }) => {
    const size = () =>
      videoLayout({ width, height }, frames, optionsOf(keys), geometry(factor, 'transformers'))
    if (!qwen3 || 'error' in qwen3) expect(size).toThrow(QwenVLError)
    else expect(size()).toMatchObject({ height: qwen3[0], width: qwen3[1] })
  },
)

test.each(table.frameLists.map(described))(
  'a list of $frames frames of $width×$height by $factor with $title is scaled twice',
  ({ frames, height, width, factor, keys, utils }) => {
    if ('error' in utils) throw new Error('the table has no such case')
    const first = listedFrameSize({ width, height }, optionsOf(keys), geometry(factor))
    expect([first.height, first.width]).toEqual(utils.first)
    const { height: h, width: w, grid } = videoLayout(first, utils.frames, optionsOf(keys), geometry(factor))
    expect([h, w]).toEqual(utils.second)
    expect(grid.t).toBe(Math.ceil(frames / 2))
  },
)

test('a grid counts frame pairs, and a token four patches of each', () => {
  const { grid, tokens } = videoLayout({ width: 640, height: 480 }, 5, {}, geometry(32))
  expect(grid).toEqual({ t: 3, h: 30, w: 40 })
  expect(tokens).toBe((3 * 30 * 40) / 4)
})

test.each([28, 32])('transformers has no bound of all pairs together; factor %i', (factor) => {
  const asked = () =>
    videoLayout({ width: 640, height: 480 }, 4, { totalPixels: 1e5 }, geometry(factor, 'transformers'))
  expect(asked).toThrow(/`totalPixels` to be absent with `reference: 'transformers'`.*`maxPixels` bounds/)
})

describe('frames that the encoder has no memory for', () => {
  const affordablePixels = 100 * 784
  const original = { width: 640, height: 480 }
  const bounds = { minPixels: 200 * 784, maxPixels: 300 * 784 }

  test('are refused with the size that would do', () => {
    const asked = () => videoLayout(original, 4, bounds, { ...geometry(28), affordablePixels })
    expect(asked).toThrow(
      expect.objectContaining({
        name: 'VideoError',
        code: 'VIDEO_TOO_LARGE',
        message: expect.stringContaining(`maxPixels: ${affordablePixels}`) as string,
      }),
    )
  })

  test.each(['qwen-vl-utils', 'transformers'] as const)(
    'are shrunk on demand, by the rules of %s',
    (reference) => {
      const shrinking = { ...geometry(28, reference), affordablePixels, largeFrames: 'shrink' as const }
      const { width, height } = videoLayout(original, 4, bounds, shrinking)
      expect(width * height).toBeLessThanOrEqual(affordablePixels)
      expect(width * height).toBeGreaterThan(0.8 * affordablePixels)
      expect([width % 28, height % 28]).toEqual([0, 0])
      expect(videoLayout(original, 4, { maxPixels: 50 * 784, minPixels: 784 }, shrinking)).toEqual(
        videoLayout(original, 4, { maxPixels: 50 * 784, minPixels: 784 }, geometry(28, reference)),
      )
    },
  )

  test('of a wanted size are refused in any case', () => {
    const wanted = { resizedHeight: 480, resizedWidth: 640 }
    const shrinking = { ...geometry(28), affordablePixels, largeFrames: 'shrink' as const }
    expect(() => videoLayout(original, 4, wanted, shrinking)).toThrow(/more memory/)
  })
})

test('an upper bound below the usual lower one lowers it', () => {
  const { width, height } = videoLayout({ width: 640, height: 480 }, 4, { maxPixels: 20_000 }, geometry(28))
  expect(width * height).toBeLessThanOrEqual(20_000)
})
