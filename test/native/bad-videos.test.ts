/** Videos that cannot be shown: each is refused by name, with the way out, and the model goes on. */
import { join } from 'node:path'
import sharp from 'sharp'
import { user, video } from '../../lib'
import type { QwenVL, VideoOptions, VideoSource } from '../../lib'
import { goldenRoot, noise, picture } from '../support/fixtures'
import { essence, greedy, loadFixture } from '../support/model'

const clip = join(goldenRoot, 'video', 'clip.mp4')
const sizes = { minPixels: 784, maxPixels: 4 * 784 }
const frame = (width: number, height: number) => ({
  data: noise(width, height),
  width,
  height,
  channels: 3 as const,
})
const still = () => sharp(picture('scene.png')).gif().toBuffer()

let vl: QwenVL
let usual: unknown
const ask = async (model: QwenVL, source: VideoSource, options: VideoOptions = {}) =>
  essence(await model.chat([user(video(source, { ...sizes, ...options }), 'What?')], greedy))

beforeAll(async () => {
  vl = await loadFixture()
  usual = await ask(vl, [frame(56, 56), frame(56, 56)])
})
afterAll(() => vl.dispose())

test.each<[string, () => VideoSource | Promise<VideoSource>, VideoOptions, string, string, RegExp]>([
  ['zero frames', () => [], {}, 'InvalidArgumentError', 'INVALID_ARGUMENT', /at least one/],
  ['a file of one frame', still, {}, 'VideoError', 'VIDEO_TOO_SHORT', /image\(frame\)/],
  ['fps 0', () => clip, { fps: 0 }, 'InvalidArgumentError', 'INVALID_ARGUMENT', /`.*fps` .* above 0, got 0/],
  ['fps that is no number', () => clip, { fps: NaN }, 'InvalidArgumentError', 'INVALID_ARGUMENT', /fps/],
  [
    'a frame that cannot be read',
    () => [frame(56, 56), 'no-such-frame.jpg', frame(56, 56)],
    {},
    'ImageError',
    'FILE_NOT_FOUND',
    /^Frame 2 of the video/,
  ],
  [
    'a frame that is damaged',
    () => [frame(56, 56), Buffer.from('no picture')],
    {},
    'ImageError',
    'IMAGE_CORRUPT',
    /^Frame 2 of the video/,
  ],
  [
    'frames of mixed sizes',
    () => [frame(56, 56), frame(280, 56)],
    { minPixels: 784, maxPixels: 784_000 },
    'VideoError',
    'VIDEO_FRAME_SIZES',
    /Frame 2 has 280×56 pixels, the first 56×56.*resizedHeight/,
  ],
  ['a file that is none', () => Buffer.from('no video'), {}, 'VideoError', 'VIDEO_CORRUPT', /ffmpeg/],
  ['a part behind its end', () => clip, { videoStart: 60 }, 'VideoError', 'VIDEO_TOO_SHORT', /2\.00 s/],
  ['more frames than it has', () => clip, { nframes: 100 }, 'VideoError', 'VIDEO_TOO_SHORT', /nframes/],
  [
    'bounds that cross',
    () => clip,
    { minPixels: 9000 },
    'InvalidArgumentError',
    'INVALID_ARGUMENT',
    /maxPixels/,
  ],
])('%s', async (_, source, options, name, code, message) => {
  const made = await source()
  const refused = expect.objectContaining({ name, code, message: expect.stringMatching(message) as string })
  await expect((async () => ask(vl, made, options))()).rejects.toEqual(refused)
  expect(await ask(vl, [frame(56, 56), frame(56, 56)])).toEqual(usual)
})

test('without ffmpeg a file is refused with what to install, and a list of frames goes on', async () => {
  await using without = await loadFixture({ ffmpegPath: join(goldenRoot, 'no-such-folder', 'ffmpeg') })
  await expect(ask(without, clip)).rejects.toMatchObject({
    name: 'VideoError',
    code: 'FFMPEG_NOT_FOUND',
    message: expect.stringMatching(/apt-get install ffmpeg.*`ffmpegPath`/s) as string,
  })
  expect(await ask(without, [frame(56, 56), frame(56, 56)])).toEqual(usual)
})
