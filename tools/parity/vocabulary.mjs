/** Bytes of every token of a GGUF model with a byte-level vocabulary: programs print bytes, also halves of characters. */
import { readFileSync } from 'node:fs'

const stringType = 8
const arrayType = 9

/** An array with a Buffer for each token id. */
export function readVocabulary(path) {
  const file = readFileSync(path)
  const key = 'tokenizer.ggml.tokens'
  let offset = file.indexOf(key) + key.length
  if (
    offset < key.length ||
    file.readUInt32LE(offset) !== arrayType ||
    file.readUInt32LE(offset + 4) !== stringType
  )
    throw new Error(`${path} has no ${key}`)
  const count = Number(file.readBigUInt64LE(offset + 8))
  offset += 16
  return Array.from({ length: count }, () => {
    const start = offset + 8
    offset = start + Number(file.readBigUInt64LE(offset))
    return bytesOf(file.toString('utf8', start, offset))
  })
}

/** Printable bytes stand for themselves, the others for the characters from U+0100 on, in order. */
const byteOf = new Map()
let next = 0x100
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
  byteOf.set(String.fromCodePoint(printable ? byte : next++), byte)
}

function bytesOf(text) {
  return Buffer.from(Array.from(text, (character) => byteOf.get(character) ?? 0))
}
