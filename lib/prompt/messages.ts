/**
 * What a caller writes: messages, their content parts, and the builders for both. Three spellings of a part are
 * accepted (ours, the Qwen READMEs', OpenAI's); `normalise.ts` turns them into one.
 */
import { isFloat32Array } from 'node:util/types'
import type { KeepEmbedding } from '../engine/binding'
import { invalidArgument } from '../errors'
import type { Grid, Size } from '../media/geometry'
import type { ImageSource } from '../media/source'

export type Role = 'system' | 'user' | 'assistant' | 'tool'

/** How a picture is sized before the model sees it. All lengths in pixels. */
export interface ImageOptions {
  /** Smallest area of the processed picture. Default: the generation's (`info.generation`). */
  readonly minPixels?: number | undefined
  /** Largest area of the processed picture. Default: the generation's. Fewer pixels mean fewer tokens. */
  readonly maxPixels?: number | undefined
  /** Wanted height, rounded to the model's grid; only together with `resizedWidth`. */
  readonly resizedHeight?: number | undefined
  /** Wanted width, rounded to the model's grid; only together with `resizedHeight`. */
  readonly resizedWidth?: number | undefined
  /** Frame of an animated picture or page of a document, from 0. Default 0. */
  readonly page?: number | undefined
  /**
   * Where the picture's embedding is kept: 'disk' in memory and in `cacheDir`, where the model was loaded with one;
   * 'memory'; 'none': it is not looked for either. Default 'disk'.
   */
  readonly cache?: KeepEmbedding | undefined
}

/** A video: a file (path, URL, data URI, bytes, Blob, stream), or its frames in order, each any picture. */
export type VideoSource = ImageSource | readonly ImageSource[]

/**
 * Which frames of a video the model sees and how they are sized, by the names of qwen-vl-utils. Lengths in pixels of a
 * processed frame, times in seconds.
 */
export interface VideoOptions {
  /** Frames to take per second of a file (default 2); of a list of frames what `sampleFps` says. */
  readonly fps?: number | undefined
  /** Frames to take in all, rounded to an even number; not together with `fps`. */
  readonly nframes?: number | undefined
  /** Least and most frames where `fps` decides. Default 4 and 768. */
  readonly minFrames?: number | undefined
  readonly maxFrames?: number | undefined
  /** Part of the file to look at. Default: all of it. */
  readonly videoStart?: number | undefined
  readonly videoEnd?: number | undefined
  /** Smallest area of a frame. Default: 128 tokens' worth. */
  readonly minPixels?: number | undefined
  /** Largest area of a frame. Default: 768 tokens' worth, less where `totalPixels` asks for it. */
  readonly maxPixels?: number | undefined
  /** Largest area of all frame pairs together. Default: 115 200 tokens' worth. */
  readonly totalPixels?: number | undefined
  /** Wanted size instead, rounded to the model's grid; both or none. */
  readonly resizedHeight?: number | undefined
  readonly resizedWidth?: number | undefined
  /** Of a list of frames: how many there are per second. Default 2. */
  readonly sampleFps?: number | undefined
  /** Of a list of frames: the rate that Qwen3-VL's times are counted with. Default `sampleFps`. */
  readonly rawFps?: number | undefined
  /** Where the embeddings of the frames are kept, pair by pair, as for pictures. Default 'disk'. */
  readonly cache?: KeepEmbedding | undefined
}

export interface TextPart {
  readonly type: 'text'
  readonly text: string
}

export interface ImagePart extends ImageOptions {
  readonly type: 'image'
  readonly image: ImageSource
}

export interface VideoPart extends VideoOptions {
  readonly type: 'video'
  readonly video: VideoSource
}

/** A picture, a video or a text as the Qwen READMEs write it; `type` may be left out. */
export type QwenPart =
  | { readonly type?: 'text'; readonly text: string }
  | {
      readonly type?: 'image'
      readonly image: ImageSource
      readonly min_pixels?: number | undefined
      readonly max_pixels?: number | undefined
      readonly resized_height?: number | undefined
      readonly resized_width?: number | undefined
    }
  | {
      readonly type?: 'video'
      readonly video: VideoSource
      readonly fps?: number | undefined
      readonly nframes?: number | undefined
      readonly min_frames?: number | undefined
      readonly max_frames?: number | undefined
      readonly video_start?: number | undefined
      readonly video_end?: number | undefined
      readonly min_pixels?: number | undefined
      readonly max_pixels?: number | undefined
      readonly total_pixels?: number | undefined
      readonly resized_height?: number | undefined
      readonly resized_width?: number | undefined
      readonly sample_fps?: number | undefined
      readonly raw_fps?: number | undefined
    }

/**
 * A picture as OpenAI's API writes it. `detail: 'low'` limits the picture to 512 × 512 pixels in area, as OpenAI's
 * own low detail does; 'high' and 'auto' leave the generation's default.
 */
export interface OpenAIImagePart {
  readonly type: 'image_url'
  readonly image_url: string | { readonly url: string; readonly detail?: 'low' | 'high' | 'auto' }
}

/** A video as OpenAI-compatible servers take it. */
export interface OpenAIVideoPart {
  readonly type: 'video_url'
  readonly video_url: string | { readonly url: string }
}

