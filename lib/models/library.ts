/** The models in the cache: which there are, and how they go. */
import { DownloadError } from '../errors'
import { RepositoryCache, cachedRepositories } from './cache'
import type { CachedFile } from './cache'
import { isProjector, modelsIn } from './choose'
import { parseReference } from './reference'
import { hubSettings } from './settings'
import type { HubOptions } from './settings'

/** A model in the cache. */
export interface CachedModel {
  /** As `QwenVL.load()` takes it. */
  readonly reference: string
  readonly repository: string
  readonly commit: string
  readonly quantisation: string | undefined
  /** Of the model's own files. */
  readonly bytes: number
  /** False where files of a split model are missing. */
  readonly complete: boolean
  /** Paths on this machine. */
  readonly files: readonly string[]
  /** Projectors of the same repository. */
  readonly projectors: readonly string[]
}

export interface RemovedModel {
  readonly files: readonly string[]
  readonly freedBytes: number
}

/** The models in the cache, also those that other programs of Hugging Face put there. */
export async function listModels(options: HubOptions = {}): Promise<CachedModel[]> {
  const { cacheDir } = await hubSettings(options)
  const models: CachedModel[] = []
  for (const repository of (await cachedRepositories(cacheDir)).sort()) {
    const cache = new RepositoryCache(cacheDir, repository)
    for (const commit of await cache.commits()) {
      models.push(...modelsOf(repository, commit, await cache.files(commit), await cache.commitOf('main')))
    }
  }
  return models
}

function modelsOf(
  repository: string,
  commit: string,
  files: readonly CachedFile[],
  main: string | undefined,
): CachedModel[] {
  const models = modelsIn(files)
  const revision = commit === main ? '' : `@${commit}`
  return models.map(({ quantisation, files: parts, parts: count }) => {
    const isOnly = models.filter((model) => model.quantisation === quantisation).length === 1
    const choice = quantisation !== undefined && isOnly ? quantisation : parts[0].path
    return {
      reference: `hf:${repository}${revision}:${choice}`,
      repository,
      commit,
      quantisation,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      complete: parts.length === count,
      files: parts.map(({ local }) => local),
      projectors: files.filter(isProjector).map(({ local }) => local),
    }
  })
}

/**
 * Removes a model from the cache: one quantisation or file, or all GGUF files of a repository where the reference names none.
 * Projectors go with the last model. What other programs keep there stays.
 * @throws InvalidArgumentError; DownloadError NOT_CACHED, CACHE_NOT_WRITABLE
 */
export async function removeModel(model: string, options: HubOptions = {}): Promise<RemovedModel> {
  const { repository, revision, choice } = parseReference(model)
  const { cacheDir } = await hubSettings(options)
  const cache = new RepositoryCache(cacheDir, repository)
  const meant = revision === 'main' ? undefined : await cache.commitOf(revision)
  const going: CachedFile[] = []
  const staying: CachedFile[] = []
  for (const commit of await cache.commits()) {
    const files = await cache.files(commit)
    const chosen = revision === 'main' || commit === meant ? goingOf(files, choice) : []
    for (const file of files) (chosen.includes(file) ? going : staying).push(file)
  }
  const partials = staying.length === 0 ? await cache.partials() : []
  if (going.length + partials.length === 0) throw notThere(model, cacheDir)
  const blobs = new Map(going.map(({ blob, bytes }) => [blob, bytes]))
  for (const { blob } of staying) blobs.delete(blob) // another revision has the same file
  for (const { path, bytes } of partials) blobs.set(path, bytes)
  for (const path of [...going.map(({ local }) => local), ...blobs.keys()]) await cache.remove(path)
  await cache.tidy()
  return {
    files: going.map(({ local }) => local),
    freedBytes: [...blobs.values()].reduce((sum, bytes) => sum + bytes, 0),
  }
}

function goingOf(files: readonly CachedFile[], choice: string | undefined): readonly CachedFile[] {
  if (choice === undefined) return files
  const models = modelsIn(files)
  const chosen = models.filter(
    ({ quantisation, files: parts }) =>
      quantisation === choice.toUpperCase() || parts.some(({ path }) => path === choice),
  )
  if (chosen.length === models.length && models.length > 0) return files
  const named = files.filter(({ path }) => path === choice) // also a projector
  return [...named, ...chosen.flatMap(({ files: parts }) => parts)]
}

function notThere(model: string, cacheDir: string): DownloadError {
  return new DownloadError(
    'NOT_CACHED',
    `${model} is not in the cache (${cacheDir}). \`qwenvl-native list\` shows what is.`,
    { details: { cacheDir } },
  )
}
