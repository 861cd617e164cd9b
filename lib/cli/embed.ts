/** `embed`: a picture through the vision encoder into a file of bare numbers. */
import { writeFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { json, print } from './output'
import { picture, pictureSizes } from './picture'

export interface EmbedFlags extends ModelFlags {
  readonly out: string
}

export async function embed(source: string, flags: EmbedFlags, signal: AbortSignal): Promise<void> {
  await withModel(flags, signal, async (model) => {
    const { data, ...facts } = await model.embedImage(picture(source), { signal })
    const bytes = littleEndian(data)
    await writeFile(flags.out, bytes, { signal })
    const { tokens, width, grid, processed, original, hash } = facts
    const summary = {
      file: flags.out,
      bytes: bytes.length,
      type: 'float32',
      byteOrder: 'little-endian',
      shape: [tokens, width],
      grid,
      tokens,
      width,
      processed,
      original,
      hash,
    }
    const line = `${flags.out}: ${tokens} × ${width} float32, little-endian, ${bytes.length} bytes; ${pictureSizes(facts)}\n`
    await print(flags.json ? json(summary) : line, signal)
  })
}

function littleEndian(data: Float32Array): Buffer {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32()
}
