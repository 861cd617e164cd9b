/** The files of a model on this machine, downloaded where a reference names them. */
import { UnsupportedModelError } from '../errors'
import { builtinModel } from './builtin'
import type { PullProgress } from './meter'
import { pull } from './pull'
import { isReference } from './reference'
import type { HubOptions } from './settings'

export interface ModelSource {
  readonly model?: string
  readonly mmproj?: string | false
  readonly hub?: HubOptions
  readonly signal?: AbortSignal
  readonly onDownload?: (progress: PullProgress) => void
}

export interface LocalFiles {
  readonly model: string
  readonly mmproj: string | undefined
}

/** Paths stay as they are; without a model it is the built-in one. @throws UnsupportedModelError PROJECTOR_MISSING; like `pull` */
export async function localFiles({
  model,
  mmproj,
  hub,
  signal,
  onDownload,
}: ModelSource): Promise<LocalFiles> {
  if (model === undefined) return { ...builtinModel, ...(mmproj === false && { mmproj: undefined }) }
  const fetched = (reference: string, projector: boolean) =>
    pull(reference, {
      ...hub,
      projector,
      ...(signal && { signal }),
      ...(onDownload && { onProgress: onDownload }),
    })
  const given =
    typeof mmproj === 'string' && isReference(mmproj) ? (await fetched(mmproj, false)).model : mmproj
  if (!isReference(model)) return { model, mmproj: given || undefined }
  const pulled = await fetched(model, given === undefined)
  if (given === undefined && pulled.mmproj === undefined) throw withoutProjector(pulled.repository)
  return { model: pulled.model, mmproj: given === undefined ? pulled.mmproj : given || undefined }
}

function withoutProjector(repository: string): UnsupportedModelError {
  return new UnsupportedModelError(
    'PROJECTOR_MISSING',
    `The repository ${repository} has no vision projector (mmproj-….gguf). Name one as \`mmproj\`, choose another ` +
      'repository, or pass `mmproj: false` for a model that reads text alone.',
    { details: { repository } },
  )
}
