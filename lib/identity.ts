/** What names a vision encoder: equal for equal content, wherever its file lies and whenever it was written. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { addon } from './engine/binding'
import type { GgufFile } from './engine/binding'

/** So much of each tensor is read: training changes all of them, and reading all bytes would take seconds. */
const sampleBytes = 4096

/**
 * SHA-256, hexadecimal, of a projector's size, its header and the beginning of every tensor; of this build, whose edits to
 * llama.cpp decide what is computed; and of `settings` that do so too.
 */
export async function encoderIdentity(
  path: string,
  { fileBytes, tensors }: GgufFile,
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const { version, llamaCpp, edits } = addon().buildInfo()
  const hash = createHash('sha256').update(JSON.stringify({ version, llamaCpp, edits, settings, fileBytes }))
  const headerBytes = Math.min(fileBytes, ...tensors.map(({ offset }) => offset))
  const file = await open(path)
  try {
    const read = async (length: number, position: number) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
      hash.update(buffer.subarray(0, bytesRead))
    }
    await read(headerBytes, 0)
    for (const { offset, bytes } of tensors) await read(Math.min(bytes, sampleBytes), offset)
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}
