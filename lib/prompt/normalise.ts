/** Every accepted spelling of a conversation → one internal form, checked; an error names the exact place. */
import { isInt32Array } from 'node:util/types'
import { z } from 'zod'
import { InvalidArgumentError, invalidArgument } from '../errors'
import type { ImageSource } from '../media/source'
import { isImageEmbedding, isVideoEmbedding } from './messages'
import type {
  ContentPart,
  ImageEmbedding,
  ImageOptions,
  Role,
  ToolCall,
  VideoEmbedding,
  VideoOptions,
  VideoSource,
} from './messages'

export type NormalisedPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly source: ImageSource; readonly options: ImageOptions }
  | { readonly type: 'video'; readonly source: VideoSource; readonly options: VideoOptions }
  | { readonly type: 'embedding'; readonly embedding: ImageEmbedding }
  | { readonly type: 'video_embedding'; readonly embedding: VideoEmbedding }

export interface NormalisedMessage {
  readonly role: Role
  readonly parts: readonly NormalisedPart[]
  /** Ids generated for the text of this assistant message. */
  readonly tokens?: Int32Array
  readonly toolCalls?: readonly ToolCall[]
  readonly reasoning?: string
}

/** Area that `detail: 'low'` allows: the 512 × 512 pixels of OpenAI's low detail. */
export const lowDetailPixels = 512 * 512

const pixels = whole('a whole number of pixels above 0', 1)
const string = z.string({ error: 'a string' })
const isSource = (value: unknown) => (typeof value === 'string' ? value !== '' : isRecord(value))
const source = z.custom<ImageSource>(isSource, {
  error: 'a picture: path, URL, data URI, bytes, Blob, stream, raw pixels or a sharp instance',
})

const bounds = {
  min_pixels: pixels,
  max_pixels: pixels,
  resized_height: pixels,
  resized_width: pixels,
  minPixels: pixels,
  maxPixels: pixels,
  resizedHeight: pixels,
  resizedWidth: pixels,
}
const cache = z.enum(['memory', 'disk', 'none'], { error: "'memory', 'disk' or 'none'" }).optional()
const sizes = { ...bounds, cache, page: whole('a whole number from 0', 0) }

const frames = whole('a whole number of frames above 0', 1)
const rate = real('a number of frames per second above 0', Number.MIN_VALUE)
const seconds = real('a number of seconds from 0', 0)
const sampling = {
  ...bounds,
  cache,
  total_pixels: pixels,
  totalPixels: pixels,
  fps: rate,
  nframes: frames,
  min_frames: frames,
  max_frames: frames,
  minFrames: frames,
  maxFrames: frames,
  video_start: seconds,
  video_end: seconds,
  videoStart: seconds,
  videoEnd: seconds,
  sample_fps: rate,
  raw_fps: rate,
  sampleFps: rate,
  rawFps: rate,
}

const textSchema = z.strictObject({ type: z.literal('text').optional(), text: string })
const imageSchema = z.strictObject({ type: z.literal('image').optional(), image: source, ...sizes })
const urlSchema = z.strictObject({
  type: z.literal('image_url').optional(),
  image_url: z.union(
    [
      string,
      z.strictObject({
        url: string,
        detail: z.enum(['low', 'high', 'auto'], { error: "'low', 'high' or 'auto'" }).optional(),
      }),
    ],
    { error: 'a URL or { url, detail }' },
  ),
  ...sizes,
})

const clip = z.custom<VideoSource>(
  (value) => (Array.isArray(value) ? value.length > 0 && value.every(isSource) : isSource(value)),
  { error: 'a video: path, URL, bytes, Blob or stream; or an array of its frames, at least one' },
)
const videoSchema = z.strictObject({ type: z.literal('video').optional(), video: clip, ...sampling })
const videoUrlSchema = z.strictObject({
  type: z.literal('video_url').optional(),
  video_url: z.union([string, z.strictObject({ url: string })], { error: 'a URL or { url }' }),
  ...sampling,
})

