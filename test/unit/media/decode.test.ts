import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { decodeImage, inspectImage } from '../../../lib/media/image'
import type { Size } from '../../../lib/media/geometry'
import type { ImageSource } from '../../../lib/media/source'

const fixtures = join(__dirname, '../../fixtures/images')
const geometry = { patchSize: 14, mergeSize: 2, minPixels: 3136, maxPixels: 12_845_056 }

type Colour = readonly [number, number, number]
const red: Colour = [255, 0, 0]
const green: Colour = [0, 255, 0]
const blue: Colour = [0, 0, 255]
const yellow: Colour = [255, 255, 0]
const white: Colour = [255, 255, 255]

/** 32 × 16 pixels: red, green over blue, yellow. */
const quadrants = sharp(
  Buffer.from(
    Array.from({ length: 16 * 32 }, (_, i) => {
      const [left, top] = [i % 32 < 16, i < 16 * 16]
      return top ? (left ? red : green) : left ? blue : yellow
    }).flat(),
  ),
  { raw: { width: 32, height: 16, channels: 3 } },
)

/** Colours in the middle of the four quarters, row after row. */
async function cornersOf(source: ImageSource, page?: number) {
  const { data, width, height } = await decodeImage(source, { page })
  expect(data).toHaveLength(width * height * 3)
  const at = (x: number, y: number) => {
    const start = (Math.floor(height * y) * width + Math.floor(width * x)) * 3
    return [...data.subarray(start, start + 3)]
  }
  return {
    size: `${width}×${height}`,
    colours: [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)],
  }
}

/** What lossy coders and colour conversion may change. */
function expectNear(actual: number[][], expected: readonly Colour[], tolerance: number) {
  const distances = actual.flat().map((value, i) => Math.abs(value - (expected.flat()[i] ?? NaN)))
  expect(Math.max(...distances)).toBeLessThanOrEqual(tolerance)
}

const one = (
  width: number,
  height: number,
  background: string | { r: number; g: number; b: number; alpha: number },
) => sharp({ create: { width, height, channels: typeof background === 'string' ? 3 : 4, background } })

