/** Schemas: what is read of them, what the grammar gets, what is refused and how, what the check says. */
import { z } from 'zod'
import { QwenVLError } from '../../../lib/errors'
import { parameterKind } from '../../../lib/output/kinds'
import { readSchema } from '../../../lib/output/schema'

const Tree = z.object({
  name: z.string(),
  get children() {
    return z.array(Tree)
  },
})

describe('the grammar gets', () => {
  test.each([
    [
      'the shape of an object',
      z.object({ a: z.string(), b: z.int().min(1).max(9).optional() }),
      {
        type: 'object',
        properties: { a: { type: 'string' }, b: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['a'],
      },
    ],
    [
      'a tuple without what may follow',
      z.tuple([z.number(), z.int()]),
      {
        type: 'array',
        prefixItems: [{ type: 'number' }, { type: 'integer' }],
      },
    ],
    [
      'a recursive type',
      Tree,
      {
        $ref: '#/root',
        root: {
          type: 'object',
          properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: '#/root' } } },
          required: ['name', 'children'],
        },
      },
    ],
    [
      'patterns without shorthands',
      z.string().regex(/^\d{2}[\d\s]\w\/\.$/),
      {
        type: 'string',
        pattern: String.raw`^[0-9]{2}[0-9\t\n\r ][A-Za-z0-9_]/\.$`,
      },
    ],
    ['no length that it could not count', z.string().max(5000), { type: 'string' }],
    ['one that is joined with nothing', { allOf: [{ type: 'string' }] }, { type: 'string' }],
    [
      'no words for people',
      { title: 'T', description: 'D', type: 'object', 'x-order': 1 },
      { type: 'object' },
    ],
    ['values as they are', { enum: ['a', 1, null] }, { enum: ['a', 1, null] }],
  ])('%s', (_, schema, expected) => {
    expect(readSchema(schema, 'schema').forGrammar).toEqual(expected)
  })
})

describe('the model is shown', () => {
  test('a JSON schema as it is, and zod as JSON schema', () => {
    const given = { type: 'object', properties: { a: { type: 'string', description: 'an a' } } }
    expect(readSchema(given, 'schema').json).toBe(given)
    expect(readSchema(z.object({ a: z.string().describe('an a').default('x') }), 'schema').json).toEqual({
      type: 'object',
      properties: { a: { type: 'string', description: 'an a', default: 'x' } },
    })
  })
})

describe('a value', () => {
  test('is what zod makes of it', async () => {
    const schema = z.object({ n: z.string().transform(Number), m: z.string().default('x') })
    expect(await readSchema(schema, 'schema').check({ n: '12' })).toEqual({
      success: true,
      value: { n: 12, m: 'x' },
    })
  })

  test.each([
    ['beyond the grammar', z.object({ n: z.number().multipleOf(5) }), { n: 7 }, /^n: .*5/],
    ['of an async rule', z.string().refine(async (text) => text !== 'x', 'no x'), 'x', /^no x$/],
    ['of a JSON schema', { type: 'array', uniqueItems: true, items: { type: 'integer' } }, [1, 1], /.+/],
    [
      'of a recursive one',
      Tree,
      { name: 'a', children: [{ name: 1, children: [] }] },
      /^children\.0\.name: /,
    ],
  ])('%s is refused with its place', async (_, schema, value, problem) => {
    expect(await readSchema(schema, 'schema').check(value)).toEqual({
      success: false,
      problem: expect.stringMatching(problem) as string,
    })
  })
})

const deep = (levels: number): object =>
  levels === 0 ? { type: 'string' } : { type: 'array', items: deep(levels - 1) }
const longNames = Array.from({ length: 30 }).reduce<object>(
  (inner) => ({ type: 'object', properties: { ['是'.repeat(200)]: inner } }),
  {},
)
const circle: { type: string; items?: object } = { type: 'array' }
circle.items = circle

describe('refused, by place and reason:', () => {
  test.each([
    ['no schema', 'string', /`schema` to be a zod 4 type or a JSON Schema, got 'string'/],
    ['an array', [], /zod 4 type or a JSON Schema/],
    ['null', null, /zod 4 type or a JSON Schema/],
    ['what JSON has not', z.object({ at: z.date() }), /Date cannot be represented/],
    ['an unknown type', { type: 'foo' }, /foo/],
    [
      'no schema within',
      { type: 'object', properties: { a: 3 } },
      /`schema\.properties\.a` to be a JSON Schema/,
    ],
    ['no list', { anyOf: {} }, /`schema\.anyOf` to be an array/],
    ['a wrong count', { type: 'array', items: {}, minItems: -1 }, /`schema\.minItems`/],
    ['more items than a grammar takes', { type: 'array', items: {}, minItems: 1e6 }, /minItems.*above 2000/],
    ['a reference elsewhere', { $ref: 'https://example.com/x' }, /no reference within/],
    ['a reference to nothing', { $ref: '#/$defs/nothing' }, /not found/],
    ['conditions', { if: {}, then: {} }, /not supported/],
    ['a wrong pattern', { type: 'string', pattern: '(' }, /[Rr]egular expression/],
    [
      'alternatives beside fields',
      { type: 'object', properties: { a: {} }, anyOf: [{ required: ['a'] }] },
      /alternatives beside/,
    ],
    ['what cannot be joined', { allOf: [{ type: 'string' }, { maxLength: 3 }] }, /joins by `allOf`/],
    ['long names within long names', longNames, /more than 4000 characters on one way/],
    ['depth', deep(100), /deeper than 64/],
    ['a circle of objects', circle, /deeper than 64/],
    ['a name without end', { type: 'object', properties: { ['a'.repeat(300)]: {} } }, /more than 256/],
    [
      'size',
      {
        type: 'object',
        properties: Object.fromEntries(Array.from({ length: 10_001 }, (_, n) => [`p${n}`, {}])),
      },
      /more than 10000/,
    ],
  ])('%s', (_, schema, message) => {
    let error: unknown
    try {
      readSchema(schema, 'schema')
    } catch (caught) {
      error = caught
    }
    expect(QwenVLError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    })
  })
})

test.each([
  ['text', z.string()],
  ['text', z.enum(['a', 'b'])],
  ['text', z.literal('a')],
  ['json', z.int()],
  ['json', z.array(z.string())],
  ['json', z.union([z.boolean(), z.null()])],
  ['either', z.union([z.string(), z.number()])],
  ['either', z.string().nullable()],
  ['either', z.any()],
])('a parameter is %s', (kind, type) => {
  const { json } = readSchema(z.object({ p: type }), 'schema')
  expect(parameterKind(json, 'p')).toBe(kind)
  expect(parameterKind(json, 'other')).toBe('either')
  expect(parameterKind(undefined, 'p')).toBe('either')
})

test('a parameter behind references is of their type', () => {
  const json = {
    properties: { p: { $ref: '#/$defs/A' } },
    $defs: { A: { $ref: '#/$defs/B' }, B: { type: 'string' } },
  }
  expect(parameterKind(json, 'p')).toBe('text')
  const endless = { properties: { p: { $ref: '#/$defs/A' } }, $defs: { A: { $ref: '#/$defs/A' } } }
  expect(parameterKind(endless, 'p')).toBe('either')
})
