#!/usr/bin/env node
/** The command line: which commands and options there are, how a run ends. Each command lives in its own file. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Help, InvalidArgumentError, Option } from 'commander'
import { ask } from './ask'
import type { AskFlags } from './ask'
import { batch } from './batch'
import type { BatchFlags } from './batch'
import { bench } from './bench'
import type { BenchFlags } from './bench'
import { build } from './build'
import type { BuildFlags } from './build'
import { chat } from './chat'
import type { ChatFlags } from './chat'
import { doctor } from './doctor'
import { embed } from './embed'
import type { EmbedFlags } from './embed'
import { estimate } from './estimate'
import type { EstimateFlags } from './estimate'
import { examplesOf } from './examples'
import { errorLine, errorLog } from './failure'
import { info } from './info'
import { inspect } from './inspect'
import type { InspectFlags } from './inspect'
import { list, pull, remove } from './library'
import type { JsonFlags, PullFlags } from './library'
import type { ModelFlags } from './model'
import { serve } from './serve'
import type { ServeFlags } from './serve'

/** Exit codes of a run that was stopped from outside; a closed pipe is how `| head` says that it has enough. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, pipe: 0 }

const stop = new AbortController()
const { signal } = stop
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(exitCodes[name]))
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  stop.abort(exitCodes.pipe)
})

/** An option that its command needs. Missed only behind unknown options, unlike commander's own: they may be its misspelling. */
class NeededOption extends Option {}

const program = new Command('qwenvl-native')
  .description('Ask Qwen-VL models (GGUF) about pictures and videos, on this machine.')
  .version(packageVersion())
  .configureHelp({ optionDescription: describeOption })
  .hook('preAction', (_, command) => {
    const missing = command.options.find(
      (option) =>
        option instanceof NeededOption && command.getOptionValue(option.attributeName()) === undefined,
    )
    if (missing) command.error(`error: required option '${missing.flags}' not specified`)
  })
  .configureOutput({ outputError: (text, write) => write(`${text.trim().replace(/\n+/g, ' ')}\n`) })
  .addHelpText(
    'after',
    `
Examples:
  $ qwenvl-native ask dog.jpg -q "What breed is this?" --model m.gguf --mmproj mmproj.gguf
  $ qwenvl-native ask dog.jpg -q "What breed is this?" --model hf:Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M
  $ export QWENVL_MODEL=m.gguf QWENVL_MMPROJ=mmproj.gguf
  $ qwenvl-native ask before.png after.png -q "What changed?" --max-tokens 200
  $ qwenvl-native ask receipt.jpg -q "The total?" --temperature 0 --json
  $ qwenvl-native ask --video clip.mp4 --fps 1 -q "What happens?"
  $ qwenvl-native inspect --messages messages.json
  $ qwenvl-native embed dog.jpg --out dog.f32

Every command explains itself: qwenvl-native help ask`,
  )

withVideo(withGeneration(program.command('ask')))
  .description('answer a question, about pictures, videos or neither; the answer is streamed to stdout')
  .argument('[images...]', 'pictures in their order: paths, URLs or data URIs; - reads one from stdin')
  .addOption(new NeededOption('-q, --question <text>', 'what to ask'))
  .option('--video <source>', 'a video behind the pictures; may be given several times', collect, [])
  .action((images: string[], flags: AskFlags) => ask(images, flags, signal))

withGeneration(program.command('chat'))
  .description('talk about pictures; reads a terminal, or a message a line from a pipe')
  .argument('[images...]', 'pictures for the first message')
  .option('--load <file>', 'go on with a conversation that /save wrote')
  .addHelpText('after', '\nIn the conversation: /help.')
  .action((images: string[], flags: ChatFlags) => chat(images, flags, signal))

withGeneration(program.command('batch'))
  .description('answer the questions of a file, a line each; a run that was stopped is continued')
  .argument('<in.jsonl>', 'lines of {"image": "a.jpg", "question": "…"} or {"messages": […]}')
  .argument('<out.jsonl>', 'gets a line for each; what it has already is not done again')
  .option('-q, --question <text>', 'for lines without one of their own')
  .option('--concurrency <n>', 'lines that are computed together', count, 4)
  .option('--retry', 'do lines again that ended in an error', false)
  .action((input: string, output: string, flags: BatchFlags) => batch(input, output, flags, signal))

