/** From load options to a model that answers: files found or downloaded, checked, opened on a thread of their own. */
import { resolve } from 'node:path'
import type { Answerer } from './answer'
import { findPadToken } from './conversation'
import { affordablePixels, encoderShape, freeMemory } from './cost'
import { usualContext, withDeclared } from './declared'
import type { GgufHeader } from './engine/binding'
import { Engine, initializedAddon, inspectGguf } from './engine/engine'
import type { EngineWarning } from './engine/engine'
import { throwIfAborted } from './errors'
import { imagePad, recogniseGeneration, stopTexts } from './generations'
import type { Generation } from './generations'
import { fileIdentity, identityOfAll } from './identity'
import { temporalPatch } from './media/videosampling'
import { localFiles } from './models/local'
import { inspectNamed } from './named'
import type { LoadOptions } from './options'
import { ChatTemplate } from './prompt/template'
import { rememberedOptions } from './reload'
import { Requests } from './requests'
import { checkModelNumbers, checkProjectorTensors } from './soundness'

const defaultBatchSize = 512
export const defaultParallel = 4
const defaultQueue = 256
const defaultStepMs = 100
const defaultCacheBytes = 256e6
const defaultCacheDirBytes = 4e9

/**
 * @param checked As `checkLoadOptions` lets them through.
 * @throws ModelLoadError, UnsupportedModelError, DownloadError, AbortError
 */
export async function loadAnswerer(checked: LoadOptions): Promise<Answerer> {
  const {
    signal,
    onProgress,
    flashAttention = 'auto',
    cacheDir,
    parallel = defaultParallel,
    lora = [],
  } = checked
  throwIfAborted(signal)
  const { model, mmproj } = await localFiles(checked)
  const header = await inspectNamed(model)
  const projector = mmproj === undefined ? undefined : await inspectGguf(mmproj)
  const generation = withDeclared(recogniseGeneration(header, projector), checked, header, projector)
  checkModelNumbers(header, generation)
  if (projector) checkProjectorTensors(projector, generation)
  const files = [model, ...(mmproj === undefined ? [] : [mmproj]), ...lora.map(({ path }) => path)]
  const { cacheType = 'f16', batchSize = defaultBatchSize, deterministic = false } = checked
  const identity = once(() =>
    identityOfAll(files, { cacheType, flashAttention, exactly: deterministic && { batchSize, parallel } }),
  )
  const engine = await Engine.open(
    {
      model,
      mmproj: mmproj ?? '',
      contextSize: checked.contextSize ?? usualContext(header, generation),
      batchSize,
      threads: checked.threads ?? 0,
      gpuLayers: checked.gpuLayers ?? -1,
      flashAttention,
      cacheType,
      mmap: checked.mmap ?? true,
      encoderPrecision: checked.encoderPrecision ?? 'auto',
      parallel,
      deterministic,
      mtp: checked.mtp ?? false,
      stepMs: checked.stepMs ?? defaultStepMs,
      cacheBytes: checked.cacheBytes ?? defaultCacheBytes,
      cacheDir: cacheDir === undefined ? '' : resolve(cacheDir),
      cacheDirBytes: checked.cacheDirBytes ?? defaultCacheDirBytes,
      encoderIdentity:
        mmproj !== undefined && projector && cacheDir
          ? await fileIdentity(mmproj, projector, { flashAttention })
          : '',
      promptIdentity: checked.cachePrompts ? await identity() : '',
      adapters: lora.map(({ path }) => resolve(path)),
    },
    { signal, onProgress, onWarning: checked.onWarning ?? emitWarning, onLog: checked.onLog },
  )
  try {
    const own = header.metadata['tokenizer.chat_template']
    const source = checked.chatTemplate ?? (typeof own === 'string' ? own : generation.chatTemplate)
    return {
      engine,
      generation,
      template: new ChatTemplate(source, engine.info.controlTokens, generation.tools),
      padToken: findPadToken(engine, imagePad),
      encoder: projector && measuredEncoder(engine, generation, projector, checked),
      stopTokens: engine.info.controlTokens
        .filter(({ text }) => stopTexts.includes(text))
        .map(({ id }) => id),
      sampling: generation.sampling,
      adapters: lora,
      reload: rememberedOptions(checked),
      stateIdentity: async () => {
        const { encoderWeights, decoderDevice } = engine.info
        return `${await identity()}-${encoderWeights}${deterministic ? `-${decoderDevice}` : ''}`
      },
      requests: new Requests(describe(engine.info), parallel + (checked.maxQueue ?? defaultQueue)),
      options: checked,
    }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** llama.cpp names the sizes it knows. */
export function describe({ description, parameters }: Engine['info']): string {
  return description.replace('?B', `${(parameters / 1e6).toFixed(1)}M`)
}

function measuredEncoder(
  { info }: Engine,
  generation: Generation,
  projector: GgufHeader,
  { encoderMemory, flashAttention }: LoadOptions,
): NonNullable<Answerer['encoder']> {
  const shape = encoderShape(projector, generation, {
    rowWidth: info.embeddingWidth,
    flashAttention: flashAttention !== 'off',
  })
  const device = initializedAddon()
    .devices()
    .find(({ description }) => description === info.encoderDevice)
  const bytes = encoderMemory ?? freeMemory(device)
  const affordable = {
    picture: affordablePixels(shape, bytes),
    frame: affordablePixels(shape, bytes, temporalPatch),
  }
  return { ...shape, affordable }
}

/** Asked for again if it failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    }))
}

function emitWarning({ code, message }: EngineWarning): void {
  process.emitWarning(message, { type: 'QwenVLWarning', code })
}