const toolCallSchema = z.strictObject(
  {
    id: string.optional(),
    type: z.literal('function', { error: "'function'" }).optional(),
    function: z.strictObject(
      {
        name: string,
        arguments: z.union([z.string(), z.record(z.string(), z.unknown())], {
          error: 'an object or its JSON text',
        }),
      },
      { error: 'an object with name and arguments' },
    ),
  },
  { error: 'an object with a function' },
)

const messageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool'], { error: "'system', 'user', 'assistant' or 'tool'" }),
  content: z.unknown().optional(),
  tokens: z.custom<Int32Array>(isInt32Array, { error: 'an Int32Array of token ids' }).optional(),
  tool_calls: z.array(toolCallSchema, { error: 'an array of tool calls' }).nullish(),
  reasoning_content: string.nullish(),
  tool_call_id: string.nullish(),
  name: string.nullish(),
})

/**
 * Checks a conversation and brings it into the internal form. Pictures are not read. Order of parts is kept.
 * @throws InvalidArgumentError naming the place, e.g. `messages[1].content[0].min_pixels`.
 */
export function normaliseMessages(input: unknown): NormalisedMessage[] {
  if (typeof input === 'string') return [{ role: 'user', parts: [{ type: 'text', text: input }] }]
  const messages = Array.isArray(input) ? (input as unknown[]) : [input]
  if (messages.length === 0) throw invalidArgument('messages', 'at least one message', input)
  return messages.map((message, index) => normaliseMessage(message, `messages[${index}]`))
}

/** Checks the parts of one message, as in `user(...parts)`; `path` is how errors name it. */
export function normaliseContent(content: unknown, path: string): NormalisedPart[] {
  if (!Array.isArray(content)) return [normalisePart(content, path)]
  return content.map((part: unknown, index) => normalisePart(part, `${path}[${index}]`))
}

/** Whether a value says that it is a content part. */
export function isContentPart(value: unknown): value is ContentPart {
  if (isImageEmbedding(value)) return true
  if (!isRecord(value) || typeof value.type !== 'string') return false
  return ['text', 'image', 'image_url', 'video', 'video_url'].includes(value.type) && value.type in value
}

function normaliseMessage(input: unknown, path: string): NormalisedMessage {
  if (!isRecord(input)) throw invalidArgument(path, 'a message: { role, content }', input)
  const message = check(messageSchema, input, path)
  const { role, tokens, tool_calls: toolCalls, reasoning_content: reasoning } = message
  if (role !== 'assistant') {
    for (const key of ['tokens', 'tool_calls', 'reasoning_content'] as const) {
      if (message[key] != null)
        throw invalidArgument(`${path}.${key}`, 'absent from any but an assistant message', message[key])
    }
  }
  const silent = message.content == null && toolCalls != null
  return {
    role,
    parts: silent ? [] : normaliseContent(message.content, `${path}.content`),
    ...(tokens && { tokens }),
    ...(toolCalls && { toolCalls: toolCalls as readonly ToolCall[] }),
    ...(reasoning != null && { reasoning }),
  }
}

