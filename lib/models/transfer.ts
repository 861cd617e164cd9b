/** One file from a hub to a place on disk: goes on where an earlier try stopped, and ends with the right bytes or not at all. */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { DownloadError, throwIfAborted } from '../errors'
import type { RemoteFile } from './hub'
import { persist, request } from './request'
import type { Answer, Patience } from './request'
import type { HubSettings } from './settings'
import { stored } from './storage'

export interface TransferOptions extends Patience {
  readonly hub: HubSettings
  /** Bytes of the file that are on disk; 'check' where they are from before and only hashed now. */
  readonly onBytes: (bytes: number, state: 'download' | 'check') => void
}

/** How far a file is: so many bytes from its beginning are written, and this is their hash. */
interface Reached {
  position: number
  hash: Hash
  /** True where the bytes came by more than one connection. */
  joined: boolean
}

/**
 * Downloads to `partial`, then renames to `target`. Two processes at the same `partial` write the same bytes to the same
 * places: they disturb each other no more than that.
 * @throws DownloadError DOWNLOAD_CORRUPT, DISK_FULL, and those of `request`; AbortError
 */
export async function transfer(
  file: RemoteFile,
  partial: string,
  target: string,
  options: TransferOptions,
): Promise<void> {
  for (let first = true; ; first = false) {
    const { joined, oid } = await fill(file, partial, options)
    if (oid === file.oid) break
    await stored(partial, rm(partial, { force: true }))
    if (!joined || !first) throw wrongBytes(file, oid)
    // One of the parts was wrong; as a whole it may come right.
  }
  await stored(target, rename(partial, target))
}

async function fill(file: RemoteFile, partial: string, options: TransferOptions) {
  const handle = await stored(partial, open(partial, constants.O_RDWR | constants.O_CREAT))
  try {
    const reached = await readBack(handle, file, partial, options)
    if (reached.position < file.bytes) {
      await persist(
        () => receive(file, handle, partial, reached, options),
        options,
        () => reached.position,
      )
    }
    await stored(partial, handle.truncate(file.bytes))
    await stored(partial, handle.sync())
    return { joined: reached.joined, oid: reached.hash.digest('hex') }
  } finally {
    await handle.close()
  }
}

/** Hashes what an earlier try left. */
async function readBack(
  handle: FileHandle,
  file: RemoteFile,
  partial: string,
  options: TransferOptions,
): Promise<Reached> {
  const reached: Reached = { position: 0, hash: hashOf(file), joined: false }
  const { size } = await handle.stat()
  if (size > file.bytes) return reached
  const buffer = Buffer.allocUnsafe(1 << 20)
  while (reached.position < size) {
    throwIfAborted(options.signal)
    const { bytesRead } = await stored(partial, handle.read(buffer, 0, buffer.length, reached.position))
    if (bytesRead === 0) break
    reached.hash.update(buffer.subarray(0, bytesRead))
    reached.position += bytesRead
    options.onBytes(reached.position, 'check')
  }
  return reached
}

/** One connection: writes what it brings, from `reached` on. */
async function receive(
  file: RemoteFile,
  handle: FileHandle,
  partial: string,
  reached: Reached,
  { hub, signal, onBytes }: TransferOptions,
): Promise<void> {
  const headers = reached.position > 0 ? { range: `bytes=${reached.position}-` } : {}
  await request(file.url, { headers }, hub, signal, async (answer) => {
    if (answer.response.status !== 206) Object.assign(reached, { position: 0, hash: hashOf(file) })
    reached.joined = reached.position > 0
    checkLength(answer, file, reached.position)
    for await (const chunk of answer.chunks) {
      if (reached.position + chunk.length > file.bytes) throw wrongLength(file, 'more')
      await stored(partial, handle.write(chunk, 0, chunk.length, reached.position))
      reached.hash.update(chunk)
      reached.position += chunk.length
      onBytes(reached.position, 'download')
    }
    if (reached.position < file.bytes) throw new Error(`the connection ended after ${reached.position} bytes`)
  })
}

/** Before anything is written: is it the file that was announced, from the right place on? */
function checkLength({ response: { status, headers } }: Answer, file: RemoteFile, position: number): void {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '')
  const length = headers.get('content-length')
  if (status === 206) {
    const [, start, total] = range ?? []
    if (Number(start) !== position) throw wrongLength(file, `a part from byte ${start ?? '?'} on`)
    if (total !== '*' && Number(total) !== file.bytes) throw wrongLength(file, total ?? '?')
  } else if (status !== 200 || (length !== null && Number(length) !== file.bytes)) {
    throw wrongLength(file, length ?? 'other')
  }
}

/** A hub names LFS files by SHA-256 and others as git does. */
function hashOf({ oid, bytes }: RemoteFile): Hash {
  return oid.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`)
}

function wrongBytes({ path, oid, url }: RemoteFile, actual: string): DownloadError {
  return new DownloadError(
    'DOWNLOAD_CORRUPT',
    `The bytes of ${path} are not those that the hub promises (hash ${actual.slice(0, 12)}… instead of ` +
      `${oid.slice(0, 12)}…). They were thrown away. Try again; a proxy or a mirror may be at fault.`,
    { details: { path, url, expected: oid, actual } },
  )
}

function wrongLength({ path, bytes, url }: RemoteFile, actual: string): DownloadError {
  return new DownloadError(
    'DOWNLOAD_CORRUPT',
    `The answer for ${path} has another length than the hub promises (${actual} instead of ${bytes} bytes). ` +
      'A proxy or a mirror may be at fault.',
    { details: { path, url, expected: bytes, actual } },
  )
}
