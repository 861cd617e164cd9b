/**
 * Answers equal the reference: Hugging Face transformers, float32, on tiny random checkpoints of each generation.
 * golden.json names the versions that made it; `tools/fixtures/README.md` tells how to make it again.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { QwenVL, image } from '../../lib'
import type { ContentPart, Message, OpenAITool } from '../../lib'
import { resizeBicubic } from '../../lib/engine/engine'
import { prepareImage } from '../../lib/media/image'
import { fixtureIds } from '../support/fixtures'
import { centred, cosine, firstLogits, largestDifference, relativeError } from '../support/numbers'

const heldOut = process.env.QWENVL_FIXTURES
const root = heldOut ?? join(__dirname, '..', 'fixtures')
/** Held-out fixtures may be of some generations only. */
const ids = heldOut ? fixtureIds.filter((id) => existsSync(join(root, id, 'golden.json'))) : fixtureIds

interface GoldenArray {
  readonly file: string
  readonly shape: readonly number[]
}
interface GoldenCase {
  readonly name: string
  readonly messages: ReadonlyArray<{ role: 'system' | 'user' | 'assistant'; content: string | GoldenPart[] }>
  readonly addVisionId: boolean
  readonly tools?: readonly OpenAITool[]
  readonly templateVariables?: Readonly<Record<string, unknown>>
  readonly minPixels?: number
  readonly maxPixels?: number
  readonly prompt: string
  readonly images: ReadonlyArray<{
    readonly file: string
    readonly width: number
    readonly height: number
    readonly grid: readonly [number, number, number]
    readonly tokens: number
    readonly resized: string
    readonly pixelValues?: GoldenArray & { readonly rows: readonly number[] }
    readonly embeddings: GoldenArray
  }>
  readonly inputIds: readonly number[]
  readonly positions: readonly [number[], number[], number[]]
  readonly ropeDelta: number
  readonly logits: GoldenArray
  readonly tokens: readonly number[]
}
type GoldenPart = { type: 'text'; text: string } | { type: 'image'; image: string }
interface Golden {
  readonly config: {
    readonly vocabSize: number
    readonly patchSize: number
    readonly imageMean: readonly number[]
    readonly imageStd: readonly number[]
  }
  readonly cases: readonly GoldenCase[]
}

/** Tolerances per precision of the files. F16 files round weights to 11 bits, so their numbers are near, not equal. */
const precisions = [
  { type: 'f32', embeddingCosine: 0.99999, embeddingError: 1e-3, logitCosine: 0.9999 },
  { type: 'f16', embeddingCosine: 0.999, embeddingError: undefined, logitCosine: 0.999 },
] as const

