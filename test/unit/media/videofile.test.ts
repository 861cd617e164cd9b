/** Needs ffmpeg and ffprobe on PATH. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AbortError, VideoError } from '../../../lib/errors'
import { probeVideo, readFrames } from '../../../lib/media/videofile'
import { temporaryFolder } from '../../support/errors'
import { picture, root } from '../../support/fixtures'

const clip = join(root, 'test/fixtures/video/clip.mp4')
const { file, path: folder } = temporaryFolder()

async function framesOf(path: string, indices: readonly number[], options = {}) {
  const frames = []
  for await (const frame of readFrames(path, indices, options)) frames.push(frame)
  return frames
}

/** The clip with a note that it lies on its side: the matrix of the track's header, a quarter turn clockwise. */
function turned(): string {
  const bytes = readFileSync(clip)
  const matrix = bytes.indexOf('tkhd') + 4 + 40
  const quarter = [0, 0x10000, 0, -0x10000, 0, 0, 96 << 16, 0, 0x40000000]
  quarter.forEach((value, i) => bytes.writeInt32BE(value, matrix + 4 * i))
  return file('turned.mp4', bytes)
}

test('a file tells frames, rate and size', async () => {
  expect(await probeVideo(clip)).toEqual({ total: 48, fps: 24, size: { width: 128, height: 96 } })
})

test('exactly the chosen frames come, in their order', async () => {
  const all = await framesOf(
    clip,
    Array.from({ length: 48 }, (_, index) => index),
  )
  expect(all).toHaveLength(48)
  expect(await framesOf(clip, [0, 9, 10, 47])).toEqual([all[0], all[9], all[10], all[47]])
  expect(all[0]).toMatchObject({ width: 128, height: 96 })
  expect(all[0]?.data).toHaveLength(128 * 96 * 3)
  expect(all[0]).not.toEqual(all[9])
})

test('as many frames may be asked for as the reference ever takes', async () => {
  const many = Array.from({ length: 768 }, (_, index) => index)
  const frames: number[] = []
  const reading = (async () => {
    for await (const { data } of readFrames(clip, many)) frames.push(data.length)
  })()
  await expect(reading).rejects.toMatchObject({
    code: 'VIDEO_CORRUPT',
    message: expect.stringContaining('only 48 of 768 frames could be decoded') as string,
  })
  expect(frames).toHaveLength(48)
})

test('a rotated video comes upright', async () => {
  const path = turned()
  expect((await probeVideo(path)).size).toEqual({ width: 96, height: 128 })
  const [upright] = await framesOf(path, [0])
  const [lying] = await framesOf(clip, [0])
  expect(upright).toMatchObject({ width: 96, height: 128 })
  // The lower left corner of the lying frame is the upper left one of the upright frame.
  expect([...(upright?.data.subarray(0, 3) ?? [])]).toEqual([
    ...(lying?.data.subarray(95 * 128 * 3, 95 * 128 * 3 + 3) ?? []),
  ])
})

function meanDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, level, i) => sum + Math.abs(level - (b[i] ?? NaN)), 0) / a.length
}

/** The clip through ffmpeg. */
function converted(name: string, ...args: readonly string[]): string {
  const path = join(folder, name)
  execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...args, path])
  return path
}

test('a video that was trimmed without loss has only the frames that are shown', async () => {
  // Frames since the last key frame stay in the file, marked as not to be shown.
  const path = converted('trimmed.mp4', '-ss', '0.6', '-i', clip, '-c', 'copy')
  const { total } = await probeVideo(path)
  expect(total).toBe(33)
  const frames = await framesOf(path, [0, total - 1])
  expect(frames).toEqual(await framesOf(clip, [48 - total, 47]))
})

test('a video of ten bits has frames of eight', async () => {
  const path = converted('deep.mkv', '-i', clip, '-c:v', 'ffv1', '-pix_fmt', 'yuv420p10le')
  expect((await probeVideo(path)).total).toBe(48)
  const [[deep], [usual]] = [await framesOf(path, [9]), await framesOf(clip, [9])]
  expect(deep?.data).toHaveLength(128 * 96 * 3)
  // Colours are spread over the pixels otherwise.
  expect(meanDifference(deep?.data ?? [], usual?.data ?? [])).toBeLessThan(1)
})

