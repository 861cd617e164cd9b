/** The server's OpenAI interface, as far as the page needs it. */
import type { GenerationId } from '../../generations'
import type { Size } from '../../media/geometry'
import type { Medium } from './medium'
import type { Settings } from './settings'

export interface Model {
  readonly id: string
  readonly generation: GenerationId
  /** False for a model without its projector. */
  readonly vision: boolean
  readonly context_size: number
  readonly image: { readonly max_pixels: number; readonly factor: number }
}

/** A question and its answer, as far as it came. */
export interface Turn {
  readonly text: string
  readonly media: readonly Medium[]
  readonly answer: string
}

/** What comes of an answer; `images` and `timings` are of our server only. */
export interface News {
  readonly text: string
  readonly thought: string
  readonly finish: string | undefined
  readonly usage: { readonly completion_tokens: number } | undefined
  /** All pictures of the conversation, as the model sees them. */
  readonly images: ReadonlyArray<{ readonly processed: Size }> | undefined
  readonly timings: { readonly encode_ms: number; readonly generate_ms: number } | undefined
}

/** The server says no, or nothing. `status` is 0 when nothing came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export async function loadModel({ key }: Settings): Promise<Model> {
  const response = await call('v1/models', { headers: headersOf(key) })
  const { data } = (await response.json()) as {
    readonly data: readonly Model[]
  }
  const [model] = data
  if (!model) throw new ApiError(404, 'The server has no model.')
  return model
}

/** Asks the last of the turns. @throws ApiError; AbortError as a DOMException */
export async function* ask(
  model: Model,
  turns: readonly Turn[],
  settings: Settings,
  signal: AbortSignal,
): AsyncGenerator<News> {
  const response = await call('v1/chat/completions', {
    method: 'POST',
    signal,
    headers: { ...headersOf(settings.key), 'content-type': 'application/json' },
    body: JSON.stringify(requestOf(model, turns, settings)),
  })
  if (!response.body) throw new ApiError(0, 'The server sent an empty answer.')
  for await (const data of events(response.body)) {
    if (data === '[DONE]') return
    yield newsOf(JSON.parse(data) as Chunk)
  }
  throw new ApiError(0, 'The connection broke before the answer was whole.')
}

/** Frames so few and so small that the videos take half of the context, at 16 tokens a frame or more. */
function clipOf({ context_size: context, image: { factor } }: Model, turns: readonly Turn[]) {
  const videos = turns.flatMap(({ media }) => media).filter(({ kind }) => kind === 'video').length
  const tokens = context / 2 / videos
  return {
    total_pixels: Math.round(tokens * factor ** 2),
    min_pixels: 4 * factor ** 2,
    max_frames: Math.min(Math.max(4, Math.floor(tokens / 16)), 768),
  }
}

function requestOf(model: Model, turns: readonly Turn[], settings: Settings): object {
  const { system, temperature, maxTokens, maxPixels, schema } = settings
  // What the server was told to allow stays the bound.
  const bounds = maxPixels !== undefined && { max_pixels: Math.min(maxPixels, model.image.max_pixels) }
  const clip = clipOf(model, turns)
  const part = ({ kind, url }: Medium) =>
    kind === 'video'
      ? { type: 'video_url', video_url: { url }, ...clip }
      : { type: 'image_url', image_url: { url }, ...bounds }
  const asked = ({ text, media }: Turn) => ({
    role: 'user',
    content: [...media.map(part), ...(text === '' ? [] : [{ type: 'text', text }])],
  })
  return {
    model: model.id,
    messages: [
      ...(system === '' ? [] : [{ role: 'system', content: system }]),
      ...turns.flatMap((turn, index) =>
        index === turns.length - 1
          ? [asked(turn)]
          : [asked(turn), { role: 'assistant', content: turn.answer }],
      ),
    ],
    stream: true,
    stream_options: { include_usage: true },
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { max_completion_tokens: maxTokens }),
    ...(schema !== undefined && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
    }),
  }
}

function headersOf(key: string): Record<string, string> {
  return key === '' ? {} : { authorization: `Bearer ${key}` }
}

async function call(path: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, init)
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new ApiError(0, 'The server does not answer. Is it still running?')
  }
  if (response.ok) return response
  const body = (await response.json().catch(() => undefined)) as ErrorBody | undefined
  throw new ApiError(
    response.status,
    body?.error?.message ?? `The server answered ${response.status} ${response.statusText}.`,
  )
}

interface ErrorBody {
  readonly error?: { readonly message?: string }
}

/** A chunk of OpenAI's stream. */
type Chunk = ErrorBody & {
  readonly choices?: ReadonlyArray<{
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null }
    readonly finish_reason?: string | null
  }>
  readonly usage?: News['usage'] | null
  readonly images?: News['images']
  readonly timings?: News['timings']
}

function newsOf(chunk: Chunk): News {
  if (chunk.error) throw new ApiError(500, chunk.error.message ?? 'The answer ended with an error.')
  const choice = chunk.choices?.[0]
  return {
    text: choice?.delta?.content ?? '',
    thought: choice?.delta?.reasoning_content ?? '',
    finish: choice?.finish_reason ?? undefined,
    usage: chunk.usage ?? undefined,
    images: chunk.images,
    timings: chunk.timings,
  }
}

/** The data of server-sent events. */
async function* events(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = ''
  const reader = body.pipeThrough(new TextDecoderStream()).getReader() // Safari's streams are no async iterables
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    const blocks = (rest + step.value).split(/\r?\n\r?\n/)
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'))
      if (lines.length > 0) yield lines.map((line) => line.slice(5).trimStart()).join('\n')
    }
  }
}
