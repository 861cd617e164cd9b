/** One prompt through the engine: native events become stream parts and the final result. */
import { whenAborted } from './abort'
import type { Engine } from './engine/engine'
import type { GenerateRequest, ThoughtLimit } from './engine/binding'
import type { TokenLogprob } from './engine/events'
import { AbortError, ContextOverflowError, QwenVLError, endedEarly, fromNative } from './errors'
import type { SamplingDefaults } from './generations'
import { adapterScales } from './lora'
import type { LoraAdapter } from './lora'
import type { GenerateOptions, LoadOptions } from './options'
import type { PreparedPrompt } from './conversation'
import type { Requests } from './requests'
import { Spent } from './spent'
import type { GenerationResult, ImageReport, PushPart, VideoReport } from './stream'

/** What generation needs of a loaded model. */
export interface Generator {
  readonly engine: Engine
  readonly sampling: SamplingDefaults
  /** Id that stands for a picture's rows in the repetition penalty. */
  readonly padToken: number
  /** Ids that end an answer. */
  readonly stopTokens: readonly number[]
  readonly requests: Requests
  /** Those that the model was loaded with. */
  readonly adapters: readonly LoraAdapter[]
  /** What a saved chat needs to load the same model again. */
  readonly reload: LoadOptions
  /** Names all that decides what is computed of a prompt: files, settings, this build. */
  readonly stateIdentity: () => Promise<string>
}

/** Parts of text that a call into native code tells to be consumed; it holds back after 256. */
const creditAtOnce = 32

/** What was generated, not yet read. */
export type RawAnswer = Omit<GenerationResult, 'toolCalls' | 'value'>

/**
 * Runs a prepared prompt. `push` gets every part with a function that tells the engine it was consumed.
 * Resolves with reason 'cancelled' after `signal` fired.
 * @throws ContextOverflowError and whatever the engine reports
 */
export function generate(
  generator: Generator,
  prompt: PreparedPrompt,
  options: GenerateOptions & { readonly thought?: ThoughtLimit | undefined },
  push: PushPart,
  signal: AbortSignal,
): Promise<RawAnswer> {
  const stopTokens = options.ignoreEos ? [] : generator.stopTokens
  const texts: string[] = []
  const tokens: number[] = []
  const logprobs: TokenLogprob[] = []
  const images: ImageReport[] = []
  const videos: VideoReport[] = []
  const withoutCredit = () => undefined

  const overflow = (message: string) =>
    new ContextOverflowError('CONTEXT_OVERFLOW', message, {
      details: { promptTokens: prompt.cells, contextSize: generator.engine.info.contextSize },
    })

  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new AbortError(signal.reason))
      return
    }
    let unacknowledged = 0
    const consumed = () => {
      if (++unacknowledged < creditAtOnce) return
      request.acknowledge(unacknowledged)
      unacknowledged = 0
    }
    const request = generator.engine.submit(
      nativeRequest(generator, prompt, options, stopTokens),
      (event) => {
        switch (event.type) {
          case 'image': {
            const { encodeMs, source } = event
            const { type, index } = encodingAt(prompt, event.index)
            const image = type === 'image' ? prompt.images[index] : undefined
            const video = type === 'video' ? prompt.videos[index] : undefined
            if (image) {
              const cached = source !== 'encoder' && source !== 'caller'
              images.push({ ...image, encodeMs, cached, source })
              push({ type: 'image', index, ...image, encodeMs, cached, source }, withoutCredit)
            }
            if (video) {
              const before = videos[index] ?? { ...video, encodeMs: 0, encodedPairs: 0 }
              const encodedPairs = before.encodedPairs + (source === 'encoder' ? 1 : 0)
              const report = {
                ...video,
                encodeMs: before.encodeMs + encodeMs,
                cached: encodedPairs === 0,
                encodedPairs,
              }
              videos[index] = report
              // A video is told of once, with its last pair of frames.
              const next = prompt.encodings[event.index + 1]
              if (next?.type !== 'video' || next.index !== index)
                push({ type: 'video', index, ...report }, withoutCredit)
            }
            return
          }
          case 'text': {
            const { text, tokens: ids, logprobs: entries } = event
            texts.push(text)
            for (const id of ids) tokens.push(id)
            if (entries) logprobs.push(...entries)
            push(
              entries
                ? { type: 'text', text, tokens: ids, logprobs: entries }
                : { type: 'text', text, tokens: ids },
              consumed,
            )
            return
          }
          case 'end': {
            forget()
            if (event.reason === 'cancelled' && !signal.aborted) {
              reject(endedEarly(signal))
              return
            }
            const { promptTokens, cachedTokens, completionTokens, guessedTokens, acceptedTokens } = event
            const usage = {
              promptTokens,
              cachedTokens,
              completionTokens,
              ...(options.speculate !== undefined && { guessedTokens, acceptedTokens }),
            }
            const timings = { ...event.timings, decodeImageMs: prompt.decodeImageMs }
            const { rates } = new Spent().add({ usage, timings })
            const finish = { finishReason: event.reason, usage, timings, rates }
            push({ type: 'finish', ...finish }, withoutCredit)
            resolve({
              text: texts.join(''),
              tokens: withoutStop(tokens, stopTokens),
              ...finish,
              images,
              videos,
              ...(logprobs.length > 0 && { logprobs }),
            })
            return
          }
          case 'error':
            forget()
            reject(event.code === 'CONTEXT_OVERFLOW' ? overflow(event.message) : fromNative(event))
            return
        }
      },
    )
    const forget = whenAborted(signal, request.cancel)
  })
}

function nativeRequest(
  { sampling, padToken, adapters }: Generator,
  prompt: PreparedPrompt,
  options: Parameters<typeof generate>[2],
  stopTokens: readonly number[],
): Omit<GenerateRequest, 'id'> {
  const { stop, logprobs, thought, logitBias = {} } = options
  return {
    kind: 'generate',
    priority: options.priority ?? 0,
    segments: prompt.segments,
    position: prompt.position,
    maxTokens: options.maxTokens ?? 0,
    stopTokens: Int32Array.from(stopTokens),
    stop: stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop,
    logprobs: typeof logprobs === 'number' ? logprobs : logprobs ? 0 : -1,
    padToken,
    temperature: options.temperature ?? sampling.temperature,
    topK: options.topK ?? sampling.topK,
    topP: options.topP ?? sampling.topP,
    minP: options.minP ?? sampling.minP,
    repetitionPenalty: options.repetitionPenalty ?? sampling.repetitionPenalty,
    presencePenalty: options.presencePenalty ?? sampling.presencePenalty,
    frequencyPenalty: options.frequencyPenalty ?? sampling.frequencyPenalty,
    biasedTokens: Int32Array.from(Object.keys(logitBias), Number),
    biases: Float32Array.from(Object.values(logitBias)),
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    grammar: options.grammar ?? '',
    speculate: options.speculate ?? 0,
    adapters: adapterScales(adapters, options.lora),
    thought,
  }
}

function encodingAt(prompt: PreparedPrompt, index: number): PreparedPrompt['encodings'][number] {
  const encoding = prompt.encodings[index]
  if (encoding) return encoding
  throw new QwenVLError('INTERNAL', `The engine reported medium ${index}, which the prompt has not.`)
}

function withoutStop(tokens: readonly number[], stopTokens: readonly number[]): Int32Array {
  const last = tokens.at(-1)
  return Int32Array.from(last !== undefined && stopTokens.includes(last) ? tokens.slice(0, -1) : tokens)
}
