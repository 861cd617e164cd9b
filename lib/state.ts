/** What a model computed of a conversation, behind the end of a file: another process then goes on from there. */
import { whenAborted } from './abort'
import type { Answerer } from './answer'
import { renderOptions } from './answer'
import { preparePrompt } from './conversation'
import type { RestoreStateRequest, SaveStateRequest } from './engine/binding'
import type { Engine } from './engine/engine'
import { endedEarly, fromNative, throwIfAborted } from './errors'
import { generate } from './generate'
import { adapterScales } from './lora'
import type { GenerateOptions } from './options'
import type { NormalisedMessage } from './prompt/normalise'
import type { PictureMemory } from './reading'

/** What is kept of the KV memory, and of the state of hybrid models. */
export interface KeptState {
  /** Of the conversation, that need not be computed again; 0: none, for others needed the room. */
  readonly tokens: number
  /** Of it in the file. */
  readonly bytes: number
}

/**
 * Computes what is not computed yet of a conversation, and appends it to a file.
 * @throws ChatFileError CHAT_NOT_WRITABLE, ContextOverflowError, AbortError; and like `preparePrompt`
 */
export async function appendState(
  maker: Answerer,
  path: string,
  messages: readonly NormalisedMessage[],
  settings: GenerateOptions,
  pictures: PictureMemory,
  signal: AbortSignal = new AbortController().signal,
): Promise<KeptState> {
  if (messages.length === 0) return { tokens: 0, bytes: 0 }
  const rendering = { ...renderOptions(settings), addGenerationPrompt: false }
  const prompt = await preparePrompt(maker, messages, rendering, signal, pictures)
  const { lora, priority = 0 } = settings
  const nothing = { maxTokens: 1, temperature: 0, priority, ...(lora && { lora }) }
  await generate(maker, prompt, nothing, (_, consumed) => consumed(), signal)
  throwIfAborted(signal)
  const identity = await maker.stateIdentity()
  const adapters = adapterScales(maker.adapters, lora)
  const { segments } = prompt
  return ask(maker.engine, { kind: 'saveState', priority, segments, adapters, path, identity }, signal)
}

/**
 * Takes what `appendState` wrote at `offset`. Nothing is taken, and nothing is amiss, if it is damaged or was computed by
 * another model.
 * @throws QwenVLError DISPOSED
 */
export async function takeState(maker: Answerer, path: string, offset: number): Promise<KeptState> {
  const identity = await maker.stateIdentity()
  return ask(maker.engine, { kind: 'restoreState', priority: 0, path, offset, identity }, undefined)
}

function ask(
  engine: Engine,
  question: Omit<SaveStateRequest, 'id'> | Omit<RestoreStateRequest, 'id'>,
  signal: AbortSignal | undefined,
): Promise<KeptState> {
  return new Promise((resolve, reject) => {
    const request = engine.submit(question, (event) => {
      if (event.type === 'state') resolve({ tokens: event.tokens, bytes: event.bytes })
      if (event.type === 'error') reject(fromNative(event))
      if (event.type === 'end') reject(endedEarly(signal)) // no effect after a state
      if (event.type === 'end' || event.type === 'error') forget()
    })
    const forget = whenAborted(signal, request.cancel)
  })
}
