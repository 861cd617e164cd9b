/**
 * The model's own chat template, rendered so that no text of a caller can become a control token.
 *
 * Before rendering, every control token *in the template's source* is replaced by a character that occurs nowhere in
 * the conversation. In the result exactly these characters are tokens; whatever else reads like one came from a
 * caller and stays text, also when it was put together from several strings. The template's logic (trim, split,
 * startswith) sees the callers' strings untouched, as in the reference.
 */
import type { Template } from '@huggingface/jinja' with { 'resolution-mode': 'import' }
import { QwenVLError } from '../errors'
import { imagePad, videoPad } from '../generations'
import type { ToolForm } from '../generations'
import type { NormalisedMessage, NormalisedPart } from './normalise'
import { printableCalls, spellTools } from './tools'
import type { FunctionTool, ToolConversation } from './tools'

// The package is typed as an ES module only, but ships CommonJS too; a static require keeps rendering synchronous.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const jinja = require('@huggingface/jinja') as { Template: typeof Template }

/** A run of the rendered prompt. */
export type Piece =
  | { readonly special: number }
  /** Plain text: tokenised without matching control tokens. */
  | { readonly text: string }
  /** Place of the n-th picture or video of the conversation, from 0; of a video also of one pair of its frames. */
  | { readonly media: number; readonly pair?: number }
  /** Ids that were generated for an earlier answer, to be used as they are. */
  | { readonly tokens: Int32Array }

export interface RenderedPrompt {
  readonly pieces: readonly Piece[]
  /** The prompt for human eyes; a picture or video is its one unexpanded placeholder. */
  readonly text: string
}

export interface RenderOptions {
  /** End with the opening of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean
  /** "Picture 1: " before each picture, "Video 1: " before each video. Default false. */
  readonly addVisionId?: boolean
  /** Printed by templates that know tools, else spelled out in the system message. */
  readonly tools?: readonly FunctionTool[]
  /** Further variables of the template, e.g. `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>
  /** 'allow': control tokens written by the caller count as such; prompt injection becomes possible. Default 'text'. */
  readonly specialTokens?: 'text' | 'allow'
}

export interface ControlToken {
  readonly id: number
  readonly text: string
}

export class ChatTemplate {
  readonly #source: string
  /** Control tokens by text. */
  readonly #control: ReadonlyMap<string, number>
  readonly #controlPattern: RegExp
  /** Control tokens that the source contains. */
  readonly #written: readonly string[]
  readonly #compiled = new Map<string, Template>()
  readonly #toolForm: ToolForm
  readonly #knowsTools: boolean

  /**
   * @param source Jinja, as in `tokenizer.chat_template`.
   * @param toolForm How the model writes calls of tools.
   * @throws QwenVLError TEMPLATE_FAILED when the template cannot be parsed.
   */
  constructor(source: string, controlTokens: readonly ControlToken[], toolForm: ToolForm = 'hermes') {
    this.#source = source
    this.#toolForm = toolForm
    this.#knowsTools = /\btools\b/.test(source)
    this.#control = new Map(controlTokens.filter(({ text }) => text !== '').map(({ id, text }) => [text, id]))
    this.#controlPattern = anyOf([...this.#control.keys()])
    this.#written = [...new Set(source.match(this.#controlPattern) ?? [])]
    this.#compile(source)
  }

