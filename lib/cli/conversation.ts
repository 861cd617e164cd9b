/** What `chat` remembers: the conversation, pictures for the next message, the last answer; and its commands. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { InvalidArgumentError } from '../errors'
import { assistant, drawOnLatestPicture, image, system, text, user, video } from '../index'
import type {
  Chat,
  GenerationResult,
  GenerationStream,
  ImagePart,
  Message,
  QwenVL,
  VideoPart,
} from '../index'
import type { ChatOptions } from '../index'
import { pictureSizes } from './picture'

/** What a command says: for people, and as JSON. */
export interface Told {
  readonly text: string
  readonly value: unknown
}

export class Conversation {
  readonly #model: QwenVL
  readonly #options: ChatOptions
  #chat: Chat
  #messages: Message[]
  #pending: (ImagePart | VideoPart)[] = []
  #last: GenerationResult | undefined

  /** @param options `messages` are those of an earlier conversation */
  constructor(model: QwenVL, options: ChatOptions) {
    this.#model = model
    this.#options = options
    this.#chat = model.createChat(options)
    this.#messages = [
      ...(options.system === undefined ? [] : [system(options.system)]),
      ...(options.messages ?? []),
    ]
  }

  get last(): GenerationResult | undefined {
    return this.#last
  }

  /** A question, with the pictures so far. The conversation grows once the answer is complete. */
  ask(
    question: string,
    signal: AbortSignal,
  ): { readonly stream: GenerationStream; readonly kept: Promise<void> } {
    const content = [...this.#pending, text(question)]
    const stream = this.#chat.stream(content, { signal })
    this.#pending = []
    const kept = stream.result.then((result) => {
      if (result.finishReason === 'cancelled') return
      this.#messages.push(user(...content), assistant(result.text))
      this.#last = result
    })
    return { stream, kept }
  }

  /** A picture for the next message. */
  async addImage(source: string, signal: AbortSignal): Promise<Told> {
    const part = image(source)
    const cost = await this.#model.measureImage(part, { signal })
    this.#pending.push(part)
    return { text: `${source}: ${pictureSizes(cost)}`, value: { image: source, ...cost } }
  }

  /** A video for the next message. */
  addVideo(source: string): Told {
    if (!existsSync(source)) throw wrong(`There is no file '${source}'.`)
    this.#pending.push(video(source))
    return { text: `${source} goes with the next message`, value: { video: source } }
  }

  /** Writes the messages, as `chat --load` and `inspect --messages` read them. */
  async save(path: string): Promise<Told> {
    await writeFile(path, `${JSON.stringify(this.#messages, undefined, 2)}\n`)
    const messages = this.#messages.length
    return { text: `${messages} messages are in ${path}`, value: { saved: path, messages } }
  }

  /** Draws the boxes and points of the last answer onto its picture. */
  async draw(path: string, signal: AbortSignal): Promise<Told> {
    const format = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.webp': 'webp' }[
      extname(path).toLowerCase()
    ]
    if (format === undefined) throw wrong(`'${path}' has to end in .png, .jpg or .webp.`)
    if (!this.#last) throw wrong('There is no answer to draw yet.')
    if (this.#last.images.length === 0) throw wrong('There is no picture to draw on yet: /image dog.jpg')
    const options = { format: format as 'png' | 'jpeg' | 'webp', signal }
    const drawn = await drawOnLatestPicture(this.#messages, this.#last, this.#model.info, options)
    if (!drawn) {
      const how = 'Ask for some: "Where is the dog? Report bbox coordinates in JSON format."'
      throw wrong(`The last answer has no boxes or points in the latest picture. ${how}`)
    }
    await writeFile(path, drawn)
    return { text: `drawn in ${path}`, value: { drawn: path } }
  }

  /** Begins anew; the system message stays. */
  clear(): Told {
    const { messages: _, ...options } = this.#options
    this.#chat = this.#model.createChat(options)
    this.#messages = options.system === undefined ? [] : [system(options.system)]
    this.#pending = []
    this.#last = undefined
    return { text: 'a new conversation', value: { cleared: true } }
  }
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_ARGUMENT', message)
}
