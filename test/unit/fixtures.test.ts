import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Template } from '@huggingface/jinja' with { 'resolution-mode': 'import' }
import sharp from 'sharp'
import { fixtureIds } from '../support/fixtures'

// Typed as an ES module only, but ships CommonJS too.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const jinja = require('@huggingface/jinja') as { Template: typeof Template }

const fixtures = join(__dirname, '../fixtures')

interface Stored {
  readonly file: string
  readonly dtype: 'float32' | 'uint8'
  readonly shape: readonly number[]
}

interface Golden {
  readonly config: { patchSize: number; hiddenSize: number; vocabSize: number; deepstackLayers: number[] }
  readonly cases: readonly {
    readonly name: string
    readonly messages: readonly Record<string, unknown>[]
    readonly addVisionId: boolean
    readonly prompt: string
    readonly inputIds: readonly number[]
    readonly positions: readonly (readonly number[])[]
    readonly ropeDelta: number
    readonly tokens: readonly number[]
    readonly margin: number
    readonly f16Tokens: number
    readonly f16Rounding: number
    readonly logits: Stored
    readonly images: readonly {
      readonly width: number
      readonly height: number
      readonly grid: readonly [number, number, number]
      readonly tokens: number
      /** Where another decoder may give other pixels. */
      readonly resized?: string
      /** Of few pictures: patches follow from pixels. */
      readonly pixelValues?: Stored & { readonly rows: readonly number[] }
      readonly embeddings: Stored
    }[]
  }[]
  readonly large: readonly {
    readonly name: string
    readonly images: readonly { readonly tokens: number }[]
  }[]
}

interface Rendered {
  readonly template: string
  readonly cases: readonly {
    readonly name: string
    readonly messages: readonly unknown[]
    readonly tools?: readonly unknown[]
    readonly variables?: Readonly<Record<string, unknown>>
    readonly addVisionId?: boolean
    readonly addGenerationPrompt?: boolean
    readonly rendered: string
  }[]
}

function read(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(fixtures, ...path), 'utf8'))
}

const { special } = read('tokenizer.json') as { special: Record<string, number> }
const templates = read('templates.json') as Record<string, Rendered>

const ownCases: Record<string, string[]> = {
  'qwen3.5': ['no-thinking'],
  'qwen3.5moe': ['no-thinking'],
}

describe.each(fixtureIds)('golden data of %s', (generation) => {
  const { config, cases, large } = read(generation, 'golden.json') as Golden

  /** The float32 values of an array whose file has exactly the stated shape. */
  function load({ file, shape }: Stored): Float32Array {
    const bytes = readFileSync(join(fixtures, generation, file))
    expect(bytes.length).toBe(shape.reduce((product, side) => product * side, 4))
    return new Float32Array(new Uint8Array(bytes).buffer)
  }

  it('holds text, picture and multi-turn cases', () => {
    expect(cases.map(({ name }) => name)).toEqual([
      'text',
      'text-turns',
      'text-stop',
      'system',
      'tiny',
      'odd',
      'wide',
      'tall',
      'scene',
      'square',
      'at-maximum',
      'at-default-minimum',
      'wanted-size',
      'rgba',
      'rotated-jpeg',
      'three-pictures',
      'second-turn',
      'tools',
      ...(ownCases[generation] ?? []),
    ])
  })

  it('reaches the largest number of tokens, and is held to it', () => {
    expect(large.map(({ name, images }) => [name, images.map(({ tokens }) => tokens > 16_000)])).toEqual([
      ['at-default-maximum', [true]],
      ['over-default-maximum', [true]],
    ])
    expect(large[0]?.images).toMatchObject([{ tokens: 16_384 }])
  })

  describe.each(cases)('case $name', (golden) => {
    it('has as many image tokens as the pictures have merged patches', () => {
      const pads = golden.inputIds.filter((id) => id === special['<|image_pad|>'])
      expect(pads).toHaveLength(golden.images.reduce((sum, { tokens }) => sum + tokens, 0))
    })

    it('gives every input token three positions, and the following text a delta', () => {
      expect(golden.positions.map((row) => row.length)).toEqual(Array(3).fill(golden.inputIds.length))
      expect(golden.ropeDelta).toBe(Math.max(...golden.positions.flat()) + 1 - golden.inputIds.length)
    })

    it('has logits whose largest is the first token', () => {
      const logits = load(golden.logits)
      expect(logits).toHaveLength(config.vocabSize)
      expect(logits.indexOf(Math.max(...logits))).toBe(golden.tokens[0])
    })

    it('has 64 tokens far from any tie, by the precision of F32', () => {
      expect(golden.tokens).toHaveLength(64)
      expect(golden.f16Tokens).toBe(32)
      expect(golden.margin).toBeGreaterThan(0.05)
      expect(golden.tokens.includes(special['<|im_end|>'] ?? -1)).toBe(golden.name === 'text-stop')
    })

    it('has patches and embeddings of the size of every picture', async () => {
      for (const picture of golden.images) {
        const [frames, rows, columns] = picture.grid
        expect([columns * config.patchSize, rows * config.patchSize]).toEqual([picture.width, picture.height])
        if (picture.resized) {
          const { width, height } = await sharp(join(fixtures, generation, picture.resized)).metadata()
          expect([width, height]).toEqual([picture.width, picture.height])
        }
        expect(picture.tokens).toBe((frames * rows * columns) / 4)
        const { pixelValues } = picture
        if (pixelValues)
          expect(pixelValues.shape).toEqual([pixelValues.rows.length, 3 * 2 * config.patchSize ** 2])
        expect(picture.embeddings.shape).toEqual([
          picture.tokens,
          config.hiddenSize * (1 + config.deepstackLayers.length),
        ])
        for (const stored of [pixelValues, picture.embeddings]) {
          if (stored) expect(load(stored).every(Number.isFinite)).toBe(true)
        }
      }
    })
  })
})

describe.each(Object.entries(templates))('chat template of %s', (_generation, { template, cases }) => {
  it.each(cases)('renders $name as transformers does', (conversation) => {
    const {
      messages,
      tools,
      variables,
      addVisionId = false,
      addGenerationPrompt = true,
      rendered,
    } = conversation
    const options = {
      ...variables,
      tools,
      add_vision_id: addVisionId,
      add_generation_prompt: addGenerationPrompt,
    }
    expect(new jinja.Template(template).render({ messages, ...options })).toBe(rendered)
  })
})

it('keeps the fixtures small enough to commit', () => {
  const files = readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(fixtures, name),
  )
  const bytes = files
    .map((file) => statSync(file))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0)
  expect(bytes).toBeLessThan(14 * 1024 * 1024)
})
