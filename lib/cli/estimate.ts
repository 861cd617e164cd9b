/** `estimate`: what a model would take, before it is downloaded. */
import { QwenVL } from '../index'
import type { Estimate } from '../index'
import { modelOptions } from './model'
import type { ModelFlags } from './model'
import { bytes, facts, json, print } from './output'
import { pictureSize } from './picture'

export interface EstimateFlags extends ModelFlags {
  /** E.g. 1920x1080. */
  readonly picture?: string
}

export async function estimate(
  model: string | undefined,
  flags: EstimateFlags,
  signal: AbortSignal,
): Promise<void> {
  const options = { ...modelOptions(model === undefined ? flags : { ...flags, model }), signal }
  const estimated = await QwenVL.estimate(options, ...(flags.picture ? [pictureSize(flags.picture)] : []))
  await print(flags.json ? json(estimated) : describe(estimated), signal)
}

function describe({ memory, picture, ...estimated }: Estimate): string {
  const { files, downloadBytes, device, available, fits } = estimated
  const size =
    picture && `${bytes(memory.picture)} for ${picture.width}×${picture.height} (${picture.tokens} tokens)`
  return facts({
    generation: estimated.generationName,
    files: files.map((file) => `${file.path} (${bytes(file.bytes)})`).join(', '),
    download: downloadBytes === 0 ? 'nothing, all is here' : bytes(downloadBytes),
    weights: `${bytes(memory.weights)}, projector ${bytes(memory.projector)}`,
    context: `${bytes(memory.context)} for ${estimated.contextSize} tokens`,
    computing: bytes(memory.compute),
    ...(size !== undefined && { picture: size }),
    together: bytes(memory.total),
    'free here': `${bytes(available)} (${device})`,
    fits: fits ? 'yes' : 'no: choose a smaller quantisation, --context-size or --max-pixels',
  })
}
