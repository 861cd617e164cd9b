/** A loaded model as a language model of the AI SDK (`ai`): for generateText, streamText, generateObject, agents. */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3ProviderMetadata,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { QwenVLError } from '../errors'
import type {
  FinishReason,
  GenerateOptions,
  GenerationStream,
  ImageReport,
  OpenAITool,
  QwenVL,
} from '../index'
import type { StreamPart } from '../index'
import { messagesOf, ownOptions } from './aiprompt'

/** How the AI SDK is told of the model. */
export interface AiSdkOptions {
  /** Its name in logs and telemetry. Default: the generation's, e.g. "qwen3vl". */
  readonly modelId?: string
}

type Finish = Extract<LanguageModelV3StreamPart, { type: 'finish' }>

/**
 * The model for the AI SDK's functions. What these have no words for goes through `providerOptions.qwenvl`: options of
 * `chat()` for a call (`thinkingBudget`, `minP`, `templateVariables` …), of `image()` or `video()` for a picture or video.
 */
export function qwenvl(model: QwenVL, options: AiSdkOptions = {}): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: 'qwenvl',
    modelId: options.modelId ?? model.info.generation,
    // Fetched by this package, with its limits and its refusal of private addresses.
    supportedUrls: { 'image/*': [/^https?:/], 'video/*': [/^https?:/] },
    async doGenerate(call) {
      const { parts, warnings } = answer(model, call)
      const content: LanguageModelV3Content[] = []
      for await (const part of parts) {
        if (part.type === 'finish') return { content, ...end(part), warnings }
        addContent(content, part)
      }
      throw new QwenVLError('INTERNAL', 'The answer ended without an end.')
    },
    async doStream(call) {
      const { parts, warnings } = answer(model, call)
      return { stream: ReadableStream.from(begun(parts, warnings)) }
    },
  }
}

function answer(model: QwenVL, call: LanguageModelV3CallOptions) {
  const warnings: SharedV3Warning[] = []
  const stream = model.stream(messagesOf(call.prompt), optionsOf(call, warnings))
  return { parts: partsOf(stream), warnings }
}

function optionsOf(call: LanguageModelV3CallOptions, warnings: SharedV3Warning[]): GenerateOptions {
  const { responseFormat, toolChoice, tools = [] } = call
  const own: OpenAITool[] = []
  for (const tool of tools) {
    if (tool.type === 'provider') {
      warnings.push({ type: 'unsupported', feature: `provider-defined tool ${tool.id}` })
      continue
    }
    const { name, description, inputSchema } = tool
    const parameters = inputSchema as Record<string, unknown>
    own.push({
      type: 'function',
      function: { name, ...(description !== undefined && { description }), parameters },
    })
  }
  const options = {
    maxTokens: call.maxOutputTokens,
    temperature: call.temperature,
    topP: call.topP,
    topK: call.topK,
    presencePenalty: call.presencePenalty,
    frequencyPenalty: call.frequencyPenalty,
    seed: call.seed,
    stop: call.stopSequences,
    signal: call.abortSignal,
    schema: responseFormat?.type === 'json' ? (responseFormat.schema ?? { type: 'object' }) : undefined,
    tools: own.length > 0 ? own : undefined,
    toolChoice: toolChoice?.type === 'tool' ? { name: toolChoice.toolName } : toolChoice?.type,
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...given, ...ownOptions(call.providerOptions) }
}

