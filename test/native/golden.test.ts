/**
 * Answers equal the reference: Hugging Face transformers, float32, on tiny random checkpoints of each generation.
 * golden.json names the versions that made it; `tools/fixtures/README.md` tells how to make it again.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { QwenVL } from '../../lib'
import type { ContentPart, Message, OpenAITool } from '../../lib'
import { resizeBicubic } from '../../lib/engine/engine'
import { generations } from '../../lib/generations'
import { prepareImage } from '../../lib/media/image'
import { goldenIds, goldenRoot as root } from '../support/fixtures'
import { centred, cosine, firstLogits, largestDifference, relativeError } from '../support/numbers'

interface GoldenArray {
  readonly file: string
  readonly shape: readonly number[]
}
interface GoldenImage {
  readonly file: string
  readonly width: number
  readonly height: number
  readonly grid: readonly [number, number, number]
  readonly tokens: number
  /** Of size and pixels, as `prepareImage` has it. */
  readonly hash: string
}
interface GoldenCase {
  readonly name: string
  readonly messages: ReadonlyArray<{ role: 'system' | 'user' | 'assistant'; content: string | GoldenPart[] }>
  readonly addVisionId?: boolean
  readonly tools?: readonly OpenAITool[]
  readonly templateVariables?: Readonly<Record<string, unknown>>
  readonly minPixels?: number
  readonly maxPixels?: number
  readonly prompt: string
  readonly images: ReadonlyArray<
    GoldenImage & {
      /** The pixels themselves, where another decoder may be a level off. */
      readonly resized?: string
      readonly pixelValues?: GoldenArray & { readonly rows: readonly number[] }
      readonly embeddings: GoldenArray
    }
  >
  readonly inputIds: readonly number[]
  readonly positions: readonly [number[], number[], number[]]
  readonly ropeDelta: number
  readonly logits: GoldenArray
  readonly tokens: readonly number[]
  /** So many of them lead by so much that rounding to F16 cannot change them. */
  readonly f16Tokens: number
}
interface Digest {
  readonly count: number
  readonly sha256: string
}
/** Nothing of it is encoded: 16384 tokens are too much for a test. */
type LargeCase = Pick<GoldenCase, 'name' | 'messages' | 'prompt' | 'ropeDelta'> & {
  readonly images: readonly [GoldenImage]
  readonly inputIds: Digest
  readonly positions: Digest
}
type GoldenPart =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'image'
      readonly image: string
      readonly resized_height?: number
      readonly resized_width?: number
    }
interface Golden {
  readonly config: {
    readonly vocabSize: number
    readonly patchSize: number
    readonly imageMean: readonly number[]
    readonly imageStd: readonly number[]
  }
  readonly cases: readonly GoldenCase[]
  readonly large: readonly LargeCase[]
}

/** Tolerances per precision of the files. F16 files round weights to 11 bits, so their numbers are near, not equal. */
const precisions = [
  { type: 'f32', embeddingCosine: 0.99999, embeddingError: 1e-3, logitCosine: 0.9999 },
  { type: 'f16', embeddingCosine: 0.999, embeddingError: undefined, logitCosine: 0.999 },
] as const

