/** A video file through ffprobe and ffmpeg: what it holds, and chosen frames of it as a stream of pixels. */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname, extname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { whenAborted } from '../abort'
import { AbortError, VideoError, throwIfAborted } from '../errors'
import type { Size } from './geometry'
import type { DecodedImage } from './image'
import type { VideoTrack } from './videosampling'

export interface FfmpegOptions {
  /** The ffmpeg program; ffprobe lies beside it. Default: both from PATH. */
  readonly ffmpegPath?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What is known of a video before a frame is decoded. */
export interface ProbedVideo extends VideoTrack {
  /** Size of an upright frame in pixels. */
  readonly size: Size
}

/** Containers that hold pictures themselves. A playlist could name any other file of the machine. */
const containers =
  'mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,apng,h264,hevc,m4v,ivf,obu,av1,mxf,nut,rm,dv,wtv,yuv4mpegpipe'

/** The reference's most. More make the command line too long for some systems. */
const framesPerRun = 768

/**
 * Size, rate and number of frames.
 * @throws {VideoError} FFMPEG_NOT_FOUND, FILE_NOT_FOUND, VIDEO_SOURCE, VIDEO_CORRUPT
 * @throws {AbortError}
 */
export async function probeVideo(path: string, options: FfmpegOptions = {}): Promise<ProbedVideo> {
  await checkFile(path)
  const entries = 'stream=width,height,avg_frame_rate,r_frame_rate,nb_frames:stream_side_data=rotation'
  const described = await probe(path, ['-show_entries', entries, '-of', 'json'], options)
  const stream = (JSON.parse(described) as { streams?: ProbedStream[] }).streams?.[0]
  if (!stream) {
    throw new VideoError(
      'VIDEO_SOURCE',
      `'${path}' holds no video, only sound or data. Choose another file.`,
      {
        details: { path },
      },
    )
  }
  const { width = 0, height = 0, nb_frames: declared, side_data_list: sideData = [] } = stream
  const fps = rateOf(stream.avg_frame_rate) ?? rateOf(stream.r_frame_rate)
  const { total, stored } = await countFrames(path, options)
  if (width < 1 || height < 1 || fps === undefined || total < 1) {
    throw corrupt(path, 'its size, rate or number of frames is unknown', { width, height, fps, total })
  }
  if (declared !== undefined && stored < Number(declared)) {
    throw corrupt(path, `it is cut off after ${stored} of ${declared} frames`, { stored, declared })
  }
  const turned = sideData.some(({ rotation = 0 }) => Math.abs(rotation) % 180 === 90)
  return { total, fps, size: turned ? { width: height, height: width } : { width, height } }
}

/**
 * The frames with these numbers (ascending, from 0), upright, one after the other: only one is in memory.
 * Leaving the loop ends ffmpeg.
 * @throws {VideoError} FFMPEG_NOT_FOUND, VIDEO_CORRUPT when not all of them can be decoded
 * @throws {AbortError}
 */
export async function* readFrames(
  path: string,
  indices: readonly number[],
  options: FfmpegOptions = {},
): AsyncGenerator<DecodedImage, void, undefined> {
  for (let first = 0; first < indices.length; first += framesPerRun) {
    yield* decodeFrames(path, indices.slice(first, first + framesPerRun), options)
  }
}

async function* decodeFrames(
  path: string,
  indices: readonly number[],
  options: FfmpegOptions,
): AsyncGenerator<DecodedImage, void, undefined> {
  // Evenly spaced times keep every version of ffmpeg from repeating or dropping frames.
  const filters = `select='${isOneOf(indices)}',settb=1/25,setpts=N`
  const bytes = ['-c:v', 'ppm', '-pix_fmt', 'rgb24'] // videos may have 10 bits
  const output = ['-r', '25', '-frames:v', `${indices.length}`, '-f', 'image2pipe', ...bytes, 'pipe:1']
  const child = start(
    'ffmpeg',
    ['-nostdin', ...inputOf(path), '-map', '0:V:0', '-vf', filters, ...output],
    options,
  )
  let frames = 0
  try {
    for await (const frame of portablePixmaps(child.stdout)) {
      frames++
      yield frame
    }
    const { complaint } = await child.ended
    if (frames < indices.length) {
      throw corrupt(path, `only ${frames} of ${indices.length} frames could be decoded`, { log: complaint })
    }
  } finally {
    child.kill()
  }
}

/** True for these frame numbers, in ffmpeg's language. A search tree: a sum may not have a hundred terms there. */
function isOneOf(indices: readonly number[]): string {
  const middle = Math.floor(indices.length / 2)
  if (middle === 0) return `eq(n,${indices[0] ?? -1})`
  return `if(lt(n,${indices[middle] ?? -1}),${isOneOf(indices.slice(0, middle))},${isOneOf(indices.slice(middle))})`
}

interface ProbedStream {
  readonly width?: number
  readonly height?: number
  readonly avg_frame_rate?: string
  readonly r_frame_rate?: string
  readonly nb_frames?: string
  readonly side_data_list?: ReadonlyArray<{ readonly rotation?: number }>
}

/** A path that begins with '-' is no option, and 'a:b' no protocol. Local files only, also for what the file refers to. */
function inputOf(path: string): string[] {
  return ['-protocol_whitelist', 'file', '-format_whitelist', containers, '-i', `file:${resolve(path)}`]
}

/**
 * Frames that are there, and `total` of them that a decoder shows: not those before the beginning of a video that was
 * trimmed. A header may not tell their number, and may lie.
 */
async function countFrames(path: string, options: FfmpegOptions): Promise<{ total: number; stored: number }> {
  const flags = await probe(path, ['-show_entries', 'packet=flags', '-of', 'csv=p=0'], options)
  const packets = flags.split('\n').filter((line) => line !== '')
  return { total: packets.filter((line) => !line.includes('D')).length, stored: packets.length }
}

/** '30000/1001' → 29.97…; undefined for '0/0'. */
function rateOf(text: string | undefined): number | undefined {
  const [numerator = NaN, denominator = 1] = (text ?? '').split('/').map(Number)
  const rate = numerator / denominator
  return rate > 0 && Number.isFinite(rate) ? rate : undefined
}

async function checkFile(path: string): Promise<void> {
  const status = await stat(path).catch((cause: unknown) => {
    throw new VideoError('FILE_NOT_FOUND', `There is no file '${path}'. Check the path.`, {
      cause,
      details: { path: resolve(path) },
    })
  })
  if (status.isFile()) return
  throw new VideoError(
    'VIDEO_SOURCE',
    `'${path}' is no file. Pass the path of a video, or its frames in an array.`,
  )
}

async function probe(path: string, args: readonly string[], options: FfmpegOptions): Promise<string> {
  const child = start('ffprobe', ['-select_streams', 'V:0', ...args, ...inputOf(path)], options)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) chunks.push(chunk)
    const { code, complaint } = await child.ended
    if (code !== 0) throw corrupt(path, unknown, { log: complaint })
    // Matroska has no number of frames to compare with.
    if (complaint.includes('ended prematurely')) throw corrupt(path, 'it is cut off', { log: complaint })
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    child.kill()
  }
}

