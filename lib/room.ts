/** Makes room in the context for an answer: what of a conversation is left out, or shown smaller, once it is too long. */
import { renderOptions } from './answer'
import type { Answerer } from './answer'
import { preparePrompt } from './conversation'
import type { PreparedPrompt } from './conversation'
import { ContextOverflowError } from './errors'
import { imageLayout } from './media/geometry'
import type { ImageLayout, Size } from './media/geometry'
import type { PreparedImage } from './media/image'
import type { GenerateOptions } from './options'
import type { NormalisedMessage, NormalisedPart } from './prompt/normalise'
import { imageGeometry, readPicture } from './reading'
import type { ImagePart, PictureMemory } from './reading'

/**
 * What becomes of a conversation that is too long for the context. 'error': a ContextOverflowError. 'dropOldestTurns': turns
 * are left out, the oldest first; what the system message says stays. 'shrinkImages': the pictures of earlier turns are
 * shown with a quarter of their pixels, the oldest first, as often as it takes.
 */
export type OverflowPolicy = 'error' | 'dropOldestTurns' | 'shrinkImages'

/** What was done to make room. */
export interface Evicted {
  /** Turns that were left out: a question, its answer, and what tools said in between. */
  readonly turns: number
  /** Pictures that were made smaller. */
  readonly images: number
}

/** A conversation that fits, and its prompt. */
export interface Fitted {
  readonly messages: readonly NormalisedMessage[]
  readonly prompt: PreparedPrompt
  readonly evicted?: Evicted
}

/** Once something has to go, the prompt is brought down to this share of the room: else every turn would compute it anew. */
const comfortable = 0.75
/** The answer finds at least this share of the context, unless `maxTokens` asks for less. */
const answerShare = 0.25
/** Pictures are not made smaller than so many tokens. */
const leastTokens = 4

/** @throws ContextOverflowError where nothing is left to go; and like `preparePrompt` */
export async function makeRoom(
  maker: Answerer,
  messages: readonly NormalisedMessage[],
  policy: OverflowPolicy,
  settings: GenerateOptions,
  signal: AbortSignal,
  memory: PictureMemory,
): Promise<Fitted> {
  const prepare = (those: readonly NormalisedMessage[]) =>
    preparePrompt(maker, those, renderOptions(settings), signal, memory)
  const prompt = await prepare(messages)
  const { contextSize } = maker.engine.info
  const room = contextSize - Math.min(settings.maxTokens ?? Infinity, Math.floor(contextSize * answerShare))
  if (policy === 'error' || prompt.cells <= room) return { messages, prompt }
  const limits = { contextSize, room, wanted: Math.floor(room * comfortable) }
  return policy === 'dropOldestTurns'
    ? dropTurns(messages, prompt, limits, prepare)
    : shrinkPictures(maker, messages, prompt, limits, prepare, signal, memory)
}

interface Limits {
  readonly contextSize: number
  /** Tokens that the prompt may take, and that it should take. */
  readonly room: number
  readonly wanted: number
}

type Prepare = (messages: readonly NormalisedMessage[]) => Promise<PreparedPrompt>

async function dropTurns(
  messages: readonly NormalisedMessage[],
  whole: PreparedPrompt,
  limits: Limits,
  prepare: Prepare,
): Promise<Fitted> {
  const starts = turnStarts(messages)
  const without = (turns: number) => [
    ...messages.slice(0, starts[0]),
    ...messages.slice(starts[turns] ?? messages.length),
  ]
  // The more turns go, the shorter is the prompt: the fewest that are enough are found by halving.
  let [few, many] = [0, starts.length - 1]
  while (few + 1 < many) {
    const middle = Math.floor((few + many) / 2)
    if ((await prepare(without(middle))).cells <= limits.wanted) many = middle
    else few = middle
  }
  const rest = without(many)
  const prompt = many > 0 ? await prepare(rest) : whole
  if (prompt.cells > limits.room) throw stillTooLong(prompt.cells, limits, 'the last turn alone is')
  return { messages: rest, prompt, evicted: { turns: many, images: 0 } }
}

