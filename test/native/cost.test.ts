/** A picture's price, known before it is paid: what the encoder has no memory for is refused or shrunk. */
import { join } from 'node:path'
import { QwenVL, image, user, video } from '../../lib'
import { pair, picture, root, small } from '../support/fixtures'
import { greedy, loadFixture } from '../support/model'

const scene = picture('scene.png')
const limits = { minPixels: 28 * 28, maxPixels: 28 * 28 * 1000 }

test('a picture is measured by its header as it then becomes', async () => {
  await using vl = await loadFixture()
  const measured = await vl.measureImage(image(scene, limits))
  const { grid, tokens, processed, original } = await vl.embedImage(image(scene, limits))
  expect(measured).toEqual({ grid, tokens, processed, original, encoderBytes: expect.any(Number) })
  expect(measured.encoderBytes).toBeGreaterThan(processed.width * processed.height)
})

test('more memory than the encoder may take: refused with the size that would do', async () => {
  await using unlimited = await loadFixture()
  const whole = await unlimited.measureImage(image(scene, limits))
  await using vl = await loadFixture({ encoderMemory: whole.encoderBytes - 1 })
  for (const action of [
    () => vl.embedImage(image(scene, limits)),
    () => vl.chat([user(image(scene, limits), 'What?')], greedy),
    () => vl.countTokens([user(image(scene, limits), 'What?')]),
    () => vl.embedImage(image(scene, { resizedWidth: 560, resizedHeight: 560 })),
  ]) {
    await expect(action()).rejects.toMatchObject({
      name: 'ImageError',
      code: 'IMAGE_TOO_LARGE',
      message: expect.stringMatching(/`maxPixels: \d+` .*`encoderMemory`/),
    })
  }
  expect(await vl.measureImage(image(scene, limits))).toEqual(whole)

  const error: unknown = await vl.embedImage(image(scene, limits)).catch((caught: unknown) => caught)
  const { maxPixels } = (error as { details: { maxPixels: number } }).details
  const { encoderBytes } = await vl.measureImage(image(scene, { ...limits, maxPixels }))
  expect(encoderBytes).toBeLessThan(whole.encoderBytes)
  expect((await vl.embedImage(image(scene, { ...limits, maxPixels }))).tokens).toBeLessThan(whole.tokens)
})

test('a picture of 16384 tokens: 34 GB of scores, or none with flash attention', async () => {
  const largest = image(picture('large-3584.png'))
  await using dense = await loadFixture({ encoderMemory: 24e9 })
  const { tokens, encoderBytes } = await dense.measureImage(largest)
  expect(tokens).toBe(16_384)
  expect(encoderBytes).toBeGreaterThan(65_536 ** 2 * 2 * 4)
  await expect(dense.embedImage(largest)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' })
  await using flash = await loadFixture({ flashAttention: 'auto' })
  expect((await flash.measureImage(largest)).encoderBytes).toBeLessThan(1e9)
})

test("largeImages: 'shrink' takes fewer pixels instead", async () => {
  const encoderMemory = 2_000_000
  await using vl = await loadFixture({ encoderMemory, largeImages: 'shrink' })
  const { tokens, encoderBytes } = await vl.measureImage(image(scene, limits))
  expect(encoderBytes).toBeLessThanOrEqual(encoderMemory)
  const { images } = await vl.chat([user(image(scene, limits), 'What?')], greedy)
  expect(images).toMatchObject([{ tokens }])
  expect(
    (await vl.embedImage(image(scene, { minPixels: 28 * 28 * 500, maxPixels: 28 * 28 * 900 }))).tokens,
  ).toBe(tokens)
})

describe('a video', () => {
  const clip = join(root, 'test/fixtures/video/clip.mp4')
  const sizes = { minPixels: 4 * 784, maxPixels: 12 * 784 }
  const asked = video(clip, { fps: 2, ...sizes })

  test('is measured as it then becomes, and no frame is decoded', async () => {
    await using vl = await loadFixture()
    const { encoderBytes, ...measured } = await vl.measureVideo(asked)
    const embedded = await vl.embedVideo(asked)
    expect(embedded).toMatchObject(measured)
    expect(encoderBytes).toBeGreaterThan(2 * measured.processed.width * measured.processed.height)
  })

  test('whose pairs of frames need more memory than the encoder may take is refused, or shrunk', async () => {
    await using unlimited = await loadFixture()
    const whole = await unlimited.measureVideo(asked)
    const limits = { encoderMemory: whole.encoderBytes - 1 }
    await using vl = await loadFixture(limits)
    const prompt = [user(asked, 'What?')]
    for (const action of [
      () => vl.embedVideo(asked),
      () => vl.chat(prompt, greedy),
      () => vl.countTokens(prompt),
    ]) {
      await expect(action()).rejects.toMatchObject({
        name: 'VideoError',
        code: 'VIDEO_TOO_LARGE',
        message: expect.stringMatching(/`maxPixels: \d+` .*`encoderMemory`/),
      })
    }
    expect(await vl.measureVideo(asked)).toEqual(whole)
    await using shrinking = await loadFixture({ ...limits, largeImages: 'shrink' })
    const { encoderBytes, tokens } = await shrinking.measureVideo(asked)
    expect(encoderBytes).toBeLessThan(whole.encoderBytes)
    const { videos } = await shrinking.chat(prompt, greedy)
    expect(videos).toMatchObject([{ tokens }])
  })
})

test('a text-only model has no price for pictures', async () => {
  await using vl = await QwenVL.load({ ...small, model: pair().model })
  await expect(vl.measureImage(image(scene))).rejects.toMatchObject({ code: 'PROJECTOR_MISSING' })
  await expect(vl.measureVideo(video([scene]))).rejects.toMatchObject({ code: 'PROJECTOR_MISSING' })
  await expect(vl.embedVideo(video([scene]))).rejects.toMatchObject({ code: 'PROJECTOR_MISSING' })
})

test('the windows of Qwen2.5-VL take no memory that grows with the square of the picture', async () => {
  await using vl = await loadFixture({ id: 'qwen2.5vl', flashAttention: 'on' })
  await vl.embedImage(image(scene, limits))
  const before = process.memoryUsage.rss()
  const { tokens } = await vl.embedImage(image(scene, { resizedWidth: 28 * 50, resizedHeight: 28 * 43 }))
  expect(tokens).toBe(2150)
  // A mask would be 8600 × 8600 numbers: 300 MB, and half of it again.
  expect(process.memoryUsage.rss() - before).toBeLessThan(200e6)
})