function normalisePart(part: unknown, path: string): NormalisedPart {
  if (typeof part === 'string') return { type: 'text', text: part }
  if (isImageEmbedding(part)) return { type: 'embedding', embedding: part }
  if (isVideoEmbedding(part)) return { type: 'video_embedding', embedding: part }
  if (!isRecord(part)) throw invalidArgument(path, 'a string or a content part', part)
  const type = part.type ?? ['text', 'image', 'image_url', 'video', 'video_url'].find((key) => key in part)
  switch (type) {
    case 'text':
      return { type: 'text', text: check(textSchema, part, path).text }
    case 'image': {
      const { image, ...rest } = check(imageSchema, part, path)
      return { type: 'image', source: image, options: partOptions(rest, path) }
    }
    case 'image_url': {
      const { image_url: reference, ...rest } = check(urlSchema, part, path)
      const { url, detail } = typeof reference === 'string' ? { url: reference } : reference
      const options: ImageOptions = partOptions(rest, path)
      const limit = detail === 'low' && options.maxPixels === undefined ? { maxPixels: lowDetailPixels } : {}
      return { type: 'image', source: url, options: { ...options, ...limit } }
    }
    case 'video': {
      const { video, ...rest } = check(videoSchema, part, path)
      return { type: 'video', source: video, options: partOptions(rest, path) }
    }
    case 'video_url': {
      const { video_url: reference, ...rest } = check(videoUrlSchema, part, path)
      const url = typeof reference === 'string' ? reference : reference.url
      return { type: 'video', source: url, options: partOptions(rest, path) }
    }
    case 'embedding':
      throw invalidArgument(path, 'an embedding made by embedImage() or imageEmbedding()', part)
    case 'video_embedding':
      throw invalidArgument(path, 'an embedding made by embedVideo() or videoEmbedding()', part)
    default:
      throw invalidArgument(`${path}.type`, "'text', 'image', 'image_url', 'video' or 'video_url'", type)
  }
}

/** Both spellings of the options become ours; the same option in both is refused, not guessed. */
function partOptions(part: Readonly<Record<string, unknown>>, path: string): Record<string, number> {
  const options: Record<string, number> = {}
  for (const [key, value] of Object.entries(part)) {
    if (key === 'type' || value === undefined) continue
    const name = camelCase(key)
    if (name in options) throw invalidArgument(`${path}.${key}`, 'absent beside its other spelling', value)
    options[name] = value as number
  }
  const { minPixels, maxPixels, resizedHeight, resizedWidth, fps, nframes } = options
  if (fps !== undefined && nframes !== undefined) {
    throw invalidArgument(`${path}.nframes`, 'absent beside fps: one of the two decides', nframes)
  }
  if (minPixels !== undefined && maxPixels !== undefined && minPixels > maxPixels) {
    throw invalidArgument(`${path}.minPixels`, `at most maxPixels (${maxPixels})`, minPixels)
  }
  if ((resizedHeight === undefined) !== (resizedWidth === undefined)) {
    const missing = resizedHeight === undefined ? 'resizedHeight' : 'resizedWidth'
    throw invalidArgument(`${path}.${missing}`, 'given, as the other side of the size is', undefined)
  }
  return options
}

function check<T extends z.ZodObject>(schema: T, input: unknown, path: string): z.infer<T> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (!issue) throw invalidArgument(path, 'valid', input)
  if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
    throw unknownKeys(issue.keys, path, `The keys are: ${keysOf(schema).join(', ')}.`)
  }
  throw issueError(issue, input, path)
}

function issueError(issue: z.core.$ZodIssue, input: unknown, path: string): InvalidArgumentError {
  const place = issue.path.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : `${name}.${String(key)}`),
    path,
  )
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue.keys, place)
  // A union whose best alternative is an object with a bad field: name that field.
  const nested =
    issue.code === 'invalid_union' ? issue.errors.flat().find((inner) => inner.path.length > 0) : undefined
  if (nested) return issueError({ ...nested, path: [...issue.path, ...nested.path] }, input, path)
  return invalidArgument(place, issue.message, valueAt(input, issue.path))
}

function unknownKeys(keys: readonly string[], place: string, hint = ''): InvalidArgumentError {
  const message = `Unknown key \`${place}.${keys.join(', ')}\`. ${hint}`.trimEnd()
  return new InvalidArgumentError('INVALID_ARGUMENT', message, { details: { argument: place, keys } })
}

/** Each once: the spelling with underscores only where it is the only one. */
function keysOf({ shape }: z.ZodObject): string[] {
  return Object.keys(shape).filter((key) => !key.includes('_') || !(camelCase(key) in shape))
}

function camelCase(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isRecord(value) ? value[key as string] : undefined), input)
}

function whole(expected: string, minimum: number) {
  return z.int({ error: expected }).min(minimum, { error: expected }).optional()
}

function real(expected: string, minimum: number) {
  return z.number({ error: expected }).min(minimum, { error: expected }).optional()
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
