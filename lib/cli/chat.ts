/** `chat`: a conversation in the terminal, or from a pipe, a line each. */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Interface } from 'node:readline'
import { whenAborted } from '../abort'
import { AbortError, InvalidArgumentError } from '../errors'
import type { Message } from '../index'
import { printText, report } from './ask'
import { Conversation } from './conversation'
import type { Told } from './conversation'
import { errorLine } from './failure'
import { generateOptions } from './generation'
import type { GenerationFlags } from './generation'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { facts, json, print } from './output'
import { readTyped } from './typed'

export interface ChatFlags extends ModelFlags, GenerationFlags {
  /** Path of a conversation that `/save` wrote. */
  readonly load?: string
}

interface Command {
  readonly usage: string
  readonly does: string
  /** Nothing told: the conversation is over. */
  readonly run: (
    conversation: Conversation,
    args: readonly string[],
    signal: AbortSignal,
  ) => Promise<Told | undefined> | Told | undefined
}

const fence = '"""'
const interrupted = 130

const commands: Readonly<Record<string, Command>> = {
  image: {
    usage: '/image <path or URL…>',
    does: 'shows pictures with the next message',
    run: async (conversation, args, signal) => {
      const told: Told[] = []
      for (const source of needed(args, '/image dog.jpg'))
        told.push(await conversation.addImage(source, signal))
      return { text: told.map(({ text }) => text).join('\n'), value: told.map(({ value }) => value) }
    },
  },
  video: {
    usage: '/video <path>',
    does: 'shows a video with the next message',
    run: (conversation, args) => conversation.addVideo(needed(args, '/video clip.mp4')[0] ?? ''),
  },
  draw: {
    usage: '/draw [file]',
    does: 'draws what the last answer points at (default: answer.png)',
    run: (conversation, [path = 'answer.png'], signal) => conversation.draw(path, signal),
  },
  save: {
    usage: '/save [file]',
    does: 'writes the conversation, for `chat --load` (default: chat.json)',
    run: (conversation, [path = 'chat.json']) => conversation.save(path),
  },
  stats: {
    usage: '/stats',
    does: 'tells sizes and times of the last answer',
    run: ({ last }) => {
      if (!last) throw new InvalidArgumentError('INVALID_ARGUMENT', 'There is no answer yet.')
      return { text: report(last).trimEnd(), value: { timings: last.timings, usage: last.usage } }
    },
  },
  clear: { usage: '/clear', does: 'begins a new conversation', run: (conversation) => conversation.clear() },
  help: {
    usage: '/help',
    does: 'shows this',
    run: () => ({ text: help, value: Object.values(commands).map(({ usage }) => usage) }),
  },
  exit: { usage: '/exit', does: 'ends the conversation; so does Ctrl-D', run: () => undefined },
}

const help = [
  facts(Object.fromEntries(Object.values(commands).map(({ usage, does }) => [usage, does]))),
  'Paths and addresses of pictures may stand in a message; ',
  `${fence} begins and ends a message of several lines.\nCtrl-C ends an answer.`,
].join('')

export async function chat(
  pictures: readonly string[],
  flags: ChatFlags,
  signal: AbortSignal,
): Promise<void> {
  const earlier = flags.load === undefined ? undefined : await readMessages(flags.load)
  await withModel(flags, signal, async (model) => {
    const conversation = new Conversation(model, {
      ...generateOptions(flags),
      ...(flags.system !== undefined && { system: flags.system }),
      ...(earlier && { messages: earlier }),
    })
    const talk = new Talk(conversation, flags, signal)
    for (const source of pictures) await talk.tell(await conversation.addImage(source, signal))
    await talk.run()
  })
}

async function readMessages(path: string): Promise<readonly Message[]> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as readonly Message[]
  } catch (error) {
    const message = `${path} is no conversation: ${(error as Error).message}. Name a file that /save wrote.`
    throw new InvalidArgumentError('INVALID_ARGUMENT', message, { cause: error })
  }
}

/** Lines in, answers out. In a terminal an error is told and the talk goes on; in a pipe it is the end. */
class Talk {
  readonly #conversation: Conversation
  readonly #flags: ChatFlags
  readonly #signal: AbortSignal
  readonly #terminal = process.stdin.isTTY && process.stdout.isTTY
  #answering: AbortController | undefined

