/** What a caller wants JSON to be, as zod or JSON Schema: read once, for the grammar and for the check of the value. */
import { z } from 'zod'
import { InvalidArgumentError, invalidArgument } from '../errors'

/** A JSON Schema as an object; references only within it. */
export type JsonSchema = { readonly [keyword: string]: unknown }

/** A zod 4 type or a JSON Schema. */
export type OutputSchema = z.core.$ZodType | JsonSchema

/** The type of the values that a schema lets through; of a JSON Schema unknown, without one undefined. */
export type ValueOf<S> =
  S extends z.core.$ZodType<infer Output> ? Output : S extends undefined ? undefined : unknown

/** A schema that was read. */
export interface ReadSchema {
  /** As JSON, to be shown to a model. */
  readonly json: JsonSchema
  /** What the grammar's converter gets: only what it knows, spelled as it wants. */
  readonly forGrammar: JsonSchema
  /** The value that a schema makes of a JSON value, or what is wrong with it. */
  check(value: unknown): Promise<Checked>
}

export type Checked =
  { readonly success: true; readonly value: unknown } | { readonly success: false; readonly problem: string }

const mostDepth = 64
const mostNodes = 10_000
const longestName = 256
/** Rules of the grammar are named after the way to them. */
const longestPath = 4000
/** More repetitions than this a grammar does not take. */
const mostRepetitions = 2000

/**
 * @param path How errors name it.
 * @throws InvalidArgumentError for what is no schema, or none that an answer can be held to; the message names the place
 */
export function readSchema(schema: unknown, path: string): ReadSchema {
  const known = isObject(schema) ? readSchemas.get(schema) : undefined
  if (known) return known
  const read = isZod(schema) ? ofZod(schema, path) : ofJson(schema, path)
  if (isObject(schema)) readSchemas.set(schema, read)
  return read
}

/** Schemas are not changed once they are used. */
const readSchemas = new WeakMap<object, ReadSchema>()

function ofZod(schema: z.core.$ZodType, path: string): ReadSchema {
  let json: JsonSchema
  try {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
    json = rest
  } catch (cause) {
    throw refused(path, `cannot be written as a JSON Schema (${messageOf(cause)})`, cause)
  }
  return { json, forGrammar: grammarSchema(json, path), check: (value) => check(schema, value) }
}

function ofJson(schema: unknown, path: string): ReadSchema {
  if (!isObject(schema) || Array.isArray(schema))
    throw invalidArgument(path, 'a zod 4 type or a JSON Schema', schema)
  const forGrammar = grammarSchema(schema as JsonSchema, path) // before zod, which recurses without a bound
  let type: z.core.$ZodType
  try {
    type = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
  } catch (cause) {
    throw refused(path, `is not supported (${messageOf(cause)})`, cause)
  }
  return { json: schema as JsonSchema, forGrammar, check: (value) => check(type, value) }
}

async function check(type: z.core.$ZodType, value: unknown): Promise<Checked> {
  const result = await z.safeParseAsync(type, value)
  if (result.success) return { success: true, value: result.data }
  const problem = result.error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ')
  return { success: false, problem }
}

const copied = ['const', 'enum', 'type', 'required', 'format'] as const
const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'] as const
const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'] as const
const maps = ['properties', '$defs', 'definitions'] as const
const singles = ['items', 'additionalProperties'] as const
const counts = ['minItems', 'maxItems', 'minLength', 'maxLength'] as const

/**
 * The part of a schema that the converter knows, in its spelling. What it would get wrong is refused; what it would
 * overlook (`multipleOf`, `uniqueItems`, bounds of numbers that are not whole …) is left to the check of the value.
 */
