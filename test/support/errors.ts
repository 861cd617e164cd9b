/** Errors as tests expect them, and files made for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QwenVLError } from '../../lib'

export interface Expected {
  readonly type: new (...args: never[]) => QwenVLError
  /** Of several, one. */
  readonly code: string | readonly string[]
  /** What the message must say: the place of the fault and the fix. */
  readonly says: readonly string[]
}

/** The error of a call, checked. */
export async function expectError(call: () => unknown, { type, code, says }: Expected) {
  const error: unknown = await (async () => call())().then(
    () => undefined,
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(type)
  expect(error).toBeInstanceOf(QwenVLError)
  expect(QwenVLError.isInstance(error)).toBe(true)
  const { code: actual, message, name } = error as QwenVLError
  expect([code].flat()).toContain(actual)
  expect(name).toBe(type.name)
  for (const words of says) expect(message).toContain(words)
  return error as QwenVLError
}

/** A folder for the files of one test file; removed after its tests. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'qwenvl-test-'))
  afterAll(() => rmSync(path, { recursive: true }))
  return {
    path,
    /** A file with these bytes. */
    file(name: string, bytes: Uint8Array | string): string {
      writeFileSync(join(path, name), bytes)
      return join(path, name)
    },
  }
}
