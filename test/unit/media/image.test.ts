import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { decodeImage, inspectImage, prepareImage } from '../../../lib/media/image'

const geometry = { patchSize: 14, mergeSize: 2, minPixels: 3136, maxPixels: 12_845_056 }

const one = (width: number, height: number, background: string) =>
  sharp({ create: { width, height, channels: 3, background } })

describe('decodeImage refuses', () => {
  const noise = () => Buffer.from(Array.from({ length: 100 * 100 * 3 }, (_, i) => (i * i * 31) % 251))
  const photo = () => sharp(noise(), { raw: { width: 100, height: 100, channels: 3 } })
  const corrupt = { name: 'ImageError', code: 'IMAGE_CORRUPT' }
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)

  it.each([
    ['JPEG', () => photo().jpeg()],
    ['PNG', () => photo().png()],
    ['WebP', () => photo().webp()],
    ['GIF', () => photo().gif()],
    ['AVIF', () => photo().avif()],
  ])('a truncated %s', async (_, encode) => {
    await expect(decodeImage(half(await encode().toBuffer()))).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringMatching(/damaged or incomplete .*again/),
    })
  })

  it('a truncated TIFF', async () => {
    await expect(decodeImage(half(await photo().tiff().toBuffer()))).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining('only the beginning of one'),
    })
  })

  it('a PNG with a damaged byte', async () => {
    const png = await photo().png().toBuffer()
    png[png.length >> 1] = (png[png.length >> 1] ?? 0) ^ 0x55
    await expect(decodeImage(png)).rejects.toMatchObject(corrupt)
  })

  it('a text file, whatever its name', async () => {
    const text = new File(['Dear Sir or Madam, '], 'photo.jpg')
    await expect(decodeImage(text)).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringMatching(
        /no picture in a known format.*Pass JPEG, PNG, WebP, AVIF, TIFF, GIF or SVG/,
      ),
    })
    await expect(decodeImage(__filename)).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining(__filename),
    })
  })

  it.each([
    ['HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic')],
    ['BMP', Buffer.from('BM\x36\0\0\0\0\0\0\0')],
    ['PDF', Buffer.from('%PDF-1.7')],
    ['a web page', Buffer.from('<!DOCTYPE html><title>404</title>')],
  ])('%s by its name', async (format, bytes) => {
    await expect(decodeImage(bytes)).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringContaining(`is ${format}, which cannot be read as a picture. Convert it`),
    })
  })

  it.each([
    ['MP4', Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0')],
    ['Matroska', Buffer.from('\x1aE\xdf\xa3\x01\0', 'latin1')],
    ['AVI', Buffer.from('RIFF\x10\0\0\0AVI LIST')],
  ])('a video as one: %s', async (_, bytes) => {
    await expect(decodeImage(bytes)).rejects.toMatchObject({
      ...corrupt,
      message: expect.stringMatching(/is a video.*Show it as one: `video\(\)`, --video of a command/),
    })
  })

  it('zero bytes', async () => {
    await expect(decodeImage(Buffer.alloc(0))).rejects.toMatchObject({ code: 'IMAGE_EMPTY' })
  })

  it('more pixels than allowed, before decoding', async () => {
    const picture = await one(50, 40, 'red').png().toBuffer()
    const tooLarge = {
      name: 'ImageError',
      code: 'IMAGE_TOO_LARGE',
      message: expect.stringContaining('50×40'),
    }
    for (const source of [picture, half(picture), sharp(picture)]) {
      await expect(decodeImage(source, { maxInputPixels: 1999 })).rejects.toMatchObject(tooLarge)
    }
    await expect(inspectImage(picture, geometry, { maxInputPixels: 1999 })).rejects.toMatchObject(tooLarge)
    expect(await decodeImage(picture, { maxInputPixels: 2000 })).toMatchObject({ width: 50, height: 40 })
    const bomb = await one(20_000, 10_001, 'red').png().toBuffer()
    await expect(decodeImage(bomb)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' })
  })

  it.each([0, Number.NaN])('a limit of %p pixels', async (maxInputPixels) => {
    await expect(decodeImage(noise(), { maxInputPixels })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('inspectImage', () => {
  it('tells sizes, grid and tokens', async () => {
    expect(await inspectImage(await one(1024, 768, 'red').png().toBuffer(), geometry)).toEqual({
      original: { width: 1024, height: 768 },
      width: 1036,
      height: 756,
      grid: { t: 1, h: 54, w: 74 },
      tokens: 999,
    })
  })

  it('needs no more than the header', async () => {
    const png = await one(1024, 768, 'red').png({ compressionLevel: 0 }).toBuffer()
    expect(await inspectImage(png.subarray(0, 2000), geometry)).toMatchObject({ tokens: 999 })
  })

  it('refuses a picture that is too long', async () => {
    const strip = await one(20_000, 50, 'red').png().toBuffer()
    const refusal = { name: 'ImageError', code: 'IMAGE_ASPECT_RATIO' }
    await expect(inspectImage(strip, geometry)).rejects.toMatchObject(refusal)
    await expect(prepareImage(strip, geometry, fakeResize)).rejects.toMatchObject(refusal)
    const stretched = { ...geometry, resizedHeight: 280, resizedWidth: 420 }
    expect(await inspectImage(strip, stretched)).toMatchObject({ width: 420, height: 280, tokens: 150 })
  })
})

/** Fills the target with the first pixel: no scaling, but it tells who was asked for what. */
const fakeResize = jest.fn(
  async (pixels: Uint8Array, _width: number, _height: number, width: number, height: number) =>
    new Uint8Array(width * height * 3).map((_, i) => pixels[i % 3] ?? 0),
)

describe('prepareImage', () => {
  beforeEach(() => fakeResize.mockClear())

  it('scales the upright picture to the size that the model takes', async () => {
    const picture = await one(100, 60, '#0000ff').withMetadata({ orientation: 6 }).png().toBuffer()
    const prepared = await prepareImage(picture, geometry, fakeResize)
    expect(fakeResize).toHaveBeenCalledTimes(1)
    expect(fakeResize).toHaveBeenCalledWith(expect.anything(), 60, 100, 56, 112)
    expect(prepared).toMatchObject({
      original: { width: 60, height: 100 },
      width: 56,
      height: 112,
      grid: { t: 1, h: 8, w: 4 },
      tokens: 8,
    })
    expect(prepared.pixels).toHaveLength(56 * 112 * 3)
    expect([...prepared.pixels.subarray(0, 3)]).toEqual([0, 0, 255])
    expect(prepared.decodeMs).toBeGreaterThan(0)
  })

  it('leaves a picture alone that fits', async () => {
    const { pixels } = await prepareImage(await one(112, 56, 'red').png().toBuffer(), geometry, fakeResize)
    expect(fakeResize).not.toHaveBeenCalled()
    expect(pixels).toHaveLength(112 * 56 * 3)
  })

  it('names what the model sees by a hash of size and pixels', async () => {
    const of = async (width: number, height: number, colour: string, format: 'png' | 'webp' = 'png') => {
      const picture = await one(width, height, colour).toFormat(format, { lossless: true }).toBuffer()
      return (await prepareImage(picture, geometry, fakeResize)).hash
    }
    const first = await of(112, 56, 'red')
    expect(first).toBe(
      createHash('sha256')
        .update('112x56\n')
        .update(Buffer.alloc(112 * 56 * 3, Buffer.from([255, 0, 0])))
        .digest('hex'),
    )
    expect(await of(112, 56, 'red', 'webp')).toBe(first)
    expect(await of(110, 55, 'red')).toBe(first)
    expect(await of(56, 112, 'red')).not.toBe(first)
    expect(await of(112, 56, '#fe0000')).not.toBe(first)
  })

  it('hashes pictures of many slices as a whole', async () => {
    const picture = await one(1400, 1400, 'red').png().toBuffer()
    const { hash, pixels } = await prepareImage(picture, geometry, fakeResize)
    expect(pixels.length).toBeGreaterThan(5 << 20)
    expect(hash).toBe(createHash('sha256').update('1400x1400\n').update(pixels).digest('hex'))
  })

  it('stops between its steps when the signal fires', async () => {
    const caller = new AbortController()
    const reason = new Error('enough')
    const abortingResize: typeof fakeResize = jest.fn(async (...of) => {
      caller.abort(reason)
      return fakeResize(...of)
    })
    const picture = await one(100, 60, 'red').png().toBuffer()
    await expect(
      prepareImage(picture, geometry, abortingResize, { signal: caller.signal }),
    ).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORTED',
      cause: reason,
    })
    expect(abortingResize).toHaveBeenCalledTimes(1)
    await expect(
      prepareImage(picture, geometry, abortingResize, { signal: caller.signal }),
    ).rejects.toMatchObject({ cause: reason })
    expect(abortingResize).toHaveBeenCalledTimes(1)
  })

  it('passes on what the resize throws', async () => {
    const failure = new Error('no memory')
    const picture = await one(100, 60, 'red').png().toBuffer()
    await expect(prepareImage(picture, geometry, () => Promise.reject(failure))).rejects.toBe(failure)
  })
})