function grammarSchema(schema: JsonSchema, path: string): JsonSchema {
  let nodes = 0
  const visit = (node: unknown, at: string, depth: number): JsonSchema => {
    if (node === true) return {}
    if (!isObject(node) || Array.isArray(node)) throw invalidArgument(at, 'a JSON Schema', node)
    if (depth > mostDepth) throw refused(path, `is nested deeper than ${mostDepth} levels`)
    if (at.length > longestPath)
      throw refused(path, `has names of more than ${longestPath} characters on one way`)
    if (++nodes > mostNodes) throw refused(path, `has more than ${mostNodes} parts`)
    const from = node as JsonSchema
    const inner = (child: unknown, key: string) => visit(child, `${at}.${key}`, depth + 1)
    const to: Record<string, unknown> = {}
    if (from.$ref !== undefined) to.$ref = reference(from.$ref, `${at}.$ref`)
    for (const key of copied) if (from[key] !== undefined) to[key] = from[key]
    for (const key of bounds) Object.assign(to, bound(from[key], key, `${at}.${key}`))
    for (const key of counts) Object.assign(to, count(from[key], key, `${at}.${key}`))
    for (const key of lists) {
      if (from[key] === undefined) continue
      if (!Array.isArray(from[key])) throw invalidArgument(`${at}.${key}`, 'an array of schemas', from[key])
      to[key] = from[key].map((child: unknown, index) => inner(child, `${key}[${index}]`))
    }
    for (const key of maps) {
      if (from[key] === undefined) continue
      if (!isObject(from[key])) throw invalidArgument(`${at}.${key}`, 'an object of schemas', from[key])
      to[key] = Object.fromEntries(
        Object.entries(from[key]).map(([name, child]) => [
          checkName(name, `${at}.${key}`),
          inner(child, `${key}.${name}`),
        ]),
      )
    }
    for (const key of singles) {
      if (from[key] === undefined) continue
      to[key] = typeof from[key] === 'boolean' ? from[key] : inner(from[key], key)
    }
    if (typeof from.pattern === 'string') to.pattern = withoutShorthands(from.pattern)
    return checkCombination(to, at)
  }
  const root = visit(schema, path, 0)
  return JSON.stringify(root).includes('"$ref"') ? { $ref: '#/root', root } : root
}

/** Keywords that the converter would not combine. */
function checkCombination(node: Record<string, unknown>, at: string): JsonSchema {
  const alternatives = node.anyOf ?? node.oneOf
  if (alternatives !== undefined && (node.properties !== undefined || node.allOf !== undefined)) {
    throw refused(at, 'has alternatives beside `properties` or `allOf`: move these into each alternative')
  }
  const { allOf, ...rest } = node
  if (Array.isArray(allOf)) {
    if (node.properties !== undefined)
      throw refused(at, 'has `allOf` beside `properties`: add these to `allOf`')
    const [only] = allOf as JsonSchema[]
    if (allOf.length === 1) return { ...rest, ...only }
    const isPart = (part: JsonSchema) => part.$ref ?? part.properties ?? part.anyOf ?? part.oneOf ?? part.enum
    if (!allOf.every((part: JsonSchema) => isPart(part) !== undefined))
      throw refused(at, 'joins by `allOf` what are no objects')
  }
  // A tuple: what may follow its items is left out.
  const { items, minItems: _, maxItems: __, ...fixed } = node
  if (node.prefixItems !== undefined) return fixed
  return typeof items === 'boolean' ? { ...node, items: {} } : node
}

/** The schema becomes a part of a document, whose root the converter cannot refer to. */
function reference(ref: unknown, at: string): string {
  if (typeof ref !== 'string' || !/^#(\/|$)/.test(ref))
    throw refused(at, "is no reference within the schema ('#/…')")
  if (/[~%]/.test(ref)) throw refused(at, 'has an escaped character: give the definition a plain name')
  return `#/root${ref.slice(1)}`
}

/** Bounds that say no more than that a number is exact are left out: their grammar is long. */
function bound(value: unknown, key: (typeof bounds)[number], at: string): Record<string, number> {
  if (value === undefined) return {}
  if (typeof value !== 'number' || Number.isNaN(value)) throw invalidArgument(at, 'a number', value)
  return Math.abs(value) < Number.MAX_SAFE_INTEGER ? { [key]: value } : {}
}

function count(value: unknown, key: (typeof counts)[number], at: string): Record<string, number> {
  if (value === undefined) return {}
  if (!Number.isInteger(value) || Number(value) < 0) throw invalidArgument(at, 'a whole number from 0', value)
  if (Number(value) <= mostRepetitions) return { [key]: Number(value) }
  if (key.startsWith('max')) return {} // left to the check
  throw refused(at, `is above ${mostRepetitions}`)
}

function checkName(name: string, at: string): string {
  if (name.length <= longestName) return name
  throw refused(at, `has a name of more than ${longestName} characters`)
}

/** `\d`, `\w`, `\s` and `\/` as the converter knows them. */
function withoutShorthands(pattern: string): string {
  const sets: Readonly<Record<string, string>> = { d: '0-9', w: 'A-Za-z0-9_', s: String.raw`\t\n\r ` }
  let inClass = false
  return pattern.replace(/\\(.)|[[\]]/gs, (all: string, escaped?: string) => {
    if (escaped === undefined) {
      inClass = all === '['
      return all
    }
    if (escaped === '/') return '/'
    const set = sets[escaped]
    return set === undefined ? all : inClass ? set : `[${set}]`
  })
}

function refused(at: string, why: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_ARGUMENT', `The schema \`${at}\` ${why}.`, {
    cause,
    details: { argument: at },
  })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** By shape, so that a schema of another copy of zod 4 is one too. */
function isZod(value: unknown): value is z.core.$ZodType {
  return isObject(value) && '_zod' in value
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
