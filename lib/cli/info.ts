/** `info`: the facts of the installation, and of the model. */
import { systemReport } from '../index'
import type { ModelInfo, SystemReport } from '../index'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { bytes, facts, json, print, quantity } from './output'

export async function info(flags: ModelFlags, signal: AbortSignal): Promise<void> {
  const system = systemReport()
  const model = await withModel(flags, signal, async (loaded) => loaded.info)
  const text = `${describeSystem(system)}\n${describeModel(model)}`
  await print(flags.json ? json({ system, model }) : text, signal)
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
    memory: bytes(memory),
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
    'weights in memory': bytes(info.modelBytes),
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