  /**
   * @throws QwenVLError TEMPLATE_FAILED when the template refuses the conversation (its own words are in the
   *   message) or does not place every picture and video. InvalidArgumentError for calls that cannot be printed.
   */
  render(conversation: readonly NormalisedMessage[], options: RenderOptions = {}): RenderedPrompt {
    const { messages, continues } = this.#withTools(conversation, options.tools ?? [])
    const allow = options.specialTokens === 'allow'
    const answers = messages.filter(hasExactTokens)
    const characters = unusedCharacters(
      this.#source + textsOf(messages, options),
      this.#written.length + answers.length + 1,
    )
    const end = continues ? characters.slice(-1) : undefined
    const marks = new Map(this.#written.map((token, index) => [token, characters.charAt(index)]))
    const marked = allow
      ? this.#source
      : this.#source.replace(this.#controlPattern, (token) => marks.get(token) ?? token)
    const template = this.#compile(marked)
    const given = { ...options, tools: this.#knowsTools ? options.tools : undefined }
    const draw = (contents: ReadonlyMap<NormalisedMessage, string>) =>
      run(template, end === undefined ? messages : endedBy(end, messages), contents, given, end)

    const plain = draw(new Map())
    const slots = answers.map((message, index) => ({
      message,
      mark: characters.charAt(this.#written.length + index),
    }))
    const kept = continues ? [] : unaltered(plain, slots, draw)
    const prompt = kept.length > 0 ? draw(contentsOf(kept)) : plain

    const tokens = new Map([...marks].map(([token, mark]) => [mark, token]))
    const exact = new Map(kept.map(({ message, mark }) => [mark, message]))
    const pieces = this.#split(prompt, allow, tokens, exact)
    checkMedia(pieces, messages)
    return { pieces, text: plain.replace(privateUse, (character) => tokens.get(character) ?? character) }
  }

  #withTools(messages: readonly NormalisedMessage[], tools: readonly FunctionTool[]): ToolConversation {
    const concerned = tools.length > 0 || messages.some(({ role, toolCalls }) => role === 'tool' || toolCalls)
    if (!concerned) return { messages, continues: false }
    return this.#knowsTools
      ? { messages: printableCalls(messages, this.#toolForm), continues: false }
      : spellTools(messages, tools, this.#toolForm)
  }

  #compile(source: string): Template {
    const known = this.#compiled.get(source)
    if (known) return known
    const template = attempt('could not be parsed', () => new jinja.Template(source))
    // Another choice of characters is rare; do not collect them.
    if (this.#compiled.size > 4) this.#compiled.clear()
    this.#compiled.set(source, template)
    return template
  }

  #split(
    prompt: string,
    allow: boolean,
    tokens: ReadonlyMap<string, string>,
    answers: ReadonlyMap<string, NormalisedMessage>,
  ): Piece[] {
    const markers = [...answers.keys(), ...(allow ? this.#control.keys() : tokens.keys())]
    let media = 0
    return splitAt(prompt, anyOf(markers)).map((part): Piece => {
      const answer = answers.get(part)?.tokens
      if (answer) return { tokens: answer }
      const token = allow ? part : tokens.get(part)
      if (token === imagePad || token === videoPad) return { media: media++ }
      const id = token === undefined ? undefined : this.#control.get(token)
      return id === undefined ? { text: part } : { special: id }
    })
  }
}

interface Slot {
  readonly message: NormalisedMessage
  /** Character that stands for the message's text. */
  readonly mark: string
}

type Draw = (contents: ReadonlyMap<NormalisedMessage, string>) => string

/**
 * The answers whose text the template prints as it is. A template that strips thoughts from earlier answers changes
 * what the model sees, so the ids that were generated no longer apply there.
 */
function unaltered(plain: string, slots: readonly Slot[], draw: Draw): readonly Slot[] {
  const survives = (some: readonly Slot[]) => {
    const restored = some.reduce(
      (prompt, { message, mark }) => prompt.split(mark).join(textOf(message)),
      draw(contentsOf(some)),
    )
    return restored === plain
  }
  if (slots.length === 0 || survives(slots)) return slots
  return slots.filter((slot) => survives([slot]))
}

function contentsOf(slots: readonly Slot[]): Map<NormalisedMessage, string> {
  return new Map(slots.map(({ message, mark }) => [message, mark]))
}

function run(
  template: Template,
  messages: readonly NormalisedMessage[],
  contents: ReadonlyMap<NormalisedMessage, string>,
  options: Omit<RenderOptions, 'tools'> & { readonly tools: readonly FunctionTool[] | undefined },
  end: string | undefined,
): string {
  const prompt = attempt('refused the conversation', () =>
    template.render({
      ...options.variables,
      messages: messages.map((message) => templateMessage(message, contents.get(message))),
      add_generation_prompt: end === undefined && (options.addGenerationPrompt ?? true),
      add_vision_id: options.addVisionId ?? false,
      ...(options.tools && { tools: options.tools }),
    }),
  )
  return end === undefined ? prompt : prompt.slice(0, prompt.indexOf(end))
}

/** The last message with a mark at its end, where the prompt of an answer that goes on is cut off. */
function endedBy(mark: string, messages: readonly NormalisedMessage[]): NormalisedMessage[] {
  return messages.map((message, index) =>
    index === messages.length - 1
      ? { ...message, parts: [...message.parts, { type: 'text', text: mark }] }
      : message,
  )
}

/** Every text of the caller that the template may print. */
function textsOf(messages: readonly NormalisedMessage[], { tools, variables }: RenderOptions): string {
  const texts = [messages.map((message) => templateMessage(message)), tools, variables]
  return attempt('cannot take `tools` or `variables` that are no JSON', () => JSON.stringify(texts))
}

/** A message as the templates know it. Text alone is given as one string, which text-only templates take too. */
function templateMessage(message: NormalisedMessage, content?: string): Record<string, unknown> {
  const onlyText = message.parts.every((part) => part.type === 'text')
  return {
    role: message.role,
    content: content ?? (onlyText ? textOf(message) : message.parts.map(templatePart)),
    ...(message.toolCalls && { tool_calls: message.toolCalls }),
    ...(message.reasoning !== undefined && { reasoning_content: message.reasoning }),
  }
}

function templatePart(part: NormalisedPart): Record<string, string> {
  if (part.type === 'text') return { ...part }
  const isVideo = part.type === 'video' || part.type === 'video_embedding'
  return isVideo ? { type: 'video', video: '' } : { type: 'image', image: '' }
}

function hasExactTokens(message: NormalisedMessage): boolean {
  return (
    message.tokens !== undefined &&
    message.tokens.length > 0 &&
    message.parts.every(({ type }) => type === 'text')
  )
}

function textOf(message: NormalisedMessage): string {
  return message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

function checkMedia(pieces: readonly Piece[], messages: readonly NormalisedMessage[]): void {
  const placed = pieces.filter((piece) => 'media' in piece).length
  const given = messages.flatMap(({ parts }) => parts).filter(({ type }) => type !== 'text').length
  if (placed === given) return
  throw new QwenVLError(
    'TEMPLATE_FAILED',
    `The chat template placed ${placed} pictures and videos of ${given}: it is a text-only template, drops a message ` +
      `that holds some, or \`specialTokens: 'allow'\` let a text write ${imagePad} or ${videoPad}. Use a GGUF with the ` +
      "model's vision template.",
    { details: { placed, given } },
  )
}

const privateUse = /[\uE000-\uF8FF]/g

/** So many private-use characters that `text` does not contain. */
function unusedCharacters(text: string, count: number): string {
  const used = new Set(text.match(privateUse))
  let free = ''
  for (let code = 0xe000; code <= 0xf8ff && free.length < count; code++) {
    const character = String.fromCharCode(code)
    if (!used.has(character)) free += character
  }
  if (free.length === count) return free
  throw new QwenVLError(
    'TEMPLATE_FAILED',
    'The conversation contains nearly every private-use character (U+E000 to U+F8FF): remove them from its texts.',
  )
}

/** `text` cut before and after every match, without empty parts. */
function splitAt(text: string, pattern: RegExp): string[] {
  const parts: string[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(end, match.index), match[0])
    end = match.index + match[0].length
  }
  parts.push(text.slice(end))
  return parts.filter((part) => part !== '')
}

/** Matches any of `words`, the longest where several begin at one place; nothing when there are none. */
function anyOf(words: readonly string[]): RegExp {
  const escaped = [...words]
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(escaped.join('|') || '(?!)', 'g')
}

function attempt<T>(what: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new QwenVLError('TEMPLATE_FAILED', `The chat template ${what}: ${reason}`, { cause })
  }
}
