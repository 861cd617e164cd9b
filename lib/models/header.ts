/** The header of a GGUF file on a hub, read by range requests: some megabytes instead of the whole file. */
import { GGMLQuantizationType, gguf } from '@huggingface/gguf'
import type { GgufHeader, GgufValue } from '../engine/binding'
import { DownloadError, QwenVLError } from '../errors'
import type { RemoteFile } from './hub'
import { hubFetch } from './request'
import type { Patience } from './request'
import type { HubSettings } from './settings'

/** What the reader asks for at a time, and some more. */
const maxPartBytes = 4e6
/** Longer arrays (the vocabulary) are left out, as the native reader does. */
const longestArray = 64

/** @throws DownloadError DOWNLOAD_CORRUPT where it is no GGUF, and those of `hubFetch`; AbortError */
export async function remoteHeader(
  file: RemoteFile,
  hub: HubSettings,
  patience: Patience,
): Promise<GgufHeader> {
  try {
    const { metadata, tensorInfos } = await gguf(file.url, { fetch: hubFetch(hub, patience, maxPartBytes) })
    return {
      fileBytes: file.bytes,
      metadata: Object.fromEntries(Object.entries(metadata).flatMap(([key, value]) => entryOf(key, value))),
      tensors: tensorInfos.map(({ name, shape, dtype }) => ({
        name,
        type: GGMLQuantizationType[dtype].toLowerCase(),
        shape: shape.map(Number),
      })),
    }
  } catch (error) {
    if (QwenVLError.isInstance(error)) throw error
    throw new DownloadError(
      'DOWNLOAD_CORRUPT',
      `The header of ${file.path} cannot be read: ${(error as Error).message}. The file on the hub may be damaged.`,
      { cause: error, details: { path: file.path, url: file.url } },
    )
  }
}

function entryOf(key: string, value: unknown): [string, GgufValue][] {
  if (Array.isArray(value)) {
    const values = value.map(scalar).filter((entry) => entry !== undefined)
    return value.length > longestArray ? [] : [[key, values]]
  }
  const single = scalar(value)
  return single === undefined ? [] : [[key, single]]
}

function scalar(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : undefined
}
