/** The body of a request: JSON, checked against the schema of its API. */
import type { Context } from 'hono'
import type { z } from 'zod'
import { HttpError, badValue } from './failure'

/** What nests deeper is no request: whoever walks through it would run out of stack. */
const mostDepth = 64

/**
 * @throws HttpError 415 for another type than JSON: a web page of another origin can send any other without being asked;
 *   400 for what is no JSON, or not of the schema
 */
export async function readBody<S extends z.ZodType>(c: Context, schema: S): Promise<z.infer<S>> {
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
    throw new HttpError(415, 'Send the request as JSON, with the header `content-type: application/json`.')
  const text = await c.req.text()
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw new HttpError(400, `The body is no JSON: ${(error as Error).message}.`, { code: 'invalid_json' })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new HttpError(400, 'The body has to be a JSON object.', { code: 'invalid_json' })
  if (isDeeper(body, mostDepth))
    throw new HttpError(400, `The body nests deeper than ${mostDepth} levels.`, { code: 'invalid_json' })
  return checked(schema, withoutNull(body))
}

/** True for a value that nests deeper than so many levels. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1))
}

/** The APIs' clients send null for what is not given. */
function withoutNull(body: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}

function checked<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw problemOf(result.error.issues[0])
}

function problemOf(issue: z.core.$ZodIssue | undefined, path: readonly PropertyKey[] = []): HttpError {
  if (!issue) return new HttpError(400, 'The request is not valid.')
  const at = [...path, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    const name = nameOf([...at, issue.keys[0] ?? ''])
    return new HttpError(400, `Unrecognized request argument supplied: ${name}`, {
      param: name,
      code: 'unknown_parameter',
    })
  }
  // A union whose best alternative is an object with a bad field: name that field.
  const inner =
    issue.code === 'invalid_union' ? issue.errors.flat().find((each) => each.path.length > 0) : undefined
  if (inner) return problemOf(inner, at)
  return badValue(nameOf(at), `Expected \`${nameOf(at)}\` to be ${issue.message}.`)
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === 'number') return `${name}[${key}]`
    return name === '' ? String(key) : `${name}.${String(key)}`
  }, '')
}
