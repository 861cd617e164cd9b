/** The body of a request: JSON, checked against the schema of its API. */
import type { Context } from 'hono'
import type { z } from 'zod'
import { HttpError, badValue } from './failure'
import type { ServerSettings } from './options'

/** What nests deeper is no request: whoever walks through it would run out of stack. */
const mostDepth = 64

type Limits = Pick<ServerSettings, 'maxBodyBytes' | 'bodyTimeoutMs'>

export function bodyReader(limits: Limits) {
  const { maxBodyBytes: maxBytes } = limits
  /**
   * @throws HttpError 415 for another type than JSON: a web page of another origin can send any other without being asked;
   *   408 for one that does not end; 413 for too many bytes; 400 for what is no JSON, or not of the schema
   */
  return async <S extends z.ZodType>({ req }: Context, schema: S): Promise<z.infer<S>> => {
    const type = req.header('content-type') ?? ''
    if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
      throw new HttpError(415, 'Send the request as JSON, with the header `content-type: application/json`.')
    if (Number(req.header('content-length')) > maxBytes) throw tooLarge(maxBytes)
    return checked(schema, objectOf(await textOf(req.raw.body, limits)))
  }
}

/** What comes of a body, as far as it may; a client need not tell its size before. */
async function textOf(
  body: ReadableStream<Uint8Array> | null,
  { maxBodyBytes, bodyTimeoutMs }: Limits,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooSlow(bodyTimeoutMs)), bodyTimeoutMs)
  try {
    for await (const chunk of body?.pipeThrough(new TransformStream<Uint8Array, Uint8Array>(), late) ?? []) {
      bytes += chunk.length
      if (bytes > maxBodyBytes) throw tooLarge(maxBodyBytes)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof HttpError) throw error
    throw invalidJson('The body broke off.')
  } finally {
    clearTimeout(timer)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function objectOf(text: string): Record<string, unknown> {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw invalidJson(`The body is no JSON: ${(error as Error).message}.`)
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidJson('The body has to be a JSON object.')
  if (isDeeper(body, mostDepth)) throw invalidJson(`The body nests deeper than ${mostDepth} levels.`)
  return withoutNull(body)
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `The request has more than ${maxBytes} bytes. Send smaller pictures or videos.`, {
    code: 'request_too_large',
  })
}

function tooSlow(ms: number): HttpError {
  return new HttpError(408, `The request did not come within ${ms} ms. Send it again.`, {
    code: 'request_timeout',
  })
}

function invalidJson(message: string): HttpError {
  return new HttpError(400, message, { code: 'invalid_json' })
}

/** True for a value that nests deeper than so many levels. */
function isDeeper(value: unknown, levels: number): boolean {
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
  throw problemOf(result.error.issues[0], body)
}

/** @param path where `issue` counts from */
function problemOf(
  issue: z.core.$ZodIssue | undefined,
  body: unknown,
  path: readonly PropertyKey[] = [],
): HttpError {
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
  if (inner) return problemOf(inner, body, at)
  if (valueAt(body, at) === undefined)
    return new HttpError(400, `\`${nameOf(at)}\` is missing: it has to be ${issue.message}.`, {
      param: nameOf(at),
      code: 'missing_required_parameter',
    })
  return badValue(nameOf(at), `Expected \`${nameOf(at)}\` to be ${issue.message}.`)
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    body,
  )
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === 'number') return `${name}[${key}]`
    return name === '' ? String(key) : `${name}.${String(key)}`
  }, '')
}