/** Where turns begin: at what the user says. What stands before the first belongs to none. */
function turnStarts(messages: readonly NormalisedMessage[]): number[] {
  return messages.flatMap(({ role }, index) => (role === 'user' ? [index] : []))
}

async function shrinkPictures(
  maker: Answerer,
  messages: readonly NormalisedMessage[],
  whole: PreparedPrompt,
  limits: Limits,
  prepare: Prepare,
  signal: AbortSignal,
  memory: PictureMemory,
): Promise<Fitted> {
  const pictures = earlierPictures(messages, memory)
  const shown: ImageLayout[] = pictures.map(({ prepared }) => prepared)
  let cells = whole.cells
  for (let smaller = true; smaller && cells > limits.wanted;) {
    smaller = false
    for (const [index, picture] of pictures.entries()) {
      const before = shown[index]
      const after = before && cells > limits.wanted ? quartered(maker, picture, before) : undefined
      if (!before || !after) continue
      shown[index] = after
      cells -= before.tokens - after.tokens
      smaller = true
    }
  }
  const replaced = new Map<NormalisedPart, NormalisedPart>()
  for (const [index, picture] of pictures.entries()) {
    const size = shown[index]
    if (size && size !== picture.prepared)
      replaced.set(picture.part, await smallerPicture(maker, picture, size, signal, memory))
  }
  const rest = messages.map((message) => ({
    ...message,
    parts: message.parts.map((part) => replaced.get(part) ?? part),
  }))
  const prompt = replaced.size > 0 ? await prepare(rest) : whole
  if (prompt.cells > limits.room)
    throw stillTooLong(prompt.cells, limits, 'with the smallest pictures of earlier turns it is')
  return { messages: rest, prompt, evicted: { turns: 0, images: replaced.size } }
}

interface Picture {
  readonly part: ImagePart
  readonly prepared: PreparedImage
}

/** Pictures of the turns before the last, the oldest first. */
function earlierPictures(messages: readonly NormalisedMessage[], memory: PictureMemory): Picture[] {
  return messages.slice(0, turnStarts(messages).at(-1)).flatMap(({ parts }) =>
    parts.flatMap((part) => {
      const prepared = part.type === 'image' ? memory.get(part) : undefined
      return part.type === 'image' && prepared && 'pixels' in prepared ? [{ part, prepared }] : []
    }),
  )
}

/** Size of a picture with a quarter of its tokens; undefined if it is as small as it gets. */
function quartered(maker: Answerer, { prepared }: Picture, { tokens }: ImageLayout): ImageLayout | undefined {
  const area = maker.generation.factor ** 2
  const bounds = { minPixels: leastTokens * area, maxPixels: Math.max(leastTokens, tokens / 4) * area }
  try {
    const layout = imageLayout(prepared, imageGeometry(maker, bounds))
    return layout.tokens < tokens ? layout : undefined
  } catch {
    return undefined // of a long strip nothing would be left
  }
}

/** The same picture with fewer pixels, made of those that the model saw before. */
async function smallerPicture(
  maker: Answerer,
  { part, prepared }: Picture,
  size: Size,
  signal: AbortSignal,
  memory: PictureMemory,
): Promise<ImagePart> {
  const { pixels: data, width, height, original } = prepared
  const { cache } = part.options
  const replacement: ImagePart = {
    type: 'image',
    source: { data, width, height, channels: 3 },
    options: { resizedHeight: size.height, resizedWidth: size.width, ...(cache && { cache }) },
  }
  const smaller = await readPicture(maker, replacement, signal)
  memory.set(replacement, { ...smaller, original })
  return replacement
}

function stillTooLong(cells: number, { contextSize, room }: Limits, why: string): ContextOverflowError {
  return new ContextOverflowError(
    'CONTEXT_OVERFLOW',
    `The conversation cannot be made to fit: ${why} ${cells} tokens, and the context has room for ${room} beside the ` +
      'answer. Load with a larger `contextSize`, ask for fewer `maxTokens`, or show smaller pictures.',
    { details: { promptTokens: cells, contextSize } },
  )
}
