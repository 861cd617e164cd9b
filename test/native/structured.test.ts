/** Answers of a schema: whatever a model of random weights wants to say, the value has the type that was asked for. */
import { z } from 'zod'
import { OutputError, image, user } from '../../lib'
import type { OutputSchema, QwenVL, StreamPart } from '../../lib'
import { schemaToGrammar } from '../../lib/engine/engine'
import { readSchema } from '../../lib/output/schema'
import { picture } from '../support/fixtures'
import { collect, loadFixture, textOf } from '../support/model'
import { randomOf } from '../support/random'

const scene = image(picture('scene.png'), { maxPixels: 28 * 28 * 16 })
const loud = { temperature: 1.5, topK: 0, topP: 1, maxTokens: 500 }
const Found = z.object({
  label: z.enum(['dog', '一只"猫"']),
  box: z.tuple([z.int().min(0).max(999), z.int().min(-5).max(999)]),
  sure: z.boolean(),
  note: z.null().optional(),
})

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture({ id: 'qwen3vl', contextSize: 1024 })
})
afterAll(() => vl.dispose())

test('a picture becomes a typed value', async () => {
  for (const seed of [1, 2, 3]) {
    const { value, text, finishReason } = await vl.chat([user(scene, 'Find it.')], {
      ...loud,
      seed,
      schema: Found,
    })
    const [x, y]: [number, number] = value.box
    expect([x, y].every(Number.isInteger)).toBe(true)
    expect(Found.parse(value)).toEqual(value)
    expect(JSON.parse(text)).toEqual(value)
    expect(finishReason).toBe('stop')
  }
})

test('it is streamed: every part is a beginning of the whole', async () => {
  const stream = vl.stream([user(scene, 'Find it.')], { ...loud, seed: 4, schema: Found })
  const parts = await collect(stream)
  const values = parts.flatMap((part) => (part.type === 'object' ? [part.value] : []))
  const { value, text } = await stream.result
  expect(values.length).toBeGreaterThan(5)
  expect(values[0]).toEqual({})
  expect(values.at(-1)).toEqual(value)
  expect(textOf(parts)).toBe(text)
  const sizes = values.map((part) => JSON.stringify(part).length)
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b))
})

test.each<[string, OutputSchema, (value: unknown) => void]>([
  [
    'a JSON schema',
    { type: 'array', items: { enum: [1, 2, 'x'] }, minItems: 2, maxItems: 3 },
    (value) => {
      expect([2, 3]).toContain((value as unknown[]).length)
    },
  ],
  ['a word', z.literal('yes'), (value) => expect(value).toBe('yes')],
  ['what zod makes of it', z.enum(['1', '2']).transform(Number), (value) => expect([1, 2]).toContain(value)],
  ['a date', z.iso.date(), (value) => expect(value).toMatch(/^\d{4}-\d\d-\d\d$/)],
  ['a pattern', z.string().regex(/^[A-Z]{2}-\d{3}$/), (value) => expect(value).toMatch(/^[A-Z]{2}-\d{3}$/)],
  [
    'any of several',
    z.union([z.boolean(), z.null()]),
    (value) => expect([true, false, null]).toContain(value),
  ],
])('%s', async (_, schema, check) => {
  check((await vl.chat('x', { ...loud, seed: 5, schema })).value)
})

test('a recursive type', async () => {
  const Node = z.object({
    n: z.enum(['a', 'b']),
    get next() {
      return z.union([Node, z.null()])
    },
  })
  for (const seed of [1, 2, 3]) {
    const { value } = await vl.chat('x', { ...loud, seed, schema: Node })
    expect(Node.parse(value)).toEqual(value)
  }
})

test('the same seed, the same value; several requests at once', async () => {
  const ask = () => vl.chat('x', { ...loud, seed: 7, schema: Found })
  const [first, second] = await Promise.all([ask(), ask()])
  expect(first.value).toEqual(second.value)
})

