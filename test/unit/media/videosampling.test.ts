import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, VideoError } from '../../../lib/errors'
import { sampleFrames } from '../../../lib/media/videosampling'
import type { SamplingOptions } from '../../../lib/media/videosampling'

type Chosen =
  { indices: { count: number; all?: number[]; checksum?: number }; sampleFps?: number } | { error: string }
interface Table {
  readonly sampling: ReadonlyArray<{
    total: number
    fps: number
    keys: Record<string, number>
    utils: Chosen
    qwen2?: Chosen
    qwen3?: Chosen
  }>
}

const table = JSON.parse(readFileSync(join(__dirname, '../../fixtures/video/tables.json'), 'utf8')) as Table

const optionsOf = (keys: Record<string, number>): SamplingOptions =>
  Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [
      key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )

/** As tools/fixtures/video.py packs it. */
function packed(indices: readonly number[]) {
  if (indices.length <= 40) return { count: indices.length, all: indices }
  return { count: indices.length, checksum: indices.reduce((sum, index, i) => sum + index * (i + 1), 0) }
}

describe.each([
  ['qwen-vl-utils', 'Qwen2VLVideoProcessor', 'utils'],
  ['transformers', 'Qwen3VLVideoProcessor', 'qwen3'],
  ['transformers', 'Qwen2VLVideoProcessor', 'qwen2'],
] as const)('the frames that %s (%s) chooses', (reference, processor, column) => {
  const cases = table.sampling.flatMap(({ [column]: expected, ...given }) =>
    expected ? [{ ...given, expected, title: JSON.stringify(given.keys) }] : [],
  )

  test.each(cases)('of $total at $fps per second with $title', ({ total, fps, keys, expected }) => {
    const choose = () => sampleFrames({ total, fps }, optionsOf(keys), reference, processor)
    // A single frame is a video to its sampler, and refused by its resize.
    if ('error' in expected || expected.indices.count < 2) {
      expect(choose).toThrow(VideoError)
      return
    }
    const { indices, sampleFps } = choose()
    expect(packed(indices)).toEqual(expected.indices)
    if (expected.sampleFps !== undefined) expect(sampleFps).toBeCloseTo(expected.sampleFps, 12)
  })
})

test('fps and nframes exclude each other', () => {
  const both = () =>
    sampleFrames({ total: 30, fps: 30 }, { fps: 1, nframes: 4 }, 'qwen-vl-utils', 'Qwen2VLVideoProcessor')
  expect(both).toThrow(InvalidArgumentError)
})

test('a video of one frame is refused with the way to show it', () => {
  const one = () => sampleFrames({ total: 1, fps: 25 }, {}, 'qwen-vl-utils', 'Qwen3VLVideoProcessor')
  expect(one).toThrow(expect.objectContaining({ code: 'VIDEO_TOO_SHORT' }))
  expect(one).toThrow('image(frame)')
})

test('a part that begins behind its end is refused with the length of the video', () => {
  const part = { videoStart: 6, videoEnd: 3 }
  const choose = () => sampleFrames({ total: 300, fps: 30 }, part, 'qwen-vl-utils', 'Qwen3VLVideoProcessor')
  expect(choose).toThrow(expect.objectContaining({ code: 'VIDEO_TOO_SHORT' }))
  expect(choose).toThrow('10.00 s')
})
