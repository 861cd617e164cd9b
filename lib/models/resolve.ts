/** From a reference to the files it means: asked of the hub, or of the cache where the hub is not to be had. */
import { DownloadError, QwenVLError } from '../errors'
import type { CachedFile, RepositoryCache } from './cache'
import { chooseFiles } from './choose'
import type { ChosenFiles } from './choose'
import { listRepository } from './hub'
import type { RemoteFile } from './hub'
import type { ModelReference } from './reference'
import type { Patience } from './request'
import type { HubSettings } from './settings'

export type ModelFile = RemoteFile | CachedFile

export interface ResolvedModel {
  readonly commit: string
  readonly choice: ChosenFiles<ModelFile>
}

/** A hub that cannot be reached is no error while the cache has everything. @throws DownloadError, AbortError */
export async function resolveModel(
  reference: ModelReference,
  projector: boolean,
  hub: HubSettings,
  cache: RepositoryCache,
  patience: Omit<Patience, 'retries'>,
): Promise<ResolvedModel> {
  const cached = await resolveCached(reference, projector, cache)
  if (hub.offline) {
    if (cached) return cached
    throw notCached(reference, hub)
  }
  try {
    const retries = cached ? 0 : hub.retries
    const { commit, files } = await listRepository(reference, hub, { ...patience, retries })
    return { commit, choice: chooseFiles(files, reference) }
  } catch (error) {
    if (cached && isAway(error)) return cached
    throw error
  }
}

async function resolveCached(
  reference: ModelReference,
  projector: boolean,
  cache: RepositoryCache,
): Promise<ResolvedModel | undefined> {
  const commit = await cache.commitOf(reference.revision)
  if (commit === undefined) return undefined
  try {
    const choice = chooseFiles(await cache.files(commit), reference)
    return projector && !choice.mmproj ? undefined : { commit, choice }
  } catch (error) {
    if (QwenVLError.isInstance(error)) return undefined
    throw error
  }
}

function isAway(error: unknown): boolean {
  return (
    QwenVLError.isInstance(error) && (error.code === 'HUB_UNREACHABLE' || error.code === 'HUB_RATE_LIMITED')
  )
}

function notCached({ repository, revision, choice }: ModelReference, hub: HubSettings): DownloadError {
  const name = `${repository}${revision === 'main' ? '' : `@${revision}`}${choice ? `:${choice}` : ''}`
  return new DownloadError(
    'NOT_CACHED',
    `hf:${name} is not complete in the cache (${hub.cacheDir}), and downloads are off. Unset HF_HUB_OFFLINE and run ` +
      `\`qwenvl-native pull hf:${name}\` once.`,
    { details: { repository, cacheDir: hub.cacheDir } },
  )
}
