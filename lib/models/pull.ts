/** Downloads a model and its projector into the cache, or finds them there. */
import { throwIfAborted } from '../errors'
import { RepositoryCache, sizeOf } from './cache'
import type { RemoteFile } from './hub'
import { withLock } from './lock'
import { Meter } from './meter'
import type { PullProgress } from './meter'
import { parseReference } from './reference'
import { resolveModel } from './resolve'
import type { ModelFile } from './resolve'
import { hubSettings } from './settings'
import type { HubOptions, HubSettings } from './settings'
import { checkRoom } from './storage'
import { transfer } from './transfer'

export interface PullOptions extends HubOptions {
  /** Fetch the projector too. Default true. */
  readonly projector?: boolean
  /** Stops; what is downloaded is kept for the next time. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
}

/** A model in the cache. */
export interface PulledModel {
  readonly repository: string
  readonly commit: string
  /** E.g. `Q4_K_M`; undefined where the file's name tells none. */
  readonly quantisation: string | undefined
  /** Paths on this machine, as for `QwenVL.load()`; of a split model the first file. */
  readonly model: string
  readonly mmproj: string | undefined
  readonly files: ReadonlyArray<{
    /** Path in the repository. */
    readonly path: string
    readonly local: string
    readonly bytes: number
    /** True where it was there before. */
    readonly cached: boolean
  }>
}

/**
 * Downloads what a reference such as `hf:Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M` means: the model, all parts of a split one,
 * and its projector. Goes on where an earlier try stopped; every file is checked by its hash.
 * @throws InvalidArgumentError; DownloadError with HUB_NOT_FOUND, HUB_ACCESS_DENIED, HUB_RATE_LIMITED, HUB_UNREACHABLE,
 *   NOT_CACHED, DOWNLOAD_CORRUPT, DISK_FULL, CACHE_NOT_WRITABLE; AbortError
 */
export async function pull(model: string, options: PullOptions = {}): Promise<PulledModel> {
  const { projector = true, signal, onProgress = () => undefined } = options
  const reference = parseReference(model)
  throwIfAborted(signal)
  const hub = await hubSettings(options)
  const cache = new RepositoryCache(hub.cacheDir, reference.repository)
  const onWait = (_: number, { message }: Error) => new Meter(0, 0, onProgress).wait(message)
  const { commit, choice } = await resolveModel(reference, projector, hub, cache, { signal, onWait })
  const mmproj = projector ? choice.mmproj : undefined
  const files = mmproj ? [...choice.model, mmproj] : choice.model
  const missing = await missingFiles(files, commit, cache)
  if (missing.length > 0) await download(missing, { files, commit, hub, cache, signal, onProgress })
  await cache.remember(reference.revision, commit)
  return {
    repository: reference.repository,
    commit,
    quantisation: choice.quantisation,
    model: cache.pointer(commit, choice.model[0].path),
    mmproj: mmproj && cache.pointer(commit, mmproj.path),
    files: files.map((file) => ({
      path: file.path,
      local: cache.pointer(commit, file.path),
      bytes: file.bytes,
      cached: !missing.some(({ path }) => path === file.path),
    })),
  }
}

/** Files of the hub that the cache does not have at this commit. */
export async function missingFiles(
  files: readonly ModelFile[],
  commit: string,
  cache: RepositoryCache,
): Promise<RemoteFile[]> {
  const missing: RemoteFile[] = []
  for (const file of files) if ('url' in file && !(await cache.has(commit, file))) missing.push(file)
  return missing
}

interface Download {
  readonly files: readonly ModelFile[]
  readonly commit: string
  readonly hub: HubSettings
  readonly cache: RepositoryCache
  readonly signal: AbortSignal | undefined
  readonly onProgress: (progress: PullProgress) => void
}

async function download(
  missing: readonly RemoteFile[],
  { files, hub, cache, ...rest }: Download,
): Promise<void> {
  const { commit, signal, onProgress } = rest
  await cache.prepare()
  const [total, absent] = [bytesOf(files), bytesOf(missing)]
  await checkRoom(cache.folder, absent - (await bytesPresent(missing, cache)))
  const meter = new Meter(total, total - absent, onProgress)
  for (const file of missing) {
    meter.start(file.path)
    const onWait = () => meter.wait('another process is downloading it')
    await withLock(cache.lock(file.oid), { signal, onWait }, () =>
      fetchBlob(file, meter, { hub, cache, signal }),
    )
    await cache.link(commit, file.path, file.oid)
    meter.finish(file.bytes)
  }
}

async function fetchBlob(
  file: RemoteFile,
  meter: Meter,
  { hub, cache, signal }: Pick<Download, 'hub' | 'cache' | 'signal'>,
): Promise<void> {
  // Of another revision, or of whoever held the lock before.
  if ((await sizeOf(cache.blob(file.oid))) === file.bytes) return
  await transfer(file, cache.partial(file.oid), cache.blob(file.oid), {
    hub,
    signal,
    retries: hub.retries,
    onBytes: (bytes, state) => meter.reach(bytes, state),
    onWait: (_, reason) => meter.wait(reason.message),
  })
}

async function bytesPresent(files: readonly RemoteFile[], cache: RepositoryCache): Promise<number> {
  const places = files.flatMap(({ oid }) => [cache.blob(oid), cache.partial(oid)])
  const sizes = await Promise.all(places.map(sizeOf))
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
}

function bytesOf(files: ReadonlyArray<{ readonly bytes: number }>): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}
