/** Messages of content blocks, as Anthropic's API writes them → the library's, their pictures checked. */
import { z } from 'zod'
import type { ContentPart, Message, ToolCall } from '../index'
import { badValue } from './failure'
import type { MediaGate } from './media'

const string = z.string({ error: 'a string' })
const block = z.looseObject({ type: string }, { error: 'a content block: { type }' })
type Block = z.infer<typeof block>
const content = z.union([string, z.array(block)], { error: 'a string or an array of content blocks' })

export const systemBlocks = content.optional()
export const blockList = z
  .array(
    z.object(
      {
        role: z.enum(['user', 'assistant', 'system'], { error: "'user' or 'assistant'" }),
        content,
      },
      { error: 'a message: { role, content }' },
    ),
    { error: 'an array of messages' },
  )
  .min(1, { error: 'at least one message' })

interface Written {
  readonly system?: z.infer<typeof systemBlocks>
  readonly messages: z.infer<typeof blockList>
}

/** @throws HttpError for blocks of other types, and refused pictures */
export async function conversationOf({ system, messages }: Written, gate: MediaGate): Promise<Message[]> {
  const read: Message[] = []
  if (system !== undefined && system.length > 0)
    read.push({ role: 'system', content: await partsOf(system, 'system', gate) })
  for (const [index, { role, content: given }] of messages.entries()) {
    const path = `messages[${index}].content`
    if (role === 'assistant') read.push(await assistantMessage(given, path, gate))
    else if (role === 'system') read.push({ role, content: await partsOf(given, path, gate) })
    else read.push(...(await userMessages(given, path, gate)))
  }
  return read
}

/** Results of tools are messages of their own; what stands between them keeps its place. */
async function userMessages(given: string | Block[], path: string, gate: MediaGate): Promise<Message[]> {
  if (typeof given === 'string') return [{ role: 'user', content: given }]
  const messages: Message[] = []
  let parts: ContentPart[] = []
  const flush = () => {
    if (parts.length > 0) messages.push({ role: 'user', content: parts })
    parts = []
  }
  for (const [index, each] of given.entries()) {
    const at = `${path}[${index}]`
    if (each.type === 'tool_result') {
      flush()
      const result = content.optional().safeParse(each['content'] ?? '')
      if (!result.success) throw badValue(`${at}.content`, `Expected \`${at}.content\` to be content blocks.`)
      const id = each['tool_use_id']
      messages.push({
        role: 'tool',
        content: await partsOf(result.data ?? '', `${at}.content`, gate),
        ...(typeof id === 'string' && { tool_call_id: id }),
      })
    } else {
      parts.push(await partOf(each, at, gate))
    }
  }
  flush()
  return messages.length > 0 ? messages : [{ role: 'user', content: [] }]
}

async function assistantMessage(given: string | Block[], path: string, gate: MediaGate): Promise<Message> {
  if (typeof given === 'string') return { role: 'assistant', content: given }
  const parts: ContentPart[] = []
  const calls: ToolCall[] = []
  const thoughts: string[] = []
  for (const [index, each] of given.entries()) {
    const at = `${path}[${index}]`
    if (each.type === 'tool_use') calls.push(callOf(each, at))
    else if (each.type === 'thinking') thoughts.push(textOf(each['thinking'], `${at}.thinking`))
    else if (each.type !== 'redacted_thinking') parts.push(await partOf(each, at, gate))
  }
  const thought = thoughts.join('\n')
  return {
    role: 'assistant',
    content: parts,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(thought !== '' && { reasoning_content: thought }),
  }
}

function callOf({ id, name, input }: Block, path: string): ToolCall {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw badValue(`${path}.input`, `Expected \`${path}.input\` to be an object.`)
  return {
    ...(typeof id === 'string' && id !== '' && { id }),
    type: 'function',
    function: { name: textOf(name, `${path}.name`), arguments: input as Record<string, unknown> },
  }
}

async function partsOf(
  given: string | Block[],
  path: string,
  gate: MediaGate,
): Promise<string | ContentPart[]> {
  if (typeof given === 'string') return given
  const parts: ContentPart[] = []
  for (const [index, each] of given.entries()) parts.push(await partOf(each, `${path}[${index}]`, gate))
  return parts
}

/** A text, or a picture with our options beside its source. */
async function partOf(given: Block, path: string, gate: MediaGate): Promise<ContentPart> {
  const { type, cache_control: _, citations: __, ...rest } = given
  if (type === 'text') return { type, text: textOf(rest['text'], `${path}.text`) }
  if (type !== 'image')
    throw badValue(
      `${path}.type`,
      `Blocks of the type '${type.slice(0, 100)}' are not supported here, only text and images.`,
    )
  const { source, ...options } = rest
  const url = await gate.url(urlOf(source, `${path}.source`), `${path}.source`)
  return { ...options, type: 'image_url', image_url: url }
}

function urlOf(source: unknown, path: string): unknown {
  const { type, media_type: media, data, url } = (source ?? {}) as Record<string, unknown>
  if (type === 'base64' && typeof media === 'string' && typeof data === 'string')
    return `data:${media};base64,${data}`
  if (type === 'url') return url
  throw badValue(path, `Expected \`${path}\` to be of the type 'base64', with media_type and data, or 'url'.`)
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  throw badValue(path, `Expected \`${path}\` to be a string.`)
}