/** What the vision encoder made of a picture; a content part, so that the encoding is paid only once. */
export interface ImageEmbedding {
  readonly type: 'embedding'
  /** Row after row, `tokens * width` values. With deepstack a row holds the extra levels too. */
  readonly data: Float32Array
  /** In vision patches, the reference's `image_grid_thw`. */
  readonly grid: Grid
  /** Rows: the tokens that the picture takes in a prompt. */
  readonly tokens: number
  readonly width: number
  /** Identity of pixels and size. */
  readonly hash: string
  /** Size in pixels that the encoder saw. */
  readonly processed: Size
  /** Size in pixels of the upright original, where known: boxes are mapped back to it. */
  readonly original?: Size | undefined
}

/**
 * What the vision encoder made of a video; a content part, so that its frames are decoded and encoded only once. Sizes
 * and times as in a `VideoReport`.
 */
export interface VideoEmbedding {
  readonly type: 'video_embedding'
  /** Pair after pair of frames, row after row: `tokens * width` values. */
  readonly data: Float32Array
  /** In vision patches; `t` counts pairs of frames. */
  readonly grid: Grid
  /** Rows of all pairs. */
  readonly tokens: number
  readonly width: number
  /** Identity of pixels and size, of each pair. */
  readonly hashes: readonly string[]
  readonly original: Size
  readonly processed: Size
  readonly frames: number
  readonly sampleFps: number
  readonly times: readonly number[]
}

export type ContentPart =
  | TextPart
  | ImagePart
  | VideoPart
  | QwenPart
  | OpenAIImagePart
  | OpenAIVideoPart
  | ImageEmbedding
  | VideoEmbedding

/** A call of a tool in an assistant's message, as OpenAI's API writes it. */
export interface ToolCall {
  readonly id?: string
  readonly type?: 'function'
  /** `arguments`: an object, or its JSON text, which the template prints as it stands. */
  readonly function: { readonly name: string; readonly arguments: string | Readonly<Record<string, unknown>> }
}

export interface Message {
  readonly role: Role
  readonly content?: string | ContentPart | ReadonlyArray<string | ContentPart> | null | undefined
  /** Assistant only: ids that were generated for exactly this content, without the stop token. Makes KV reuse exact. */
  readonly tokens?: Int32Array | undefined
  /** Assistant only. */
  readonly tool_calls?: readonly ToolCall[] | null | undefined
  /** Assistant only: the thought before the answer, for templates that print it. */
  readonly reasoning_content?: string | null | undefined
  /** Tool only: accepted, not shown to the model. */
  readonly tool_call_id?: string | undefined
  /** Accepted, not shown to the model. */
  readonly name?: string | undefined
}

/** A conversation: messages, one message, or a text that stands for a user's message. */
export type MessagesInput = string | Message | readonly Message[]

/** The rules of the conversation; the first message where there is one. */
export function system(...content: ReadonlyArray<string | ContentPart>): Message {
  return { role: 'system', content }
}

/** What the user shows and says, in this order. */
export function user(...content: ReadonlyArray<string | ContentPart>): Message {
  return { role: 'user', content }
}

/** An earlier answer of the model. */
export function assistant(...content: ReadonlyArray<string | ContentPart>): Message {
  return { role: 'assistant', content }
}

export function text(value: string): TextPart {
  return { type: 'text', text: value }
}

/** A picture: path, URL, data URI, bytes, Blob, stream, raw pixels or a sharp instance. Read when the request runs. */
export function image(source: ImageSource, options: ImageOptions = {}): ImagePart {
  return { ...options, type: 'image', image: source }
}

/**
 * A video: a file that ffmpeg reads (path, URL, data URI, bytes, Blob, stream), or its frames in order. Read when the
 * request runs.
 */
export function video(source: VideoSource, options: VideoOptions = {}): VideoPart {
  return { ...options, type: 'video', video: source }
}

const brand = Symbol.for('qwenvl-native.embedding')
const videoBrand = Symbol.for('qwenvl-native.video-embedding')

/**
 * An embedding as a content part, from `embedImage()` or from stored values of it.
 * @throws InvalidArgumentError when `data` is not `tokens` rows of `width` values.
 */
export function imageEmbedding(fields: Omit<ImageEmbedding, 'type'>): ImageEmbedding {
  checkRows(fields)
  return Object.defineProperty({ ...fields, type: 'embedding' as const }, brand, { value: true })
}

/** True for what `imageEmbedding` made, also in another copy of this package. */
export function isImageEmbedding(value: unknown): value is ImageEmbedding {
  return typeof value === 'object' && value !== null && brand in value
}

/**
 * A video's embedding as a content part, from `embedVideo()` or from stored values of it.
 * @throws InvalidArgumentError when `data` is not `tokens` rows of `width` values, or a pair lacks its hash or time.
 */
export function videoEmbedding(fields: Omit<VideoEmbedding, 'type'>): VideoEmbedding {
  checkRows(fields)
  const { grid, hashes, times } = fields
  for (const [name, values] of Object.entries({ hashes, times })) {
    if (values.length !== grid.t)
      throw invalidArgument(name, `one for each of ${grid.t} pairs`, values.length)
  }
  return Object.defineProperty({ ...fields, type: 'video_embedding' as const }, videoBrand, { value: true })
}

/** True for what `videoEmbedding` made, also in another copy of this package. */
export function isVideoEmbedding(value: unknown): value is VideoEmbedding {
  return typeof value === 'object' && value !== null && videoBrand in value
}

function checkRows({ data, tokens, width }: Pick<ImageEmbedding, 'data' | 'tokens' | 'width'>): void {
  if (!isFloat32Array(data)) throw invalidArgument('data', 'a Float32Array', data)
  if (data.length !== tokens * width) {
    throw invalidArgument('data', `${tokens} rows of ${width} values`, data.length)
  }
}