describe.each(ids)('%s', (generation) => {
  const folder = join(root, generation)
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden
  const array = ({ file }: GoldenArray) => {
    const bytes = readFileSync(join(folder, file))
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  }

  describe.each(precisions)('with $type files', (precision) => {
    let vl: QwenVL
    beforeAll(async () => {
      vl = await QwenVL.load({
        model: join(folder, `model-${precision.type}.gguf`),
        mmproj: join(folder, `mmproj-${precision.type}.gguf`),
        contextSize: 1024,
        threads: 1,
        flashAttention: 'off',
        cacheType: 'f32',
      })
    })
    afterAll(() => vl.dispose())

    describe.each(golden.cases)('$name', (expected) => {
      test('the prompt: text, ids, positions and rope delta are exact', async () => {
        const seen = await vl.inspect(messagesOf(expected), renderingOf(expected))
        expect(seen.text).toBe(expected.prompt)
        expect([...seen.tokens]).toEqual(expected.inputIds)
        expect([[...seen.positions.t], [...seen.positions.h], [...seen.positions.w]]).toEqual(
          expected.positions,
        )
        expect(seen.ropeDelta).toBe(expected.ropeDelta)
        expect(seen.images.map(({ processed, grid, tokens }) => ({ ...processed, grid, tokens }))).toEqual(
          expected.images.map(({ width, height, grid: [t, h, w], tokens }) => ({
            width,
            height,
            grid: { t, h, w },
            tokens,
          })),
        )
      })

      test('greedy tokens and the first logits', async () => {
        const options = {
          maxTokens: expected.tokens.length,
          temperature: 0,
          repetitionPenalty: 1,
          presencePenalty: 0,
          ignoreEos: true,
        }
        const answer = await vl.chat(messagesOf(expected), {
          ...options,
          ...renderingOf(expected),
          logprobs: golden.config.vocabSize,
        })
        expect(
          cosine(firstLogits(answer, golden.config.vocabSize), centred(array(expected.logits))),
        ).toBeGreaterThan(precision.logitCosine)
        expect([...answer.tokens]).toEqual(expected.tokens)
      })

      test('image embeddings', async () => {
        for (const [index, picture] of picturesOf(expected).entries()) {
          const reference = expected.images[index]
          if (!reference) throw new Error('golden data lack a picture')
          const { data, tokens, width } = await vl.embedImage(picture)
          const wanted = array(reference.embeddings)
          expect([tokens, width]).toEqual(reference.embeddings.shape)
          expect(cosine(data, wanted)).toBeGreaterThan(precision.embeddingCosine)
          if (precision.embeddingError)
            expect(relativeError(data, wanted)).toBeLessThan(precision.embeddingError)
        }
      })
    })
  })

  const withPictures = golden.cases.filter(({ images }) => images.length > 0)

  test.each(withPictures)(
    "$name: our pixels are the reference's, and so are their patches",
    async (expected) => {
      for (const reference of expected.images) {
        const { minPixels = 0, maxPixels = 0 } = expected
        const { patchSize } = golden.config
        const geometry = { patchSize, mergeSize: 2, minPixels, maxPixels }
        const { pixels } = await prepareImage(join(root, 'images', reference.file), geometry, resizeBicubic)
        const resized = await sharp(join(folder, reference.resized)).raw().toBuffer()
        expect(Buffer.compare(pixels, resized)).toBe(0)
        if (!reference.pixelValues) continue
        const patches = patchRows(pixels, reference, golden.config)
        const wanted = array(reference.pixelValues)
        const [, width = 0] = reference.pixelValues.shape
        reference.pixelValues.rows.forEach((row, i) => {
          expect(largestDifference(patches(row), wanted.subarray(i * width, (i + 1) * width))).toBeLessThan(
            1e-6,
          )
        })
      }
    },
  )
})

function messagesOf(expected: GoldenCase): Message[] {
  return expected.messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map((part) => partOf(part, expected)),
  }))
}

function renderingOf({ addVisionId, tools, templateVariables }: GoldenCase) {
  return { addVisionId, ...(tools && { tools }), ...(templateVariables && { templateVariables }) }
}

function picturesOf(expected: GoldenCase): ContentPart[] {
  return expected.messages
    .flatMap(({ content }) => (typeof content === 'string' ? [] : content))
    .filter(({ type }) => type === 'image')
    .map((part) => partOf(part, expected))
}

function partOf(part: GoldenPart, { minPixels, maxPixels }: GoldenCase): ContentPart {
  if (part.type === 'text') return part
  return image(join(root, 'images', part.image), {
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
  })
}

/** The reference's patch order: 2×2 blocks row by row; a row holds channel, time (the picture twice), y, x. */
function patchRows(
  pixels: Uint8Array,
  { width, grid: [, , columns] }: GoldenCase['images'][number],
  { patchSize, imageMean, imageStd }: Golden['config'],
): (row: number) => Float32Array {
  return (row) => {
    const block = Math.floor(row / 4)
    const blocksPerLine = columns / 2
    const y0 = (Math.floor(block / blocksPerLine) * 2 + Math.floor((row % 4) / 2)) * patchSize
    const x0 = ((block % blocksPerLine) * 2 + (row % 2)) * patchSize
    const values: number[] = []
    for (let channel = 0; channel < 3; channel++) {
      for (let time = 0; time < 2; time++) {
        for (let y = y0; y < y0 + patchSize; y++) {
          for (let x = x0; x < x0 + patchSize; x++) {
            const value = (pixels[(y * width + x) * 3 + channel] ?? NaN) / 255
            values.push((value - (imageMean[channel] ?? NaN)) / (imageStd[channel] ?? NaN))
          }
        }
      }
    }
    return Float32Array.from(values)
  }
}
