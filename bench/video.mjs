/**
 * Videos of 1080p made ready for the encoder: frames per second of the pipe from ffmpeg against ffmpeg that decodes and
 * throws away, and peak memory for one minute and for ten.
 *
 *   node bench/video.mjs [--total-tokens 16384] [--json]
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machine, printTable, runProgram } from './measure.mjs'

const folder = fileURLToPath(new URL('../build-bench', import.meta.url))
const { values: options } = parseArgs({
  options: {
    'total-tokens': { type: 'string', default: '16384' },
    json: { type: 'boolean', default: false },
  },
})
const rate = 30
const totalPixels = Number(options['total-tokens']) * 28 * 28
/** The model's share is held equal, so that what is left of the peak belongs to the pipe. */
const results = []
for (const minutes of [1, 10]) results.push(await measure(minutes, drawClip(minutes)))
if (options.json) console.log(JSON.stringify({ machine: machine(), totalPixels, results }))
else print()

async function measure(minutes, clip) {
  const plain = await runProgram('ffmpeg', ['-v', 'error', '-i', clip, '-f', 'null', '-'])
  const script = fileURLToPath(new URL('one-video.mjs', import.meta.url))
  const ours = JSON.parse((await runProgram(process.execPath, [script, clip, String(totalPixels)])).stdout)
  return { minutes, total: minutes * 60 * rate, plainSeconds: plain.seconds, ...ours }
}

function print() {
  console.log(`${machine()}\n1920×1080, ${rate} frames a second, H.264\n`)
  const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  const rows = results.map(
    ({ minutes, total, plainSeconds, seconds, frames, width, height, seen, node, ffmpeg }) => [
      `${minutes} min`,
      `${frames} of ${width}×${height}`,
      `${(total / seconds).toFixed(0)} /s`,
      `${(total / plainSeconds).toFixed(0)} /s`,
      (plainSeconds / seconds).toFixed(2),
      mebibytes(node),
      mebibytes(seen),
      mebibytes(ffmpeg),
    ],
  )
  printTable(
    [
      'video',
      'frames seen',
      'read',
      'ffmpeg alone',
      'ratio',
      'peak of Node.js',
      'of it frames',
      'peak of ffmpeg',
    ],
    rows,
  )
}

/** ffmpeg's moving test picture; the longer clip repeats the shorter. */
function drawClip(minutes) {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `clip-${minutes}min.mp4`)
  if (existsSync(path)) return path
  const source = ['-f', 'lavfi', '-i', `testsrc=size=1920x1080:rate=${rate}`, '-t', '60']
  const encoder = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p']
  const input =
    minutes === 1
      ? [...source, ...encoder]
      : ['-stream_loop', `${minutes - 1}`, '-i', drawClip(1), '-c', 'copy']
  execFileSync('ffmpeg', ['-v', 'error', ...input, path])
  return path
}