withModel(program.command('serve'))
  .description('answer over HTTP as the APIs of OpenAI and Anthropic do, until it is stopped')
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--port <n>', 'port to listen on; 0: any that is free', number, 8080)
  .addOption(
    new Option('--api-key <key>', 'key that clients have to show; several times: any of them')
      .env('QWENVL_API_KEY')
      .argParser(collect)
      .default([]),
  )
  .option('--without-key', 'listen on other addresses than loopback without a key', false)
  .option(
    '--model-name <name>',
    'name of the model (default: of its file); may be given several times',
    collect,
    [],
  )
  .option('--file-root <folder>', 'let clients name files of this folder by file: URLs')
  .option('--max-body-bytes <n>', 'largest request (default: 50 MB)', number)
  .option('--body-timeout-ms <n>', 'longest time for a request to come (default: 2 minutes)', number)
  .option('--max-media <n>', 'most pictures and videos of a request (default: 100)', number)
  .option('--rate-limit <n>', 'most requests of a client in a minute (default: any number)', number)
  .option('--timeout-ms <n>', 'longest time for an answer (default: 10 minutes)', number)
  .option('--grace-ms <n>', 'time that answers get to end when the server is stopped (default: 10 s)', number)
  .option('--cors-origin <origin>', 'let web pages of this origin call, * for all', collect, [])
  .option('--parallel <n>', 'answers that are computed at the same time (default: 4)', number)
  .option('--max-queue <n>', 'requests that may wait beside these (default: 256)', number)
  .option('--cache-dir <folder>', 'keep the embeddings of pictures here, for later runs too')
  .option('--ffmpeg <file>', 'the ffmpeg program, ffprobe beside it (default: from PATH)')
  .action((flags: ServeFlags) => serve(flags, signal))

withVideo(withModel(program.command('embed')))
  .description(
    'write what the vision encoder makes of a picture or a video: little-endian float32, row after row',
  )
  .argument('[image]', 'path, URL or data URI; - reads it from stdin')
  .addOption(new NeededOption('-o, --out <file>', 'file to write'))
  .option('--video <source>', 'a video instead of a picture')
  .action((image: string | undefined, flags: EmbedFlags) => embed(image, flags, signal))

withModel(program.command('inspect'))
  .description('show what the model really sees: prompt, token ids, picture sizes, positions')
  .addOption(
    new NeededOption(
      '--messages <file>',
      'conversation as JSON, as for QwenVL.chat(); - reads it from stdin',
    ),
  )
  .action((flags: InspectFlags) => inspect(flags, signal))

withJson(program.command('pull'))
  .description('download a model of Hugging Face and its projector into the shared cache')
  .argument('<model>', 'hf:owner/name, hf:owner/name:Q4_K_M or hf:owner/name:file.gguf')
  .option('--no-projector', 'the model alone, for text')
  .action((model: string, flags: PullFlags) => pull(model, flags, signal))

withJson(program.command('list'))
  .description('list the models in the cache of Hugging Face')
  .action((flags: JsonFlags) => list(flags, signal))

withJson(program.command('rm'))
  .description('remove models from the cache: a quantisation, or all of a repository')
  .argument('<models...>', 'as `list` names them, or hf:owner/name')
  .action((models: string[], flags: JsonFlags) => remove(models, flags, signal))

withModel(program.command('estimate'))
  .description('tell what a model would take, before it is downloaded: bytes, memory, whether it fits')
  .argument('[model]', 'instead of --model')
  .option('--picture <width>x<height>', 'a picture of this size (default: 1024x1024)')
  .action((model: string | undefined, flags: EstimateFlags) => estimate(model, flags, signal))

withModel(program.command('bench'))
  .description('measure how fast a model is here: loading, encoding a picture, prompt, answer')
  .option('--picture <width>x<height>', 'size of the picture', '1024x1024')
  .option('--prompt <n>', 'words of the text', count, 256)
  .option('--generate <n>', 'tokens of the answer', count, 64)
  .option('--runs <n>', 'runs, of which the median is told', count, 3)
  .action((flags: BenchFlags) => bench(flags, signal))

withModel(program.command('info'))
  .description('show the facts of the installation and of the model')
  .action((flags: ModelFlags) => info(flags, signal))

withModel(program.command('doctor'))
  .description('tell what of this machine is used, what is not and why, and make the model answer')
  .action((flags: ModelFlags) => doctor(flags, signal))

