/**
 * The file of a saved chat: its messages with token ids, and media as the model saw them, with their identities; and what
 * was computed of it.
 *
 * Layout: 8 bytes `QVLCHAT` and a newline; little-endian the version and the length of the JSON, 32 bits each, and of the
 * media, 64 bits; the JSON; the bytes of media, one after the other; SHA-256 of all that; what the engine appended. In the
 * JSON an array stands as the place of its bytes.
 */
import { createHash, randomUUID } from 'node:crypto'
import { open, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isFloat32Array, isInt32Array } from 'node:util/types'
import type { Answerer } from './answer'
import { ChatFileError, QwenVLError, throwIfAborted } from './errors'
import type { LoadOptions } from './options'
import { imageEmbedding, videoEmbedding } from './prompt/messages'
import type { NormalisedMessage, NormalisedPart } from './prompt/normalise'
import type { MediaPart, PictureMemory, PreparedMedium } from './reading'
import type { KeptState } from './state'

const magic = Buffer.from('QVLCHAT\n')
const version = 2
const headerBytes = magic.length + 16
const checksumBytes = 32
/** Hashed at a time: longer ones would hold the event loop. */
const sliceBytes = 1 << 20

const arrays = { Uint8Array, Float32Array, Int32Array }
type Stored = InstanceType<(typeof arrays)[keyof typeof arrays]>

/** What token ids and sizes in the file depend on. */
interface Belonging {
  readonly generation: string
  readonly vocabSize: number
}

export interface Content extends Belonging {
  readonly messages: readonly SavedMessage[]
  /** What the model was loaded with. */
  readonly load: LoadOptions
  /** What was computed follows. */
  readonly state?: true
}

/** A chat file that was read and is whole. */
export interface ChatFile {
  readonly path: string
  readonly content: Content
  /** Where in it lies what was computed; undefined: it has none. */
  readonly stateOffset: number | undefined
}

/** What was written. */
export interface SavedChat {
  /** Size of the file. */
  readonly bytes: number
  /** With `kv`: what of these is the KV memory. */
  readonly kv?: KeptState
}

type SavedMessage = Omit<NormalisedMessage, 'parts'> & { readonly parts: readonly SavedPart[] }
type SavedPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: MediaPart['type']; readonly cache?: string; readonly medium: PreparedMedium }

/**
 * @param appendState Adds what was computed to the file.
 * @throws ChatFileError CHAT_NOT_WRITABLE, AbortError
 */
export async function writeChatFile(
  path: string,
  maker: Answerer,
  messages: readonly NormalisedMessage[],
  preparedOf: (part: MediaPart) => PreparedMedium | undefined,
  signal: AbortSignal | undefined,
  appendState?: (path: string) => Promise<KeptState>,
): Promise<SavedChat> {
  const content: Content = {
    ...belongingOf(maker),
    load: maker.reload,
    ...(appendState && { state: true }),
    messages: messages.map((message) => ({
      ...message,
      parts: message.parts.map((part) => savedPart(part, preparedOf)),
    })),
  }
  const blobs: ArrayBufferView[] = []
  let offset = 0
  const json = Buffer.from(
    JSON.stringify(content, function (this: Record<string, unknown>, key, value: unknown) {
      const given = this[key] // of a Buffer, `value` is already what its toJSON() makes of it
      if (!ArrayBuffer.isView(given)) return value
      blobs.push(given)
      const place: Place = { [placeKey]: [offset, given.byteLength, typeOf(given)] }
      offset += given.byteLength
      return place
    }),
  )
  const header = Buffer.alloc(headerBytes)
  magic.copy(header)
  header.writeUInt32LE(version, magic.length)
  header.writeUInt32LE(json.length, magic.length + 4)
  header.writeBigUInt64LE(BigInt(offset), magic.length + 8)
  const temporary = `${path}.${randomUUID()}.new` // several may save to one place at a time
  try {
    const handle = await open(temporary, 'w')
    try {
      await writeAll(handle, [header, json, ...blobs.map(bytesOf)], signal)
      await handle.sync()
    } finally {
      await handle.close()
    }
    const kv = await appendState?.(temporary)
    const { size: bytes } = await stat(temporary)
    await rename(temporary, path)
    return { bytes, ...(kv && { kv }) }
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    if (QwenVLError.isInstance(error)) throw error
    throw new ChatFileError(
      'CHAT_NOT_WRITABLE',
      `The chat cannot be written to ${path}: ${(error as Error).message}. Name another place.`,
      { cause: error, details: { path } },
    )
  }
}

