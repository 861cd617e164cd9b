import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { imageLayout, smartResize, tokenCount } from '../../../lib/media/geometry'

interface Vector {
  readonly height: number
  readonly width: number
  readonly factor: number
  readonly minPixels: number
  readonly maxPixels: number
  readonly result?: readonly [number, number]
  readonly error?: string
}

const golden: { readonly vectors: readonly Vector[] } = JSON.parse(
  readFileSync(join(__dirname, '../../fixtures/smart_resize.json'), 'utf8'),
)

/** "height×width" → "height×width", or the error code. */
function resized(input: string, options: Parameters<typeof smartResize>[2]): string {
  const [height, width] = input.split('×').map(Number)
  try {
    const size = smartResize(height ?? 0, width ?? 0, options)
    return `${size.height}×${size.width}`
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('smartResize', () => {
  it('equals every recorded vector of transformers', () => {
    expect(golden.vectors.length).toBeGreaterThan(50)
    for (const vector of golden.vectors) {
      const expected = vector.result ? vector.result.join('×') : 'IMAGE_ASPECT_RATIO'
      expect({ ...vector, got: resized(`${vector.height}×${vector.width}`, vector) }).toEqual({
        ...vector,
        got: expected,
      })
    }
  })

  describe.each([
    ['Qwen2-VL checkpoints', { factor: 28, minPixels: 3136, maxPixels: 12_845_056 }, 0],
    ['class defaults', { factor: 28, minPixels: 3136, maxPixels: 1_003_520 }, 1],
    [
      'qwen-vl-utils, factor 28',
      { factor: 28, minPixels: 3136, maxPixels: 12_845_056, reference: 'qwen-vl-utils' },
      2,
    ],
    ['Qwen3-VL checkpoints', { factor: 32, minPixels: 65_536, maxPixels: 16_777_216 }, 3],
    [
      'qwen-vl-utils, factor 32',
      { factor: 32, minPixels: 4096, maxPixels: 16_777_216, reference: 'qwen-vl-utils' },
      4,
    ],
  ] as const)('with the limits of %s', (_, options, column) => {
    const error = 'IMAGE_ASPECT_RATIO'
    it.each([
      ['448×448', ['448×448', '448×448', '448×448', '448×448', '448×448']],
      ['42×70', ['56×56', '56×56', '56×56', '224×352', '64×96']],
      ['14×1400', ['28×560', '28×560', '28×1400', '32×2560', '32×1408']],
      ['1×200', ['28×812', '28×812', '28×196', '32×3648', '32×192']],
      ['10×2000', ['28×812', '28×812', '28×1988', '32×3648', '32×1984']],
      ['10×2001', [error, error, error, error, error]],
      ['10×10', ['56×56', '56×56', '56×56', '256×256', '64×64']],
      ['126×98', ['112×112', '112×112', '112×112', '320×256', '128×96']],
      ['294×518', ['280×504', '280×504', '280×504', '288×512', '288×512']],
      ['365×547', ['364×560', '364×560', '364×560', '352×544', '352×544']],
      ['768×1024', ['756×1036', '756×1036', '756×1036', '768×1024', '768×1024']],
      ['1080×1920', ['1092×1932', '728×1316', '1092×1932', '1088×1920', '1088×1920']],
      ['2160×3840', ['2156×3836', '728×1316', '2156×3836', '2176×3840', '2176×3840']],
      ['4000×6000', ['2912×4368', '812×1204', '2912×4368', '3328×4992', '3328×4992']],
      ['6000×6000', ['3584×3584', '980×980', '3584×3584', '4096×4096', '4096×4096']],
    ])('%s', (input, expected) => {
      expect(resized(input, options)).toBe(expected[column])
    })
  })

  it('keeps at least one factor when transformers shrinks, and says so when qwen-vl-utils loses a side', () => {
    const limits = { factor: 28, minPixels: 784, maxPixels: 6272 }
    expect(resized('15×1900', limits)).toBe('28×868')
    expect(resized('15×1900', { ...limits, reference: 'qwen-vl-utils' })).toBe('IMAGE_ASPECT_RATIO')
  })

  it('names sizes and fix when the picture is too long', () => {
    expect(() => smartResize(50, 20_000, { factor: 28, minPixels: 3136, maxPixels: 12_845_056 })).toThrow(
      expect.objectContaining({
        code: 'IMAGE_ASPECT_RATIO',
        message: expect.stringMatching(/20000×50.*400\.0 times.*Crop.*resizedHeight and resizedWidth/),
        details: { width: 20_000, height: 50, maxAspectRatio: 200 },
      }),
    )
  })

  it.each([
    ['height', [0, 10, {}]],
    ['width', [10, 1.5, {}]],
    ['factor', [10, 10, { factor: -28 }]],
    ['minPixels', [10, 10, { minPixels: 0 }]],
    ['maxPixels', [10, 10, { maxPixels: Number.NaN }]],
    ['maxPixels', [10, 10, { minPixels: 5000, maxPixels: 4999 }]],
  ] as const)('refuses an unfit %s', (argument, [height, width, options]) => {
    const limits = { factor: 28, minPixels: 3136, maxPixels: 12_845_056, ...options }
    expect(() => smartResize(height, width, limits)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', details: { argument } }),
    )
  })
})

describe('imageLayout', () => {
  const qwen2 = { patchSize: 14, mergeSize: 2, minPixels: 3136, maxPixels: 12_845_056 }

  it('tells processed size, grid of patches and tokens', () => {
    expect(imageLayout({ width: 1024, height: 768 }, qwen2)).toEqual({
      width: 1036,
      height: 756,
      grid: { t: 1, h: 54, w: 74 },
      tokens: 999,
    })
  })

  it('takes a wanted size instead of the original one, within the bounds of qwen-vl-utils', () => {
    const tight = { ...qwen2, maxPixels: 3136 }
    const of = (resizedHeight: number, resizedWidth: number) =>
      imageLayout({ width: 20_000, height: 50 }, { ...tight, resizedHeight, resizedWidth })
    expect(of(280, 420)).toMatchObject({ width: 420, height: 280, tokens: 150 })
    expect(of(70, 126)).toMatchObject({ width: 112, height: 56 })
    expect(of(14, 14)).toMatchObject({ width: 56, height: 56 })
    expect(of(10, 1900)).toMatchObject({ width: 1904, height: 28 })
    expect(of(6000, 6000)).toMatchObject({ width: 3584, height: 3584 })
  })

  it.each([
    ['resizedWidth', { resizedHeight: 280 }],
    ['resizedHeight', { resizedWidth: 280 }],
  ])('refuses a wanted size without %s', (argument, wanted) => {
    expect(() => imageLayout({ width: 100, height: 100 }, { ...qwen2, ...wanted })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', details: { argument } }),
    )
  })
})

it('tokenCount counts temporal patches too', () => {
  expect(tokenCount({ t: 3, h: 8, w: 6 }, 2)).toBe(36)
})
