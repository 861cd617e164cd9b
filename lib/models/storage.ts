/** Errors of the disk that holds the cache, typed. */
import { statfs } from 'node:fs/promises'
import { DownloadError } from '../errors'

const elsewhere = 'set HF_HUB_CACHE to a folder on another disk'

/** What `work` gives, its errors told as those of a cache. @throws DownloadError DISK_FULL, CACHE_NOT_WRITABLE */
export async function stored<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) throw diskFull(path, 'It is full.', error)
    throw new DownloadError(
      'CACHE_NOT_WRITABLE',
      `The cache of models cannot be used: ${message}. Check the permissions, or ${elsewhere}.`,
      { cause: error, details: { path } },
    )
  }
}

/** @throws DownloadError DISK_FULL where `bytes` more would not fit into `folder` */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await stored(folder, statfs(folder))
  const free = bavail * bsize
  if (bytes <= free) return
  const giga = (value: number) => `${(value / 1e9).toFixed(1)} GB`
  throw diskFull(folder, `${giga(bytes)} are missing, ${giga(free)} are free.`)
}

function diskFull(path: string, why: string, cause?: unknown): DownloadError {
  const message = `There is no room for the model at ${path}. ${why} Free some, or ${elsewhere}; what was downloaded is kept.`
  return new DownloadError('DISK_FULL', message, { cause, details: { path } })
}