describe('decodeImage', () => {
  it.each([
    ['PNG', () => quadrants.clone().png(), 0],
    ['interlaced PNG', () => quadrants.clone().png({ progressive: true }), 0],
    ['PNG with a palette', () => quadrants.clone().png({ palette: true }), 0],
    ['PNG of 16 bits', () => quadrants.clone().toColourspace('rgb16').png(), 0],
    ['JPEG', () => quadrants.clone().jpeg({ quality: 100 }), 3],
    ['progressive JPEG', () => quadrants.clone().jpeg({ quality: 100, progressive: true }), 3],
    ['WebP', () => quadrants.clone().webp({ lossless: true }), 0],
    ['AVIF', () => quadrants.clone().avif({ quality: 95, chromaSubsampling: '4:4:4' }), 6],
    ['TIFF', () => quadrants.clone().tiff({ compression: 'lzw' }), 0],
    ['GIF', () => quadrants.clone().gif(), 0],
  ] as const)('%s', async (_, encode, tolerance) => {
    const { size, colours } = await cornersOf(await encode().toBuffer())
    expect(size).toBe('32×16')
    expectNear(colours, [red, green, blue, yellow], tolerance)
  })

  it('SVG, at its own size and on white', async () => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="32" height="16"><rect width="16" height="8" fill="red"/></svg>`
    expect(await cornersOf(`data:image/svg+xml,${encodeURIComponent(svg)}`)).toEqual({
      size: '32×16',
      colours: [red, white, white, white],
    })
  })

  it('grey pictures, of 8 and 16 bits', async () => {
    const grey = one(4, 4, '#404040')
    const expected = { size: '4×4', colours: Array(4).fill([64, 64, 64]) }
    expect(await cornersOf(await grey.clone().toColourspace('b-w').png().toBuffer())).toEqual(expected)
    expect(await cornersOf(await grey.clone().toColourspace('grey16').png().toBuffer())).toEqual(expected)
  })

  it('CMYK, as print looks', async () => {
    const print = await one(4, 4, '#c06020').toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer()
    expectNear((await cornersOf(print)).colours, Array(4).fill([192, 96, 32]), 30)
  })

  it('puts transparent pixels on white', async () => {
    const png = (alpha: number) => one(4, 4, { r: 255, g: 0, b: 0, alpha }).png().toBuffer()
    expect((await cornersOf(await png(0))).colours).toEqual(Array(4).fill(white))
    expectNear((await cornersOf(await png(0.5))).colours, Array(4).fill([255, 127, 127]), 1)
    const grey = await one(4, 4, { r: 0, g: 0, b: 0, alpha: 0 }).toColourspace('b-w').png().toBuffer()
    expect((await cornersOf(grey)).colours).toEqual(Array(4).fill(white))
    const palette = await one(4, 4, { r: 255, g: 0, b: 0, alpha: 0 }).png({ palette: true }).toBuffer()
    expect((await cornersOf(palette)).colours).toEqual(Array(4).fill(white))
  })

  it.each([
    [1, '32×16', [red, green, blue, yellow]],
    [2, '32×16', [green, red, yellow, blue]],
    [3, '32×16', [yellow, blue, green, red]],
    [4, '32×16', [blue, yellow, red, green]],
    [5, '16×32', [red, blue, green, yellow]],
    [6, '16×32', [blue, red, yellow, green]],
    [7, '16×32', [yellow, green, blue, red]],
    [8, '16×32', [green, yellow, red, blue]],
  ] as const)('turns EXIF orientation %d upright', async (orientation, size, colours) => {
    const jpeg = await quadrants.clone().withMetadata({ orientation }).jpeg({ quality: 100 }).toBuffer()
    const decoded = await cornersOf(jpeg)
    expect(decoded.size).toBe(size)
    expectNear(decoded.colours, colours, 3)
    const { original } = await inspectImage(jpeg, geometry)
    expect(`${original.width}×${original.height}`).toBe(size)
  })

  it('takes embedded profiles to sRGB, in 8 and in 16 bits', async () => {
    const profile = (
      await quadrants
        .clone()
        .withIccProfile('p3')
        .png()
        .toBuffer()
        .then((png) => sharp(png).metadata())
    ).icc
    const orange = one(4, 4, '#c86432')
    const eight = withProfile(await orange.clone().png().toBuffer(), profile)
    const sixteen = withProfile(await orange.clone().toColourspace('rgb16').png().toBuffer(), profile)
    const { colours } = await cornersOf(eight)
    expect(colours[0]?.[0]).toBeGreaterThan(210) // the red of P3 is stronger
    expectNear((await cornersOf(sixteen)).colours, colours as unknown as Colour[], 1)
  })

  describe('of an animation', () => {
    const animation = async () => {
      const frames = [red, green, blue].map(([r, g, b]) => one(8, 8, { r, g, b, alpha: 1 }).png().toBuffer())
      return sharp(await Promise.all(frames), { join: { animated: true } })
    }

    it.each(['gif', 'webp'] as const)('takes the first frame, or the one asked for: %s', async (format) => {
      const picture = await (await animation()).toFormat(format, { lossless: true }).toBuffer()
      for (const [page, colour] of [
        [undefined, red],
        [0, red],
        [1, green],
        [2, blue],
      ] as const) {
        expect(await cornersOf(picture, page)).toEqual({ size: '8×8', colours: Array(4).fill(colour) })
      }
      await expect(decodeImage(picture, { page: 3 })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('below 3'),
      })
    })

    it.each([1, -1, 0.5])('knows no page %p of a still picture', async (page) => {
      const still = await quadrants.clone().png().toBuffer()
      await expect(decodeImage(still, { page })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })

  it('raw pixels of every kind', async () => {
    const decode = async (channels: 1 | 2 | 3 | 4, ...data: number[]) => [
      ...(await decodeImage({ data: Uint8Array.from(data), width: 2, height: 1, channels })).data,
    ]
    expect(await decode(1, 7, 128)).toEqual([7, 7, 7, 128, 128, 128])
    expect(await decode(2, 7, 255, 7, 0)).toEqual([7, 7, 7, 255, 255, 255])
    expect(await decode(3, 1, 2, 3, 4, 5, 6)).toEqual([1, 2, 3, 4, 5, 6])
    expect(await decode(4, 1, 2, 3, 255, 4, 5, 6, 0)).toEqual([1, 2, 3, 255, 255, 255])
  })

  it('what a sharp instance makes', async () => {
    expect(await cornersOf(quadrants.clone().png().flop())).toEqual({
      size: '32×16',
      colours: [green, red, yellow, blue],
    })
  })

  it('the test pictures', async () => {
    const facts: Record<string, { stored: Size; upright?: Size; quadrants: Colour[]; tolerance: number }> =
      JSON.parse(readFileSync(join(fixtures, 'images.json'), 'utf8'))
    for (const [file, { upright, stored, quadrants, tolerance }] of Object.entries(facts)) {
      const { size, colours } = await cornersOf(join(fixtures, file))
      const { width, height } = upright ?? stored
      expect(size).toBe(`${width}×${height}`)
      expectNear(colours, quadrants, tolerance)
    }
  })
})

/** The PNG with a colour profile put in after its header. */
function withProfile(png: Buffer, profile: Buffer | undefined): Buffer {
  const data = Buffer.concat([Buffer.from('profile\0\0'), deflateSync(profile ?? Buffer.alloc(0))])
  const chunk = Buffer.alloc(data.length + 12)
  chunk.writeUInt32BE(data.length, 0)
  chunk.write('iCCP', 4, 'latin1')
  data.copy(chunk, 8)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), data.length + 8)
  const afterHeader = 33
  return Buffer.concat([png.subarray(0, afterHeader), chunk, png.subarray(afterHeader)])
}

function crc32(bytes: Buffer): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}
