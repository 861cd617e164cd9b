/** The model of a command: from flags to a loaded model, with progress on a terminal, disposed at the end. */
import type { LoadOptions, LoraAdapter } from '../index'
import { QwenVL } from '../qwenvl'
import { downloadProgress } from './progress'

/** Flags of every command that loads a model. */
export interface ModelFlags {
  readonly model?: string
  readonly mmproj?: string
  readonly contextSize?: number
  readonly threads?: number
  readonly gpuLayers?: number
  readonly minPixels?: number
  readonly maxPixels?: number
  readonly reference?: 'transformers' | 'qwen-vl-utils'
  readonly ffmpeg?: string
  /** Answers that are computed at the same time. */
  readonly parallel?: number
  /** Files of adapters, each with `=scale` behind it or not. */
  readonly lora?: readonly string[]
  readonly allowPrivateAddresses: boolean
  readonly json: boolean
  readonly verbose: boolean
}

/** The model that the flags name; without one the built-in model. */
export function modelOptions(flags: ModelFlags): LoadOptions {
  const {
    model,
    mmproj,
    contextSize,
    threads,
    gpuLayers,
    minPixels,
    maxPixels,
    reference,
    ffmpeg,
    parallel,
    lora = [],
    allowPrivateAddresses,
  } = flags
  return {
    ...(model && { model }),
    ...(mmproj && { mmproj }),
    ...(contextSize !== undefined && { contextSize }),
    ...(threads !== undefined && { threads }),
    ...(gpuLayers !== undefined && { gpuLayers }),
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(reference && { reference }),
    ...(ffmpeg && { ffmpegPath: ffmpeg }),
    ...(parallel !== undefined && { parallel }),
    ...(lora.length > 0 && { lora: lora.map(adapter) }),
    ...(allowPrivateAddresses && { allowPrivateAddresses }),
  }
}

/** `style.gguf` or `style.gguf=0.5`. */
function adapter(text: string): LoraAdapter {
  const [, path = text, scale] = /^(.+)=([-+.\de]+)$/i.exec(text) ?? []
  return { path, ...(scale !== undefined && { scale: Number(scale) }) }
}

/** Runs `work` with the model that the flags name, loaded with `more` options. */
export async function withModel<T>(
  flags: ModelFlags,
  signal: AbortSignal,
  work: (model: QwenVL) => Promise<T>,
  more: Partial<LoadOptions> = {},
): Promise<T> {
  const download = downloadProgress()
  const loaded = await QwenVL.load({
    ...modelOptions(flags),
    ...more,
    onDownload: download.update,
    onProgress: (share) => {
      download.stop()
      if (process.stderr.isTTY) showProgress(share)
    },
    signal,
  }).finally(() => {
    download.stop()
    clearProgress()
  })
  try {
    return await work(loaded)
  } finally {
    await loaded.dispose()
  }
}

function showProgress(share: number): void {
  process.stderr.write(`\rloading ${Math.round(share * 100)} %`)
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}
