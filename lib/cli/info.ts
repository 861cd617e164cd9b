/** `info`: the facts of a model. */
import type { ModelInfo } from '../index'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { facts, json, print } from './output'

export async function info(flags: ModelFlags, signal: AbortSignal): Promise<void> {
  await withModel(flags, signal, (model) =>
    print(flags.json ? json(model.info) : describe(model.info), signal),
  )
}

/** For people: one fact a line. */
export function describe(info: ModelInfo): string {
  const { factor, minPixels, maxPixels } = info.image
  const tokens = (pixels: number) => Math.round(pixels / factor ** 2)
  return facts({
    generation: `${info.generationName} (${info.generation})`,
    model: info.description,
    parameters: quantity(info.parameters),
    'weights in memory': `${quantity(info.modelBytes)}B`,
    context: `${info.contextSize} tokens (trained for ${info.trainContextSize})`,
    vocabulary: `${info.vocabSize} tokens`,
    'embedding width': info.embeddingWidth,
    pictures: `${minPixels} to ${maxPixels} pixels (${tokens(minPixels)} to ${tokens(maxPixels)} tokens), sides in steps of ${factor}`,
    decoder: info.decoder,
    'picture encoder': info.encoder ?? 'none: pass --mmproj',
    threads: info.threads,
    sampling: Object.entries(info.sampling)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  })
}

/** E.g. 3.1 G. */
function quantity(value: number): string {
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3))
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${' kMGT'.charAt(power).trim()}`
}
