/** One video made ready for the encoder, in a process of its own: what bench/video.mjs measures. */
import { readFileSync } from 'node:fs'
import { resizeBicubic, resizeFrame } from '../dist/engine/engine.js'
import { generations } from '../dist/generations.js'
import { prepareVideo } from '../dist/media/video.js'
import { peakMemory } from './measure.mjs'

const [file, totalPixels] = process.argv.slice(2)
const { patchSize, mergeSize, video: rules } = generations.find(({ id }) => id === 'qwen2vl')
const geometry = { patchSize, mergeSize, ...rules, reference: 'qwen-vl-utils' }
const scaling = { picture: resizeBicubic, frame: resizeFrame }

let ffmpeg = 0
const poll = setInterval(() => {
  for (const child of children()) ffmpeg = Math.max(ffmpeg, peakMemory(child))
}, 20)
const started = performance.now()
const video = await prepareVideo(
  file,
  { totalPixels: Number(totalPixels), minPixels: 4 * 28 * 28 },
  geometry,
  scaling,
)
const seconds = (performance.now() - started) / 1000
clearInterval(poll)
const { frames, width, height, pairs } = video
const seen = pairs.reduce((sum, { pixels }) => sum + pixels.length, 0)
console.log(JSON.stringify({ seconds, frames, width, height, seen, node: peakMemory('self'), ffmpeg }))

function children() {
  try {
    return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  } catch {
    return [] // not Linux
  }
}
