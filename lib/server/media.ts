/**
 * Which pictures and videos a request may name. A text is a path to the library, and an object may be a URL: of a client
 * only URLs are taken, and files only from one folder.
 */
import { realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HttpError, badValue } from './failure'

/** What a request may name. */
export interface MediaRules {
  /** Folder for `file:` URLs. */
  readonly fileRoot: string | undefined
  /** Most pictures and videos. */
  readonly maxMedia: number
}

const kinds = ['image', 'image_url', 'video', 'video_url'] as const

/** Lets the media of one request through, and counts them. */
export class MediaGate {
  readonly #rules: MediaRules
  #count = 0

  constructor(rules: MediaRules) {
    this.#rules = rules
  }

  /**
   * The content of a message, its media checked; all else is the library's to check.
   * @param path How errors name it.
   */
  async content(content: unknown, path: string): Promise<unknown> {
    if (!Array.isArray(content)) return content
    const parts: unknown[] = []
    for (const [index, part] of content.entries()) parts.push(await this.part(part, `${path}[${index}]`))
    return parts
  }

  /** One part of a content. */
  async part(part: unknown, path: string): Promise<unknown> {
    if (!isRecord(part)) return part
    const admitted: Record<string, unknown> = { ...part }
    for (const kind of kinds) {
      if (part[kind] !== undefined) admitted[kind] = await this.#reference(part[kind], `${path}.${kind}`)
    }
    return admitted
  }

  /** A URL as it is written, in `{ url }`, or several: the frames of a video. */
  async #reference(value: unknown, path: string): Promise<unknown> {
    if (isRecord(value)) return { ...value, url: await this.url(value['url'], `${path}.url`) }
    if (!Array.isArray(value)) return this.url(value, path)
    const frames: string[] = []
    for (const [index, frame] of value.entries()) frames.push(await this.url(frame, `${path}[${index}]`))
    return frames
  }

  /** @throws HttpError for what is no URL, or not of an allowed place */
  async url(value: unknown, path: string): Promise<string> {
    const { maxMedia } = this.#rules
    if (++this.#count > maxMedia) {
      throw new HttpError(400, `The request has more than ${maxMedia} pictures, videos or frames.`, {
        param: path,
        code: 'too_many_images',
      })
    }
    const scheme =
      typeof value === 'string' ? /^(data|https?|file):/i.exec(value)?.[1]?.toLowerCase() : undefined
    if (typeof value !== 'string' || scheme === undefined)
      throw badValue(path, `Expected \`${path}\` to be a data:, http: or https: URL of a picture or a video.`)
    return scheme === 'file' ? this.#file(value, path) : value
  }

  /** The file's real place. Whether a file elsewhere exists is not told. */
  async #file(url: string, path: string): Promise<string> {
    const { fileRoot } = this.#rules
    const refused = (why: string) => new HttpError(400, why, { param: path, code: 'file_refused' })
    if (fileRoot === undefined)
      throw refused(
        'This server reads no files. Send the picture as a data: URL, or start the server with `--file-root <folder>` ' +
          '(`fileRoot` of startServer()).',
      )
    try {
      const root = await realpath(fileRoot)
      const file = await realpath(fileURLToPath(url))
      if (file.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) return file
    } catch {
      // told below
    }
    throw refused(`There is no such file in the folder that this server reads from: ${url.slice(0, 200)}`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
