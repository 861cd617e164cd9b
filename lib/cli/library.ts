/** `pull`, `list`, `rm`: the models in the cache of Hugging Face. */
import { basename } from 'node:path'
import { QwenVL, listModels, removeModel } from '../index'
import type { RemovedModel } from '../index'
import { hubSettings } from '../models/settings'
import { bytes, facts, json, print, table } from './output'
import { downloadProgress } from './progress'

export interface JsonFlags {
  readonly json: boolean
  readonly verbose: boolean
}

export interface PullFlags extends JsonFlags {
  readonly projector: boolean
}

export async function pull(
  model: string,
  { projector, json: asJson }: PullFlags,
  signal: AbortSignal,
): Promise<void> {
  const progress = downloadProgress()
  const pulled = await QwenVL.pull(model, { projector, signal, onProgress: progress.update }).finally(
    progress.stop,
  )
  const lines = facts({
    model: pulled.model,
    ...(pulled.mmproj !== undefined && { projector: pulled.mmproj }),
    size: pulled.files.map((file) => `${bytes(file.bytes)}${file.cached ? ' (was there)' : ''}`).join(' + '),
  })
  await print(asJson ? json(pulled) : lines, signal)
}

export async function list(flags: JsonFlags, signal: AbortSignal): Promise<void> {
  const models = await listModels()
  const rows = models.map((model) => [
    model.reference,
    model.complete ? bytes(model.bytes) : 'incomplete',
    model.projectors.map((path) => basename(path)).join(', ') || 'no projector',
  ])
  await print(flags.json ? json(models) : table(rows), signal)
  if (models.length > 0 || flags.json) return
  const { cacheDir } = await hubSettings({})
  process.stderr.write(
    `note: There are no models in ${cacheDir}. \`qwenvl-native pull\` brings them there.\n`,
  )
}

export async function remove(
  models: readonly string[],
  flags: JsonFlags,
  signal: AbortSignal,
): Promise<void> {
  const removed: (RemovedModel & { readonly model: string })[] = []
  for (const model of models) removed.push({ model, ...(await removeModel(model)) })
  const lines = removed.map(({ model, freedBytes }) => `${model}: ${bytes(freedBytes)} freed\n`)
  await print(flags.json ? json(removed) : lines.join(''), signal)
}