/** @throws ChatFileError FILE_NOT_FOUND, CHAT_CORRUPT, CHAT_FOREIGN */
export async function readChatFile(path: string): Promise<ChatFile> {
  const handle = await open(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  try {
    return await contentOf(handle, path)
  } catch (error) {
    throw QwenVLError.isInstance(error) ? error : unreadable(path, error)
  } finally {
    await handle.close()
  }
}

/**
 * The messages of a chat, for a model of its kind; `memory` gets their media.
 * @throws ChatFileError CHAT_CORRUPT, CHAT_FOREIGN
 */
export function messagesOf(
  { path, content }: ChatFile,
  maker: Answerer,
  memory: PictureMemory,
): NormalisedMessage[] {
  const { generation, vocabSize } = belongingOf(maker)
  if (content.generation !== generation || content.vocabSize !== vocabSize) {
    throw foreign(
      path,
      `was saved with a ${content.generation} model of ${content.vocabSize} tokens; this one is ${generation} ` +
        `with ${vocabSize}. Load it with a model of its own kind`,
    )
  }
  try {
    return content.messages.map((message) => ({
      ...message,
      parts: message.parts.map((part) => loadedPart(part, memory)),
    }))
  } catch (error) {
    throw corrupt(path, error)
  }
}

async function contentOf(handle: FileHandle, path: string): Promise<ChatFile> {
  const { size } = await handle.stat()
  const header = await readAt(handle, 0, Math.min(size, headerBytes))
  if (!header.subarray(0, magic.length).equals(magic.subarray(0, Math.min(magic.length, size))) || size === 0)
    throw foreign(path, 'is no chat that save() wrote')
  if (header.length < headerBytes) throw corrupt(path)
  const found = header.readUInt32LE(magic.length)
  if (found !== version)
    throw foreign(
      path,
      `has version ${found}, this package reads version ${version}: use the one that wrote it`,
    )
  const media = headerBytes + header.readUInt32LE(magic.length + 4)
  const end = media + Number(header.readBigUInt64LE(magic.length + 8))
  if (end + checksumBytes > size) throw corrupt(path)
  const bytes = await readAt(handle, 0, end + checksumBytes)
  const hash = createHash('sha256')
  for (let start = 0; start < end; start += sliceBytes) {
    hash.update(bytes.subarray(start, Math.min(start + sliceBytes, end)))
    await nextTurn()
  }
  if (!hash.digest().equals(bytes.subarray(end))) throw corrupt(path)
  let content: Content
  try {
    content = JSON.parse(bytes.toString('utf8', headerBytes, media), (_, value: unknown) =>
      isPlace(value) ? storedAt(bytes.subarray(media, end), value) : value,
    ) as Content
  } catch (error) {
    throw corrupt(path, error)
  }
  if (!content.state && size > bytes.length) throw corrupt(path)
  return { path, content, stateOffset: content.state && bytes.length }
}

/** Less where the file became shorter meanwhile. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) return buffer.subarray(0, done)
    done += bytesRead
  }
  return buffer
}

function savedPart(
  part: NormalisedPart,
  preparedOf: (part: MediaPart) => PreparedMedium | undefined,
): SavedPart {
  if (part.type === 'text') return part
  const medium = 'embedding' in part ? part.embedding : preparedOf(part)
  if (!medium) throw new QwenVLError('INTERNAL', 'A medium of the chat was not read.')
  const cache = 'options' in part ? part.options.cache : undefined
  return { type: part.type, medium, ...(cache && { cache }) }
}

function loadedPart(saved: SavedPart, memory: PictureMemory): NormalisedPart {
  if (!('medium' in saved)) return saved
  const { type, medium, cache } = saved
  const options = cache === undefined ? {} : { cache: cache as 'memory' | 'disk' | 'none' }
  if ('hashes' in medium) return { type: 'video_embedding', embedding: videoEmbedding(medium) }
  if ('data' in medium) return { type: 'embedding', embedding: imageEmbedding(medium) }
  // What it was read from is not asked again: the memory has it.
  const { width, height } = medium
  const raw = (data: Uint8Array) => ({ data, width, height, channels: 3 }) as const
  const part: MediaPart =
    'pairs' in medium
      ? { type: 'video', source: medium.pairs.map(({ pixels }) => raw(pixels)), options }
      : { type: 'image', source: raw(medium.pixels), options }
  if (part.type !== type) throw new QwenVLError('INTERNAL', 'A saved medium is of another type.')
  memory.set(part, medium)
  return part
}

async function writeAll(
  handle: FileHandle,
  chunks: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256')
  for (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += sliceBytes) {
      throwIfAborted(signal)
      const slice = chunk.subarray(start, start + sliceBytes)
      hash.update(slice)
      await handle.appendFile(slice)
    }
  }
  await handle.appendFile(hash.digest())
}

function belongingOf({ generation, engine }: Answerer): Belonging {
  return { generation: generation.id, vocabSize: engine.info.vocabSize }
}

/** Where the elements of an array lie among the media: offset and length in bytes, type. No caller's key looks like this. */
const placeKey = '\u0000at'
interface Place {
  readonly [placeKey]: readonly [number, number, keyof typeof arrays]
}

function isPlace(value: unknown): value is Place {
  return typeof value === 'object' && value !== null && placeKey in value
}

function storedAt(media: Buffer, { [placeKey]: [offset, length, type] }: Place): Stored {
  const copy = Uint8Array.from(media.subarray(offset, offset + length))
  return type === 'Uint8Array' ? copy : new arrays[type](copy.buffer)
}

/** By what they are: under jest and in other realms `instanceof` is false. */
function typeOf(value: ArrayBufferView): keyof typeof arrays {
  return isFloat32Array(value) ? 'Float32Array' : isInt32Array(value) ? 'Int32Array' : 'Uint8Array'
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function unreadable(path: string, cause: unknown): ChatFileError {
  const message = `The chat ${path} cannot be read: ${(cause as Error).message}.`
  return new ChatFileError('FILE_NOT_FOUND', message, { cause, details: { path } })
}

function corrupt(path: string, cause?: unknown): ChatFileError {
  const message = `The chat ${path} is damaged or cut off. Save it again, or use a copy.`
  return new ChatFileError('CHAT_CORRUPT', message, { cause, details: { path } })
}

function foreign(path: string, why: string): ChatFileError {
  return new ChatFileError('CHAT_FOREIGN', `The file ${path} ${why}.`, { details: { path } })
}