describe.each(goldenIds)('%s', (generation) => {
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
        encoderMemory: Number.MAX_SAFE_INTEGER,
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
        expect(seen.images).toMatchObject(expected.images.map(sizesOf))
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
        const count = precision.type === 'f32' ? expected.tokens.length : expected.f16Tokens
        expect([...answer.tokens].slice(0, count)).toEqual(expected.tokens.slice(0, count))
      })

      test('image embeddings', async () => {
        for (const [index, picture] of picturesOf(expected).entries()) {
          const reference = imageAt(expected, index)
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
  const rules = generations.find(({ id }) => id === generation)
  const pixelsOf = (
    part: GoldenPart,
    { minPixels, maxPixels }: Pick<GoldenCase, 'minPixels' | 'maxPixels'>,
  ) => {
    if (part.type !== 'image' || !rules) throw new Error('golden data lack a picture')
    const geometry = {
      ...rules,
      ...(minPixels !== undefined && { minPixels }),
      ...(maxPixels !== undefined && { maxPixels }),
      resizedHeight: part.resized_height,
      resizedWidth: part.resized_width,
    }
    return prepareImage(join(root, 'images', part.image), geometry, resizeBicubic)
  }

  test.each(withPictures)(
    "$name: our pixels are the reference's, and so are their patches",
    async (expected) => {
      for (const [index, part] of partsOf(expected).entries()) {
        const reference = imageAt(expected, index)
        const { pixels, hash } = await pixelsOf(part, expected)
        if (reference.resized) await expectNearlyEqual(pixels, join(folder, reference.resized))
        else expect(hash).toBe(reference.hash)
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

  test.each(golden.large)('$name: sizes, prompt, positions and pixels', async (expected) => {
    await using vl = await QwenVL.load({
      model: join(folder, 'model-f32.gguf'),
      mmproj: join(folder, 'mmproj-f32.gguf'),
      contextSize: 64,
      encoderMemory: Number.MAX_SAFE_INTEGER,
    })
    const [reference] = expected.images
    const seen = await vl.inspect(messagesOf(expected))
    const { t, h, w } = seen.positions
    expect(seen.text).toBe(expected.prompt)
    expect(seen.images).toMatchObject([sizesOf(reference)])
    expect(digest(seen.tokens)).toEqual(expected.inputIds)
    expect(digest(t, h, w)).toEqual(expected.positions)
    expect(seen.ropeDelta).toBe(expected.ropeDelta)
    const [part] = partsOf(expected)
    expect(part && (await pixelsOf(part, {})).hash).toBe(reference.hash)
  })
})

function sizesOf({ width, height, grid: [t, h, w], tokens }: GoldenImage) {
  return { processed: { width, height }, grid: { t, h, w }, tokens }
}

function imageAt({ images }: GoldenCase, index: number): GoldenCase['images'][number] {
  const reference = images[index]
  if (!reference) throw new Error('golden data lack a picture')
  return reference
}

/** Other decoders: within one level for 99.9 % of values. */
async function expectNearlyEqual(pixels: Uint8Array, file: string): Promise<void> {
  const wanted = await sharp(file).raw().toBuffer()
  expect(pixels.length).toBe(wanted.length)
  const apart = pixels.reduce(
    (count, value, i) => count + Number(Math.abs(value - (wanted[i] ?? NaN)) > 1),
    0,
  )
  expect(apart / pixels.length).toBeLessThanOrEqual(0.001)
}

function digest(...rows: readonly Int32Array[]): Digest {
  const hash = createHash('sha256')
  for (const row of rows) hash.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength))
  return { count: rows.reduce((sum, { length }) => sum + length, 0), sha256: hash.digest('hex') }
}

function messagesOf(expected: Pick<GoldenCase, 'messages' | 'minPixels' | 'maxPixels'>): Message[] {
  return expected.messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map((part) => partOf(part, expected)),
  }))
}

function renderingOf({ addVisionId, tools, templateVariables }: GoldenCase) {
  return {
    ...(addVisionId !== undefined && { addVisionId }),
    ...(tools && { tools }),
    ...(templateVariables && { templateVariables }),
  }
}

function partsOf({ messages }: Pick<GoldenCase, 'messages'>): GoldenPart[] {
  return messages
    .flatMap(({ content }) => (typeof content === 'string' ? [] : content))
    .filter(({ type }) => type === 'image')
}

function picturesOf(expected: GoldenCase): ContentPart[] {
  return partsOf(expected).map((part) => partOf(part, expected))
}

/** As the Qwen READMEs write it. */
function partOf(
  part: GoldenPart,
  { minPixels, maxPixels }: Pick<GoldenCase, 'minPixels' | 'maxPixels'>,
): ContentPart {
  if (part.type === 'text') return part
  return {
    ...part,
    image: join(root, 'images', part.image),
    ...(minPixels !== undefined && { min_pixels: minPixels }),
    ...(maxPixels !== undefined && { max_pixels: maxPixels }),
  }
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
