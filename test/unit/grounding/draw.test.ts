import { join } from 'node:path'
import sharp from 'sharp'
import { drawGrounding } from '../../../lib/grounding/draw'
import { drawOverlay } from '../../../lib/grounding/overlay'
import type { Drawable } from '../../../lib/grounding/overlay'

const box: Drawable = { kind: 'box', box: { x1: 40, y1: 60, x2: 160, y2: 140 }, label: 'dog' }
const point: Drawable = { kind: 'point', point: { x: 20, y: 30 } }
const quad: Drawable = {
  kind: 'quad',
  quad: [
    { x: 60, y: 20 },
    { x: 160, y: 20 },
    { x: 160, y: 100 },
    { x: 60, y: 100 },
  ],
}
const grey = () => sharp({ create: { width: 200, height: 160, channels: 3, background: '#888888' } }).png()

async function pixels(file: Buffer) {
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true })
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ]
  return { at, ...info }
}
const ground = [0x88, 0x88, 0x88]

describe('drawGrounding', () => {
  it('draws the outline of a box and leaves its inside', async () => {
    const { at, width, height, channels } = await pixels(await drawGrounding(grey(), [box]))
    expect({ width, height, channels }).toEqual({ width: 200, height: 160, channels: 3 })
    for (const [x, y] of [
      [40, 100],
      [159, 100],
      [100, 60],
      [100, 139],
    ] as const)
      expect(at(x, y)).not.toEqual(ground)
    for (const [x, y] of [
      [100, 100],
      [20, 100],
      [180, 100],
      [100, 155],
    ] as const)
      expect(at(x, y)).toEqual(ground)
  })

  it('draws quads and points', async () => {
    const { at } = await pixels(await drawGrounding(grey(), [quad, point]))
    expect(at(110, 20)).not.toEqual(ground)
    expect(at(60, 60)).not.toEqual(ground)
    expect(at(110, 60)).toEqual(ground)
    expect(at(20, 30)).not.toEqual(ground)
  })

  it('writes the label', async () => {
    const [with_, without] = await Promise.all(
      [box, { ...box, label: undefined }].map(async (item) => pixels(await drawGrounding(grey(), [item]))),
    )
    const area = (file: typeof with_) =>
      Array.from({ length: 12 }, (_, y) =>
        Array.from({ length: 30 }, (_, x) => file?.at(42 + x, 46 + y)),
      ).flat()
    expect(area(without).every((colour) => String(colour) === String(ground))).toBe(true)
    expect(area(with_).some((colour) => String(colour) !== String(ground))).toBe(true)
  })

  it('draws on the upright picture', async () => {
    const rotated = join(__dirname, '../../fixtures/images/exif-orientation-6.jpg')
    const { autoOrient } = await sharp(rotated).metadata()
    const drawn = await sharp(await drawGrounding(rotated, [])).metadata()
    expect({ width: drawn.width, height: drawn.height }).toEqual(autoOrient)
    expect(drawn.orientation).toBeUndefined()
  })

  it.each(['png', 'jpeg', 'webp'] as const)('makes %s', async (format) => {
    const file = await drawGrounding(grey(), [box], { format })
    expect(Buffer.isBuffer(file)).toBe(true)
    expect((await sharp(file).metadata()).format).toBe(format)
  })

  it('makes PNG unless told otherwise, and smaller files at a lower quality', async () => {
    expect((await sharp(await drawGrounding(grey(), [])).metadata()).format).toBe('png')
    const size = async (quality: number) =>
      (await drawGrounding(grey(), [box, quad], { format: 'jpeg', quality })).length
    expect(await size(20)).toBeLessThan(await size(95))
  })

  it('bears any label', async () => {
    const labels = [
      '</text><script>&',
      ']]>&amp;"\'',
      '公交车',
      '\u0000\u0008\ud800\ufffe',
      '  \n ',
      'x'.repeat(10_000),
    ]
    const file = await drawGrounding(
      grey(),
      labels.map((label) => ({ ...box, label })),
    )
    expect((await sharp(file).metadata()).width).toBe(200)
  })

  it.each([
    [[box], { format: 'gif' }, "`format` to be 'png', 'jpeg' or 'webp', got 'gif'"],
    [[box], { format: 'jpeg', quality: 0 }, '`quality`'],
    ['box', {}, '`items` to be an array'],
    [[box, { kind: 'box', box: { x1: 1, y1: 2, x2: 3 } }], {}, '`items[1]`'],
    [[{ kind: 'point', point: { x: NaN, y: 0 } }], {}, '`items[0]`'],
    [[{ kind: 'quad', quad: [] }], {}, '`items[0]`'],
    [[{ box: {} }], {}, '`items[0]`'],
    [[undefined], {}, '`items[0]`'],
  ])('refuses %j with %j', async (items, options, message) => {
    await expect(drawGrounding(grey(), items as Drawable[], options as never)).rejects.toMatchObject({
      name: 'InvalidArgumentError',
      message: expect.stringContaining(message),
    })
  })

  it('passes on what is wrong with the picture', async () => {
    await expect(drawGrounding('no-such-file.png', [box])).rejects.toMatchObject({ name: 'ImageError' })
    await expect(drawGrounding(grey(), [box], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})

describe('drawOverlay', () => {
  const size = { width: 200, height: 160 }
  const strokes = (svg: string) => [...svg.matchAll(/stroke="(hsl[^"]+)"/g)].map(([, colour]) => colour)
  const textOf = (label: string) => />([^<]*)<\/text>/.exec(drawOverlay([{ ...box, label }], size))?.[1]

  it('gives each label a colour of its own', () => {
    const labels = Array.from({ length: 100 }, (_, index) => `label ${index}`)
    const colours = strokes(
      drawOverlay(
        labels.map((label) => ({ ...box, label })),
        size,
      ),
    )
    expect(new Set(colours).size).toBe(100)
    const [first, second, third] = strokes(drawOverlay([box, { ...box, label: 'cat' }, box], size))
    expect([first === third, first === second]).toEqual([true, false])
  })

  it('escapes labels and drops what XML cannot hold', () => {
    expect(textOf('a<b>&"c"')).toBe('a&lt;b&gt;&amp;&quot;c&quot;')
    expect(textOf('a\u0000\u001b\n\tb\ud800\ufffe\u202ec')).toBe('a bc')
    expect(textOf('公交车 😀')).toBe('公交车 😀')
    expect(textOf(' \n')).toBeUndefined()
  })

  it('cuts long labels between characters', () => {
    expect(textOf('😀'.repeat(61))).toBe(`${'😀'.repeat(59)}…`)
    expect(textOf('😀'.repeat(60))).toBe('😀'.repeat(60))
  })

  it('draws thicker and writes larger on a larger picture', () => {
    const measure = (width: number, height: number) => {
      const svg = drawOverlay([box], { width, height })
      return [/font-size="([\d.]+)"/, /stroke-width="([\d.]+)"/].map((pattern) =>
        Number(pattern.exec(svg)?.[1]),
      )
    }
    const [small, large] = [measure(640, 480), measure(4000, 3000)]
    expect(large[0]).toBeGreaterThan(5 * (small[0] ?? NaN))
    expect(large[1]).toBeGreaterThan(5 * (small[1] ?? NaN))
  })

  it('writes into the picture where a shape lies at its edge', () => {
    const at = (x1: number, y1: number) => {
      const svg = drawOverlay([{ ...box, box: { x1, y1, x2: x1 + 40, y2: y1 + 40 } }], size)
      return /<text x="([\d.]+)" y="([\d.]+)"[^>]*?( text-anchor="end")?>/.exec(svg)
    }
    expect(Number(at(10, 100)?.[2])).toBeLessThan(100)
    expect(Number(at(10, 0)?.[2])).toBeGreaterThan(10)
    expect(at(10, 100)?.[3]).toBeUndefined()
    expect(at(159, 100)?.[3]).toBeDefined()
    expect(Number(at(159, 100)?.[1])).toBeLessThan(200)
  })
})