const unknown =
  'it is no video that ffmpeg knows (a picture is shown as one: `image()`, without --video of a command)'

interface Running {
  readonly stdout: Readable
  /** Resolves with its exit status and the end of what it wrote to stderr. */
  readonly ended: Promise<{ readonly code: number | null; readonly complaint: string }>
  kill(): void
}

function start(
  program: 'ffmpeg' | 'ffprobe',
  args: readonly string[],
  { ffmpegPath, signal }: FfmpegOptions,
): Running {
  throwIfAborted(signal)
  const command = commandOf(program, ffmpegPath)
  const common = ['-hide_banner', '-loglevel', 'error']
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(command, [...common, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)))
  const forget = whenAborted(signal, () => child.kill('SIGKILL'))
  const kill = () => {
    forget()
    child.kill('SIGKILL')
  }
  const ended = new Promise<{ code: number | null; complaint: string }>((done, failed) => {
    child.once('error', (cause) => failed(notFound(program, command, cause)))
    child.once('close', (code) => {
      if (signal?.aborted) failed(new AbortError(signal.reason))
      else done({ code, complaint: complaint.trim() })
    })
  })
  ended.catch(() => undefined) // whoever reads stdout to its end asks for it
  return { stdout: child.stdout, ended, kill }
}

function commandOf(program: 'ffmpeg' | 'ffprobe', ffmpegPath: string | undefined): string {
  if (ffmpegPath === undefined || program === 'ffmpeg') return ffmpegPath ?? program
  const folder = dirname(ffmpegPath)
  const name = `${program}${extname(ffmpegPath) === '.exe' ? '.exe' : ''}`
  return folder === '.' && !ffmpegPath.startsWith('.') ? name : join(folder, name)
}

function notFound(program: string, command: string, cause: unknown): VideoError {
  return new VideoError(
    'FFMPEG_NOT_FOUND',
    `Videos are read by ${program}, which could not be started as '${command}'. Install ffmpeg (apt-get install ffmpeg, ` +
      'brew install ffmpeg, winget install ffmpeg), load with `ffmpegPath` (--ffmpeg of a command), or pass the frames: video([frame, frame]).',
    { cause, details: { command } },
  )
}

function corrupt(path: string, why: string, details: Record<string, unknown>): VideoError {
  return new VideoError('VIDEO_CORRUPT', `'${path}' cannot be read: ${why}. Convert or download it again.`, {
    details: { path, ...details },
  })
}

/** Frames of a stream of binary PPM files: "P6\n<width> <height>\n255\n" and then RGB rows. */
async function* portablePixmaps(stream: Readable): AsyncGenerator<DecodedImage, void, undefined> {
  let header = ''
  let frame:
    { readonly width: number; readonly height: number; readonly data: Buffer; filled: number } | undefined
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let offset = 0
    while (offset < chunk.length) {
      if (!frame) {
        header += chunk.toString('latin1', offset, ++offset)
        const [, width, height] = /^P6\s(\d+) (\d+)\s255\s$/.exec(header) ?? []
        if (width === undefined || height === undefined) continue
        header = ''
        const size = Number(width) * Number(height) * 3
        frame = { width: Number(width), height: Number(height), data: Buffer.allocUnsafe(size), filled: 0 }
        continue
      }
      const taken = chunk.copy(frame.data, frame.filled, offset)
      frame.filled += taken
      offset += taken
      if (frame.filled < frame.data.length) continue
      const { width, height, data } = frame
      frame = undefined
      yield { width, height, data }
    }
  }
}
