/** What names a model: equal for equal content, wherever its files lie and whenever they were written. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { addon } from './engine/binding'
import type { GgufFile } from './engine/binding'
import { inspectGguf } from './engine/engine'

/** So much of each tensor is read: training changes all of them, and reading all bytes would take seconds. */
const sampleBytes = 4096

/**
 * SHA-256, hexadecimal, of what decides about the numbers that are computed: every file's identity, and `settings`.
 * @throws ModelLoadError for a file that cannot be read any more
 */
export async function identityOfAll(
  paths: readonly string[],
  settings: Readonly<Record<string, unknown>>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(settings))
  for (const path of paths) hash.update(await fileIdentity(path, await inspectGguf(path), {}))
  return hash.digest('hex')
}

/**
 * SHA-256, hexadecimal, of a GGUF file's size, its header and the beginning of every tensor; of this build, whose edits to
 * llama.cpp decide what is computed; and of `settings` that do so too.
 */
export async function fileIdentity(
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
