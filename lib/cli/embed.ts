/** `embed`: a picture or a video through the vision encoder into a file of bare numbers. */
import { writeFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { InvalidArgumentError } from '../errors'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { json, print } from './output'
import { clip, picture, pictureSizes, videoSizes } from './picture'
import type { VideoFlags } from './picture'

export interface EmbedFlags extends ModelFlags, VideoFlags {
  readonly out: string
  readonly video?: string
}

export async function embed(
  image: string | undefined,
  flags: EmbedFlags,
  signal: AbortSignal,
): Promise<void> {
  const { video, out } = flags
  const [source = ''] = [image, video].filter((given) => given !== undefined)
  if (source === '' || (image !== undefined && video !== undefined))
    throw new InvalidArgumentError('INVALID_ARGUMENT', 'Pass one picture, or one video: --video <source>.')
  await withModel(flags, signal, async (model) => {
    const { data, ...facts } =
      video === undefined
        ? await model.embedImage(picture(source), { signal })
        : await model.embedVideo(clip(source, flags), { signal })
    const bytes = littleEndian(data)
    await writeFile(out, bytes, { signal })
    const summary = {
      file: out,
      bytes: bytes.length,
      byteOrder: 'little-endian',
      shape: [facts.tokens, facts.width],
      ...facts,
      type: 'float32',
    }
    const sizes = facts.type === 'embedding' ? pictureSizes(facts) : videoSizes(facts)
    const shape = `${facts.tokens} × ${facts.width} float32, little-endian, ${bytes.length} bytes`
    await print(flags.json ? json(summary) : `${out}: ${shape}; ${sizes}\n`, signal)
  })
}

function littleEndian(data: Float32Array): Buffer {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32()
}
