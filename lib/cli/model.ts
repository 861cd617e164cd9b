/** The model of a command: from flags to a loaded model, with progress on a terminal, disposed at the end. */
import { QwenVL } from '../qwenvl'

/** Flags of every command that loads a model. */
export interface ModelFlags {
  readonly model?: string
  readonly mmproj?: string
  readonly contextSize?: number
  readonly threads?: number
  readonly gpuLayers?: number
  readonly minPixels?: number
  readonly maxPixels?: number
  readonly json: boolean
  readonly verbose: boolean
}

const builtinNote =
  'No --model and no QWENVL_MODEL: the built-in model answers. It knows drawn shapes and printed words.\n'

/** Runs `work` with the model that the flags name. */
export async function withModel<T>(
  flags: ModelFlags,
  signal: AbortSignal,
  work: (model: QwenVL) => Promise<T>,
): Promise<T> {
  const { model, mmproj, contextSize, threads, gpuLayers, minPixels, maxPixels } = flags
  if (!model && process.stderr.isTTY) process.stderr.write(builtinNote)
  const loaded = await QwenVL.load({
    ...(model && { model }),
    ...(mmproj && { mmproj }),
    ...(contextSize !== undefined && { contextSize }),
    ...(threads !== undefined && { threads }),
    ...(gpuLayers !== undefined && { gpuLayers }),
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(process.stderr.isTTY && { onProgress: showProgress }),
    signal,
  }).finally(clearProgress)
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
