/** What a hub knows of a repository: the commit behind a revision, and its files with sizes and hashes. */
import { listFiles, modelInfo } from '@huggingface/hub'
import { DownloadError } from '../errors'
import { isInside } from './reference'
import type { ModelReference } from './reference'
import { hubFetch } from './request'
import type { Patience } from './request'
import type { HubSettings } from './settings'

/** A file of a repository at a commit. */
export interface RemoteFile {
  readonly path: string
  readonly bytes: number
  /** Hash of the content: SHA-256 of an LFS file, else git's own SHA-1. Names the file in the cache. */
  readonly oid: string
  readonly url: string
}

export interface Listing {
  readonly commit: string
  readonly files: readonly RemoteFile[]
}

const maxListingBytes = 64e6

/** @throws DownloadError HUB_NOT_FOUND, HUB_ACCESS_DENIED, HUB_RATE_LIMITED, HUB_UNREACHABLE; AbortError */
export async function listRepository(
  { repository, revision }: ModelReference,
  hub: HubSettings,
  patience: Patience,
): Promise<Listing> {
  const common = { hubUrl: hub.endpoint, fetch: hubFetch(hub, patience, maxListingBytes) }
  const { sha: commit } = await modelInfo({
    ...common,
    name: repository,
    revision,
    additionalFields: ['sha'],
  })
  if (!/^[0-9a-f]{40}$/.test(commit)) throw strange(hub, `commit '${commit}'`)
  const files: RemoteFile[] = []
  for await (const entry of listFiles({ ...common, repo: repository, revision: commit, recursive: true })) {
    if (entry.type !== 'file' || !/\.gguf$/i.test(entry.path)) continue
    const { path, lfs, size } = entry
    const [oid, bytes] = [lfs?.oid ?? entry.oid ?? '', lfs?.size ?? size]
    // All three become parts of paths on this machine.
    if (!isInside(path) || !/^([0-9a-f]{64}|[0-9a-f]{40})$/.test(oid) || !Number.isSafeInteger(bytes)) {
      throw strange(hub, `file '${path}'`)
    }
    const name = path.split('/').map(encodeURIComponent).join('/')
    files.push({ path, bytes, oid, url: `${hub.endpoint}/${repository}/resolve/${commit}/${name}` })
  }
  return { commit, files }
}

function strange({ endpoint }: HubSettings, what: string): DownloadError {
  return new DownloadError(
    'DOWNLOAD_CORRUPT',
    `${endpoint} lists a ${what} that cannot be right. Check HF_ENDPOINT.`,
  )
}