program
  .command('build')
  .description(
    'compile the native part on this machine: once, some minutes; needs a C++17 compiler, CMake and git',
  )
  .option('--cuda', 'for NVIDIA GPUs; needs the CUDA toolkit')
  .option(
    '--cuda-architectures <list>',
    'compute capabilities, e.g. "86;90", when the GPU is in another machine',
  )
  .option('--metal', 'for Apple GPUs; the default on macOS')
  .option('--vulkan', 'for GPUs with Vulkan; needs the Vulkan SDK')
  .option('--release', 'portable, for all processors of this platform')
  .option('--jobs <n>', 'parallel compilers (default: one for each core)', count)
  .option('--json', 'tell on stdout, as JSON, where the binary is and whether something was compiled')
  .action((flags: BuildFlags) => build(flags))

for (const command of program.commands) command.addHelpText('after', examplesOf(command.name()))

void main()

async function main(): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    if (signal.aborted) return
    process.stderr.write(`${errorLine(error)}\n`)
    if (process.argv.includes('--verbose')) process.stderr.write(errorLog(error))
    process.exitCode = 1
  } finally {
    if (signal.aborted) process.exitCode = signal.reason as number
  }
}

/** Without a default that says nothing. */
function describeOption(option: Option): string {
  const { defaultValue } = option as { defaultValue: unknown }
  const empty = defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0)
  const told = Object.create(option, empty ? { defaultValue: { value: undefined } } : {}) as Option
  return new Help().optionDescription(told)
}

function withJson(command: Command): Command {
  return command
    .optionsGroup('Options:')
    .option('--json', 'print one JSON object instead', false)
    .option('--verbose', 'tell more on stderr: times, and the native log of an error', false)
}

/** The options of all commands that load a model. */
function withModel(command: Command): Command {
  return withJson(command)
    .optionsGroup('Model:')
    .addOption(
      new Option(
        '-m, --model <file>',
        'GGUF file of the model, or hf:owner/name:Q4_K_M (default: the built-in)',
      ).env('QWENVL_MODEL'),
    )
    .addOption(new Option('--mmproj <file>', 'GGUF file of its vision projector').env('QWENVL_MMPROJ'))
    .option(
      '--context-size <n>',
      'tokens that prompt and answer may take together (default: 8192, or what the model was trained for)',
      number,
    )
    .option('--threads <n>', 'threads for computing (default: the physical cores)', number)
    .option('--gpu-layers <n>', 'decoder layers on the GPU: -1 all, 0 none (default: -1)', number)
    .option('--min-pixels <n>', 'smallest area of a picture as the model sees it', number)
    .option('--max-pixels <n>', 'largest area of a picture as the model sees it', number)
    .addOption(
      new Option(
        '--reference <name>',
        'whose sizes and pixels pictures and videos get (default: a mix of the two, docs/parity.md)',
      ).choices(['transformers', 'qwen-vl-utils']),
    )
    .option('--lora <file>', 'LoRA adapter, or file=scale; may be given several times', collect, [])
    .option('--allow-private-addresses', 'fetch pictures from private and local addresses too', false)
    .optionsGroup('Options:')
}

/** The options of all commands that generate. */
function withGeneration(command: Command): Command {
  return withModel(command)
    .optionsGroup('Answer:')
    .option('--system <text>', 'system message')
    .option('--max-tokens <n>', 'most generated tokens (default: what the context holds)', number)
    .option('--temperature <x>', '0: always the likeliest token (default: that of the model)', number)
    .option('--seed <n>', 'same seed, same answer (default: a new one each time)', number)
    .optionsGroup('Options:')
}

/** For numbers that the API does not see. */
function count(text: string): number {
  const value = number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It has to be a whole number from 1.')
  return value
}

/** The options of commands that look at videos. */
function withVideo(command: Command): Command {
  return command
    .optionsGroup('Video:')
    .option('--fps <x>', 'frames of a video to look at per second (default: 2)', number)
    .option('--max-frames <n>', 'most frames of a video (default: 768)', number)
    .option('--total-pixels <n>', 'largest area of all pairs of frames together: fewer tokens', number)
    .option('--ffmpeg <file>', 'the ffmpeg program, ffprobe beside it (default: from PATH)')
    .optionsGroup('Options:')
}

function collect(value: string, values: readonly string[]): string[] {
  return [...values, value]
}

/** The ranges are checked by the API. */
function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('It has to be a number.')
  return value
}

function packageVersion(): string {
  const manifest = readFileSync(join(__dirname, '../../package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