test.each(['-dash.mp4', "with space, comma and 'quotes'.mp4", 'http:host.mp4', 'percent%20.mp4'])(
  'a file named %s is a file',
  async (name) => {
    const path = join(folder, name)
    copyFileSync(clip, path)
    expect((await probeVideo(path)).total).toBe(48)
    expect(await framesOf(path, [3])).toHaveLength(1)
  },
)

describe('refused:', () => {
  const half = readFileSync(clip).subarray(0, 4000)
  const playlist = `#EXTM3U\n#EXTINF:2,\n${clip}\n#EXT-X-ENDLIST\n`

  test.each([
    ['a missing file', () => 'no.mp4', 'FILE_NOT_FOUND', 'Check the path'],
    ['a folder', () => folder, 'VIDEO_SOURCE', 'is no file'],
    ['an empty file', () => file('empty.mp4', ''), 'VIDEO_CORRUPT', 'no video that ffmpeg knows'],
    ['a text', () => file('text.mp4', 'hello'), 'VIDEO_CORRUPT', 'no video that ffmpeg knows'],
    ['half a file', () => file('half.mp4', half), 'VIDEO_CORRUPT', 'no video that ffmpeg knows'],
    ['a picture', () => picture('scene.png'), 'VIDEO_CORRUPT', '`image()`'],
    // It would have ffmpeg read another file.
    ['a playlist', () => file('list.m3u8', playlist), 'VIDEO_CORRUPT', 'no video that ffmpeg knows'],
    [
      'a list of files',
      () => file('list.ffconcat', `ffconcat version 1.0\nfile ${clip}\n`),
      'VIDEO_CORRUPT',
      'ffmpeg',
    ],
  ])('%s', async (_, path, code, message) => {
    const error: unknown = await probeVideo(path()).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(VideoError)
    expect(error).toMatchObject({ code })
    expect((error as Error).message).toContain(message)
  })

  test('a video that was cut off, whose header knows more', async () => {
    // Without `moov` at its front a cut file is none at all; here the samples are cut, not the header.
    const bytes = readFileSync(clip)
    const [mdat, moov] = [bytes.indexOf('mdat') - 4, bytes.indexOf('moov') - 4]
    const shortened = Buffer.concat([
      bytes.subarray(0, mdat),
      bytes.subarray(moov),
      bytes.subarray(mdat, moov - 2000),
    ])
    const table = shortened.indexOf('stco') + 12
    const chunks = shortened.readUInt32BE(table - 4)
    for (let i = 0; i < chunks; i++) {
      const offset = shortened.readUInt32BE(table + 4 * i)
      shortened.writeUInt32BE(offset + bytes.length - moov, table + 4 * i)
    }
    await expect(probeVideo(file('cut.mp4', shortened))).rejects.toMatchObject({
      code: 'VIDEO_CORRUPT',
      message: expect.stringMatching(/cut off after \d+ of 48 frames/) as string,
    })
  })
})

test('without ffmpeg the error says what to install', async () => {
  const missing = { ffmpegPath: join(folder, 'no-such-folder', 'ffmpeg') }
  for (const call of [() => probeVideo(clip, missing), () => framesOf(clip, [0], missing)]) {
    const error: unknown = await call().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'FFMPEG_NOT_FOUND' })
    for (const words of ['apt-get install ffmpeg', '`ffmpegPath`', 'video([frame, frame])'])
      expect((error as Error).message).toContain(words)
  }
})

test('an abort ends the program', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const reading = framesOf(clip, [0, 47], { signal })
  controller.abort('enough')
  await expect(reading).rejects.toBeInstanceOf(AbortError)
  await expect(probeVideo(clip, { signal })).rejects.toMatchObject({ cause: 'enough' })
})

test('leaving the loop ends the program', async () => {
  for await (const frame of readFrames(clip, [0, 1, 2, 3])) {
    expect(frame.width).toBe(128)
    break
  }
  while (process.getActiveResourcesInfo().includes('ProcessWrap')) await sleep(10)
})
