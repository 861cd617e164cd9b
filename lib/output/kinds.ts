/** Which parameters of a tool are texts, in the form that writes them without quotes. */
import type { JsonSchema } from './schema'
import type { ParameterKind } from './toolcalls'

/** @param parameters The tool's schema; without it every parameter may be either. */
export function parameterKind(parameters: JsonSchema | undefined, name: string): ParameterKind {
  const properties = parameters && resolve(parameters, parameters).properties
  const property = isSchema(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined
  if (!parameters || !isSchema(property)) return 'either'
  const types = typesOf(property, parameters, 8)
  if (types.size === 0) return 'either'
  return types.has('string') ? (types.size === 1 ? 'text' : 'either') : 'json'
}

/** Types that a value may have; none where the schema does not say. */
function typesOf(schema: JsonSchema, root: JsonSchema, depth: number): ReadonlySet<string> {
  const { type, enum: values, const: only, anyOf, oneOf } = resolve(schema, root)
  if (typeof type === 'string') return new Set([type])
  if (Array.isArray(type)) return new Set(type.map(String))
  if (only !== undefined) return new Set([typeOf(only)])
  if (Array.isArray(values)) return new Set(values.map(typeOf))
  const alternatives = [anyOf, oneOf].find(Array.isArray) ?? []
  if (depth === 0) return new Set()
  const each = alternatives.filter(isSchema).map((alternative) => typesOf(alternative, root, depth - 1))
  return each.some((types) => types.size === 0) ? new Set() : new Set(each.flatMap((types) => [...types]))
}

function typeOf(value: unknown): string {
  return typeof value === 'string' ? 'string' : 'other'
}

function resolve(schema: JsonSchema, root: JsonSchema): JsonSchema {
  let at: unknown = schema
  for (let steps = 0; steps < 8 && isSchema(at) && typeof at.$ref === 'string'; steps++) {
    const path = at.$ref.split('/').slice(1)
    at = path.reduce<unknown>((inner, key) => (isSchema(inner) ? inner[key] : undefined), root)
  }
  return isSchema(at) ? at : {}
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