/** Parts of the library in the words of the AI SDK. */
async function* partsOf(
  stream: GenerationStream,
): AsyncGenerator<LanguageModelV3StreamPart, void, undefined> {
  let open: 'text' | 'reasoning' | undefined
  let reasoningTokens = 0
  let blocks = 0
  const images: ImageReport[] = []
  const inputs = new Map<string, string>()
  for await (const part of untilEnd(stream)) {
    if (open !== undefined && part.type !== open && part.type !== 'object') {
      yield { type: `${open}-end`, id: String(blocks) }
      open = undefined
    }
    switch (part.type) {
      case 'image': {
        const { type: _, index: __, ...report } = part
        images.push(report)
        break
      }
      case 'text':
      case 'reasoning':
        if (part.type === 'reasoning') reasoningTokens += part.tokens.length
        if (part.text === '') break
        if (open === undefined) {
          open = part.type
          yield { type: `${open}-start`, id: String(++blocks) }
        }
        yield { type: `${part.type}-delta`, id: String(blocks), delta: part.text }
        break
      case 'tool-call': {
        const { id, name: toolName, delta, done } = part
        if (!inputs.has(id)) yield { type: 'tool-input-start', id, toolName }
        const input = (inputs.get(id) ?? '') + delta
        inputs.set(id, input)
        if (delta !== '') yield { type: 'tool-input-delta', id, delta }
        if (!done) break
        yield { type: 'tool-input-end', id }
        yield { type: 'tool-call', toolCallId: id, toolName, input: input === '' ? '{}' : input }
        break
      }
      case 'finish':
        yield {
          type: 'finish',
          finishReason: { unified: finishReasons[part.finishReason], raw: part.finishReason },
          usage: usageOf(part, reasoningTokens),
          providerMetadata: metadataOf(part, images),
        }
    }
  }
}

/** JSON that is cut off or against its schema is the AI SDK's to refuse: its errors carry text and usage. */
async function* untilEnd(stream: GenerationStream): AsyncGenerator<StreamPart, void, undefined> {
  try {
    yield* stream
  } catch (error) {
    const ofOutput = ['OUTPUT_INVALID', 'OUTPUT_TRUNCATED']
    if (!QwenVLError.isInstance(error) || !ofOutput.includes(error.code)) throw error
  }
}

async function* begun(
  parts: AsyncIterable<LanguageModelV3StreamPart>,
  warnings: SharedV3Warning[],
): AsyncGenerator<LanguageModelV3StreamPart, void, undefined> {
  yield { type: 'stream-start', warnings }
  try {
    yield* parts
  } catch (error) {
    // What the AI SDK's `onError` hears.
    yield { type: 'error', error }
  }
}

/** Gathers the whole of what came in parts. */
function addContent(content: LanguageModelV3Content[], part: LanguageModelV3StreamPart): void {
  switch (part.type) {
    case 'text-start':
      content.push({ type: 'text', text: '' })
      return
    case 'reasoning-start':
      content.push({ type: 'reasoning', text: '' })
      return
    case 'text-delta':
    case 'reasoning-delta': {
      const last = content.at(-1)
      if (last?.type === 'text' || last?.type === 'reasoning') last.text += part.delta
      return
    }
    case 'tool-call':
      content.push(part)
  }
}

function end({ finishReason, usage, providerMetadata = {} }: Finish) {
  return { finishReason, usage, providerMetadata }
}

const finishReasons: Readonly<Record<FinishReason, LanguageModelV3FinishReason['unified']>> = {
  stop: 'stop',
  'tool-calls': 'tool-calls',
  length: 'length',
  cancelled: 'other',
}

type OwnFinish = Extract<StreamPart, { type: 'finish' }>

function usageOf({ usage }: OwnFinish, reasoning: number): LanguageModelV3Usage {
  const { promptTokens, cachedTokens, completionTokens } = usage
  return {
    inputTokens: {
      total: promptTokens,
      noCache: promptTokens - cachedTokens,
      cacheRead: cachedTokens,
      cacheWrite: undefined,
    },
    outputTokens: { total: completionTokens, text: completionTokens - reasoning, reasoning },
  }
}

/** `providerMetadata.qwenvl`: timings in ms, and the pictures with the sizes that boxes are read with. */
function metadataOf({ timings }: OwnFinish, images: readonly ImageReport[]): SharedV3ProviderMetadata {
  return JSON.parse(JSON.stringify({ qwenvl: { timings, images } })) as SharedV3ProviderMetadata
}
