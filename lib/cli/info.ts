/** `info`: the facts of the installation, and of a model where one is named. */
import { systemReport } from '../index'
import type { ModelInfo, SystemReport } from '../index'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { facts, json, print } from './output'

export async function info(flags: ModelFlags, signal: AbortSignal): Promise<void> {
  const system = systemReport()
  const model = flags.model ? await withModel(flags, signal, async (loaded) => loaded.info) : undefined
  const sections = [describeSystem(system), ...(model ? [describeModel(model)] : [])]
  await print(flags.json ? json({ system, model }) : sections.join('\n'), signal)
}

function describeSystem({
  version,
  llamaCpp,
  binary,
  build,
  node,
  platform,
  devices,
  memory,
}: SystemReport): string {
  return facts({
    'qwenvl-native': version,
    'llama.cpp': llamaCpp,
    binary: `${binary} (${build === 'native' ? 'for this machine' : 'for all processors'})`,
    node: `${node}, ${platform}`,
    memory: `${quantity(memory)}B`,
    devices: devices.map(({ name, description }) => `${name} (${description})`).join(', '),
  })
}

function describeModel(info: ModelInfo): string {
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
