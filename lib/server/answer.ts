/** A whole answer, gathered from its parts, in the words that all APIs share. */
import type {
  FinishReason,
  ImageReport,
  StreamPart,
  Timings,
  TokenLogprob,
  Usage,
  VideoReport,
} from '../index'

export interface Call {
  readonly id: string
  readonly name: string
  /** JSON text. */
  arguments: string
}

export interface Answer {
  text: string
  reasoning: string
  readonly calls: Call[]
  /** Of the text, without the thought and the calls. */
  readonly logprobs: TokenLogprob[]
  readonly images: ImageReport[]
  readonly videos: VideoReport[]
  /** All that was generated. */
  readonly tokens: number[]
  finishReason: FinishReason
  usage: Usage
  timings: Timings | undefined
  /** Tokens of the thought. */
  reasoningTokens: number
}

export function emptyAnswer(): Answer {
  return {
    text: '',
    reasoning: '',
    calls: [],
    logprobs: [],
    images: [],
    videos: [],
    tokens: [],
    finishReason: 'cancelled',
    usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
    timings: undefined,
    reasoningTokens: 0,
  }
}

/** Adds a part to what came before. */
export function addPart(answer: Answer, part: StreamPart): void {
  if ('tokens' in part && Array.isArray(part.tokens)) answer.tokens.push(...(part.tokens as number[]))
  switch (part.type) {
    case 'image': {
      const { type: _, index: __, ...report } = part
      answer.images.push(report)
      return
    }
    case 'video': {
      const { type: _, index: __, ...report } = part
      answer.videos.push(report)
      return
    }
    case 'text':
      answer.text += part.text
      answer.logprobs.push(...(part.logprobs ?? []))
      return
    case 'reasoning':
      answer.reasoning += part.text
      answer.reasoningTokens += part.tokens.length
      return
    case 'tool-call': {
      const { index, id, name, delta } = part
      const call = (answer.calls[index] ??= { id, name, arguments: '' })
      call.arguments += delta
      return
    }
    case 'finish':
      answer.finishReason = part.finishReason
      answer.usage = part.usage
      answer.timings = part.timings
      return
  }
}

/** A part of one of several answers. */
export interface PartOf {
  /** Of the answer. */
  readonly index: number
  readonly part: StreamPart
}

/** The parts of several answers in the order of their coming. */
export async function* together(
  answers: ReadonlyArray<AsyncGenerator<StreamPart, void, undefined>>,
): AsyncGenerator<PartOf, void, undefined> {
  const next = async (index: number) => ({ index, step: await answers[index]?.next() })
  const pending = new Map(answers.map((_, index) => [index, next(index)]))
  try {
    while (pending.size > 0) {
      const { index, step } = await Promise.race(pending.values())
      pending.delete(index)
      if (!step || step.done) continue
      yield { index, part: step.value }
      pending.set(index, next(index))
    }
  } finally {
    for (const left of pending.values()) left.catch(() => undefined) // what ends one of them is told once
    for (const answer of answers) void answer.return().catch(() => undefined)
  }
}

/** Reads an answer to its end. */
export async function gather(parts: AsyncIterable<StreamPart>): Promise<Answer> {
  const answer = emptyAnswer()
  for await (const part of parts) addPart(answer, part)
  return answer
}

/** Only the first of several calls, for clients that can do one at a time. */
export async function* withOneCall(parts: AsyncIterable<StreamPart>): AsyncGenerator<StreamPart, void> {
  for await (const part of parts) if (part.type !== 'tool-call' || part.index === 0) yield part
}

/** What the APIs have no words for: what the model saw of pictures and videos. */
export function mediaOf({ images, videos }: Answer) {
  const seen = ({ original, processed, tokens, encodeMs, cached }: ImageReport | VideoReport) => ({
    original: original ?? null,
    processed,
    tokens,
    encode_ms: encodeMs,
    cached,
  })
  return {
    ...(images.length > 0 && { images: images.map(seen) }),
    ...(videos.length > 0 && {
      videos: videos.map((video) => ({
        ...seen(video),
        frames: video.frames,
        sample_fps: video.sampleFps,
        times: video.times,
      })),
    }),
  }
}

/** And where the time went. */
export function timingsOf({ timings }: Answer) {
  if (!timings) return {}
  const { queueMs, decodeImageMs, encodeMs, prefillMs, generateMs } = timings
  return {
    timings: {
      queue_ms: queueMs,
      decode_image_ms: decodeImageMs,
      encode_ms: encodeMs,
      prefill_ms: prefillMs,
      generate_ms: generateMs,
    },
  }
}