  constructor(conversation: Conversation, flags: ChatFlags, signal: AbortSignal) {
    this.#conversation = conversation
    this.#flags = flags
    this.#signal = signal
  }

  async run(): Promise<void> {
    const lines = createInterface({
      input: process.stdin,
      ...(this.#terminal && { output: process.stdout }),
      prompt: '> ',
      signal: this.#signal,
      completer: (line: string) => [namesOf(line), line],
    })
    lines.on('SIGINT', () => this.#interrupt(lines))
    if (this.#terminal) await this.tell({ text: 'Type /help for what there is.', value: undefined })
    try {
      if (this.#terminal) lines.prompt()
      for await (const message of messagesOf(lines, this.#terminal)) {
        if (!(await this.#hear(message))) break
        if (this.#terminal) lines.prompt()
      }
    } finally {
      lines.close()
    }
    if (this.#signal.aborted) throw new AbortError(this.#signal.reason)
  }

  /** What is told beside the answers: in a pipe only as JSON, or on stderr where more is wanted. */
  async tell({ text, value }: Told): Promise<void> {
    if (this.#flags.json) {
      if (value !== undefined) await print(json(value), this.#signal)
    } else if (this.#terminal) await print(`${text}\n`, this.#signal)
    else if (this.#flags.verbose) process.stderr.write(`${text}\n`)
  }

  /** Ctrl-C, which a terminal hands to whoever reads its lines. */
  #interrupt(lines: Interface): void {
    if (this.#answering) {
      this.#answering.abort()
      return
    }
    process.exitCode = interrupted
    lines.close()
  }

  /** False for the last one. */
  async #hear(message: string): Promise<boolean> {
    this.#answering = new AbortController()
    const { signal } = this.#answering
    const forget = whenAborted(this.#signal, () => this.#answering?.abort())
    try {
      return await this.#answer(message, signal)
    } catch (error) {
      if (this.#signal.aborted || !this.#terminal) throw error
      process.stdout.write(
        signal.aborted ? '\n(stopped; this question is forgotten)\n' : `${errorLine(error)}\n`,
      )
      return true
    } finally {
      forget()
      this.#answering = undefined
    }
  }

  async #answer(message: string, signal: AbortSignal): Promise<boolean> {
    const typed = readTyped(message)
    if (typed.type === 'command') {
      const told = await commandOf(typed.name).run(this.#conversation, typed.args, signal)
      if (told) await this.tell(told)
      return told !== undefined
    }
    for (const source of typed.pictures) await this.tell(await this.#conversation.addImage(source, signal))
    if (typed.text === '') return true
    const { stream, kept } = this.#conversation.ask(typed.text, signal)
    const [, result] = await Promise.all([
      this.#flags.json ? undefined : printText(stream, signal),
      stream.result,
      kept,
    ])
    if (this.#flags.json) await print(json(result), this.#signal)
    if (this.#flags.verbose) process.stderr.write(report(result))
    return true
  }
}

/** Lines, or what stands between two fences as one. Empty ones count for nothing. */
async function* messagesOf(lines: Interface, terminal: boolean): AsyncGenerator<string> {
  let block: string[] | undefined
  for await (const line of lines) {
    if (block) {
      const ended = line.trimEnd().endsWith(fence)
      block.push(ended ? line.trimEnd().slice(0, -fence.length) : line)
      if (!ended) continue
      yield block.join('\n').trim()
      block = undefined
    } else if (line.trimStart().startsWith(fence)) {
      block = [line.trimStart().slice(fence.length)]
    } else if (line.trim() !== '') {
      yield line.trim()
    } else if (terminal) {
      lines.prompt()
    }
  }
  if (block) yield block.join('\n').trim()
}

function commandOf(name: string): Command {
  const command = commands[name === 'quit' ? 'exit' : name]
  if (command) return command
  throw new InvalidArgumentError('INVALID_ARGUMENT', `There is no /${name}. /help shows what there is.`)
}

function namesOf(line: string): string[] {
  return Object.keys(commands)
    .map((name) => `/${name}`)
    .filter((name) => name.startsWith(line))
}

function needed(args: readonly string[], example: string): readonly string[] {
  if (args.length > 0) return args
  throw new InvalidArgumentError('INVALID_ARGUMENT', `Name a file: ${example}`)
}