test('an answer that is cut off is an error that has its text', async () => {
  const request = vl.chat('x', { ...loud, seed: 1, maxTokens: 4, schema: Found })
  await expect(request).rejects.toMatchObject({
    name: 'OutputError',
    code: 'OUTPUT_TRUNCATED',
    details: { text: expect.stringMatching(/^\{/) as string, result: { finishReason: 'length' } },
  })
})

test('what a grammar cannot say is checked, and told by place', async () => {
  const schema = z.object({ n: z.int().min(1).max(9).multipleOf(100) })
  const error: unknown = await vl.chat('x', { ...loud, schema }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(OutputError)
  expect(error).toMatchObject({
    code: 'OUTPUT_INVALID',
    message: expect.stringMatching(/n: .*100/) as string,
    details: { text: expect.stringMatching(/^\{/) as string },
  })
})

test('a stop text that ends the JSON early is told', async () => {
  await expect(vl.chat('x', { ...loud, stop: '"', schema: Found })).rejects.toMatchObject({
    code: 'OUTPUT_INVALID',
  })
})

test('whoever leaves early gets no value and no error', async () => {
  const stream = vl.stream('x', { ...loud, schema: Found })
  for await (const part of stream as AsyncIterable<StreamPart>) if (part.type === 'object') break
  expect(await stream.result).toMatchObject({ finishReason: 'cancelled', value: undefined })
})

describe('refused before anything runs, and the next request works:', () => {
  test.each<[string, unknown, RegExp]>([
    ['no schema', 7, /`schema`/],
    ['what JSON has not', z.date(), /Date/],
    ['depth', Array.from({ length: 80 }).reduce<object>((items) => ({ type: 'array', items }), {}), /deeper/],
    ['a circle of references', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, /./],
    ['endless items', { type: 'array', items: {}, minItems: 5000 }, /2000/],
  ])('%s', async (_, schema, message) => {
    await expect(vl.chat('x', { schema: schema as OutputSchema, maxTokens: 5 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    })
    expect((await vl.chat('x', { schema: z.literal('a') })).value).toBe('a')
  })

  test('beside a grammar', async () => {
    const options = { schema: z.string(), grammar: 'root ::= "a"' }
    await expect(vl.chat('x', options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

test('whatever the schema, it becomes a grammar or a typed error', async () => {
  const { below } = randomOf(17)
  const pick = (...items: unknown[]) => items[below(items.length)]
  const anySchema = (depth: number): unknown => {
    const inner = () => (depth > 0 ? anySchema(depth - 1) : pick({}, true, { type: 'string' }))
    const keywords: Array<[string, () => unknown]> = [
      [
        'type',
        () => pick('object', 'array', 'string', 'integer', 'number', 'null', ['string', 'null'], [], 7),
      ],
      ['properties', () => ({ a: inner(), 'b c': inner(), '"\\n': inner(), '': inner() })],
      ['required', () => pick(['a'], ['b c', 'zzz'], 'a', [7])],
      ['items', () => pick(inner(), [inner()], false)],
      ['prefixItems', () => [inner(), inner()]],
      ['additionalProperties', () => pick(inner(), false, 7)],
      ['anyOf', () => pick([inner(), inner()], [], {})],
      ['allOf', () => [inner()]],
      ['enum', () => pick(['a', 1, null, '"', '\\'], [])],
      ['const', () => pick('x', { a: 1 }, -0.5)],
      [
        'pattern',
        () =>
          pick(
            '^a+$',
            '^(a|b){2,}[^c-d]$',
            '^[',
            '(?=x)',
            '^\\\\p{L}$',
            '^a{99999}$',
            `^${'('.repeat(500)}$`,
          ),
      ],
      ['format', () => pick('date', 'date-time', 'uuid', 'email', 'nonsense', 7)],
      ['minimum', () => pick(-5, 0, 1e300, -1e300, 2.5, '3')],
      ['maximum', () => pick(9, -100, 1e15, 7.5)],
      ['minItems', () => pick(0, 3, 1999, -1, 1.5)],
      ['maxLength', () => pick(0, 7, 1e9)],
      ['$ref', () => pick('#', '#/properties/a', '#/$defs/x', 'http://x', 7)],
      ['$defs', () => ({ x: inner() })],
    ]
    const some = Array.from({ length: 1 + below(4) }, () => keywords[below(keywords.length)])
    return Object.fromEntries(some.flatMap((keyword) => (keyword ? [[keyword[0], keyword[1]()]] : [])))
  }
  const outcomes = { grammar: 0, refused: 0 }
  for (let n = 0; n < 400; n++) {
    try {
      const grammar = await schemaToGrammar(JSON.stringify(readSchema(anySchema(3), 'schema').forGrammar))
      expect(grammar).toMatch(/^root ::= /m)
      outcomes.grammar++
    } catch (error) {
      expect(error).toMatchObject({ name: 'InvalidArgumentError', code: 'INVALID_ARGUMENT' })
      outcomes.refused++
    }
  }
  expect(outcomes.grammar).toBeGreaterThan(20)
  expect(outcomes.refused).toBeGreaterThan(20)
})
