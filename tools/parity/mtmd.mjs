/** The same cases through llama-mtmd-cli, as far as its command line can express them. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { messagesOf, partsOf } from './cases.mjs'
import { readVocabulary } from './vocabulary.mjs'

const media = '<__media__>'
const start = '@@answer@@'
const ends = ['<|im_end|>', '<|endoftext|>']
const inputMark = '\n> '
const pads = ['<|image_pad|>', '<|video_pad|>']

/**
 * The arguments (and, without a picture, the typed line) that ask a case; undefined where the program cannot: earlier
 * turns with given answers, tools, variables of the template, frame lists, parts of a video, wanted sizes.
 */
export function expressCase(golden, root, factor) {
  const messages = messagesOf(golden, root)
  const system = messages[0].role === 'system' ? messages.shift() : undefined
  const parts = [...partsOf(messages, 'image'), ...partsOf(messages, 'video')]
  const bounds = new Set(parts.map(({ min_pixels: min, max_pixels: max }) => `${min} ${max}`))
  if (messages.length !== 1 || golden.tools || golden.templateVariables || bounds.size > 1) return undefined
  if (!parts.every(canExpress)) return undefined
  const text = textOf(messages[0].content, golden.addVisionId)
  const [first] = parts
  return {
    args: [
      ...(system ? ['--system-prompt', textOf(system.content)] : []),
      ...parts.flatMap(({ image, video }) => (image ? ['--image', image] : ['--video', video])),
      ...(first?.min_pixels ? ['--image-min-tokens', `${Math.ceil(first.min_pixels / factor ** 2)}`] : []),
      ...(first?.max_pixels ? ['--image-max-tokens', `${Math.floor(first.max_pixels / factor ** 2)}`] : []),
      ...parts.flatMap(({ fps }) => (fps ? ['--video-fps', `${fps}`] : [])),
      ...(first ? ['--prompt', text] : []),
    ],
    ...(!first && { line: text }),
  }
}

const known = new Set(['type', 'image', 'video', 'min_pixels', 'max_pixels', 'fps'])

function canExpress({ video, ...part }) {
  return typeof video !== 'object' && Object.keys(part).every((key) => known.has(key))
}

/** Pictures are numbered by hand: the program's template gets one string. */
function textOf(content, numbered = false) {
  if (typeof content === 'string') return content
  const counts = { image: 0, video: 0 }
  const mark = ({ type }) => {
    const name = type === 'image' ? 'Picture' : 'Video'
    return numbered ? `${name} ${++counts[type]}: ${media}` : media
  }
  return content.map((part) => (part.type === 'text' ? part.text : mark(part))).join('')
}

/**
 * Asks a case. Its picture tokens and the reference's, and how many greedy tokens are equal:
 * `{ pictures: { theirs, reference }, tokens: { equal, of } }`; undefined where the program cannot express it,
 * `{ failure }` where the model's template refuses what the program makes of it.
 */
export async function askMtmd(program, generation, golden, root, factor) {
  const asked = expressCase(golden, root, factor)
  if (!asked) return undefined
  const model = join(generation.folder, 'model-f32.gguf')
  const files = ['--model', model, '--mmproj', join(generation.folder, 'mmproj-f32.gguf')]
  const length = ['--predict', `${golden.tokens.length}`]
  const output = await runWhole(program, [...files, ...settings, ...length, ...asked.args], asked.line)
  if (output.failure) return output
  const { stdout, stderr } = output
  const vocabulary = readVocabulary(model)
  const reference = golden.inputIds.filter((id) => pads.includes(vocabulary[id].toString())).length
  return {
    pictures: { theirs: countPictureTokens(stderr.toString()), reference },
    tokens: compareAnswer(stdout, golden, vocabulary),
  }
}

const settings =
  '--jinja --temp 0 --ctx-size 2048 --threads 1 --flash-attn off --cache-type-k f32 --cache-type-v f32 --no-warmup --verbose'.split(
    ' ',
  )

/** The program may end before its log is written (ggml-org/llama.cpp#22142); its last line tells. */
async function runWhole(program, args, line) {
  for (let tries = 0; tries < 30; tries++) {
    const output = await runProgram(program, args, line)
    if (output.failure || line !== undefined || /llama_perf_context_print: +total time/.test(output.stderr.toString()))
      return output
  }
  throw new Error(`${program} never printed its last line`)
}

/** Without a picture the program chats: it is given its line, and told to quit when the answer has been printed. */
function runProgram(program, args, line) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, MTMD_TEST_RESPONSE_MARKER: start } })
    const stdout = []
    const stderr = []
    if (line === undefined) child.stdin.end()
    else child.stdin.write(`${line}\n`)
    child.stderr.on('data', (chunk) => stderr.push(chunk))
    child.stdout.on('data', (chunk) => {
      if (child.stdin.writableEnded && line !== undefined) return // the echo of /quit
      stdout.push(chunk)
      const printed = Buffer.concat(stdout).toString('latin1')
      const ended = printed.includes(start) && printed.endsWith(inputMark)
      if (ended && line !== undefined) child.stdin.end('/quit\n')
    })
    child.once('error', reject)
    child.once('close', (code) => {
      const log = Buffer.concat(stderr)
      const [failure] = /Jinja Exception: .*/.exec(log.toString()) ?? []
      if (code === 0) resolve({ stdout: Buffer.concat(stdout), stderr: log })
      else if (failure) resolve({ failure })
      else reject(new Error(`${program} ended with ${code}:\n${log.toString().slice(-2000)}`))
    })
  })
}

function countPictureTokens(log) {
  const sides = (name) =>
    [...log.matchAll(new RegExp(`image_tokens->${name} = (\\d+)`, 'g'))].map(([, n]) => Number(n))
  const heights = sides('ny')
  return sides('nx').reduce((sum, width, i) => sum + width * heights[i], 0)
}

/** How many greedy tokens its printed bytes begin with. It stops where the model would, the golden tokens go on. */
export function compareAnswer(stdout, { tokens }, vocabulary) {
  const printed = stdout.subarray(stdout.lastIndexOf(start) + start.length + 2) // two line ends follow the mark
  const stop = tokens.findIndex((id) => ends.includes(vocabulary[id].toString()))
  const spoken = stop < 0 ? tokens : tokens.slice(0, stop)
  const of = stop < 0 ? tokens.length : stop + 1
  let place = 0
  for (const [index, id] of spoken.entries()) {
    const next = place + vocabulary[id].length
    if (!printed.subarray(place, next).equals(vocabulary[id])) return { equal: index, of }
    place = next
  }
  // Nothing but line ends and the next input mark may follow.
  const stopped = /^[\n> ]*$/.test(printed.subarray(place).toString('latin1'))
  return { equal: stopped ? of : spoken.length, of }
}
