/** The input of OpenAI's Responses API: a text or items → the library's messages, their pictures checked. */
import { z } from 'zod'
import type { ContentPart, Message } from '../index'
import { badValue } from './failure'
import type { MediaGate } from './media'

const string = z.string({ error: 'a string' })
const item = z.looseObject({ type: string.optional() }, { error: 'an item' })
type Item = z.infer<typeof item>

export const inputItems = z.union([string, z.array(item).min(1)], { error: 'a string or an array of items' })

/** @throws HttpError for items of other types, and refused pictures */
export async function messagesOf(
  input: z.infer<typeof inputItems>,
  instructions: string | undefined,
  gate: MediaGate,
): Promise<Message[]> {
  const messages: Message[] = instructions ? [{ role: 'system', content: instructions }] : []
  if (typeof input === 'string') return [...messages, { role: 'user', content: input }]
  for (const [index, each] of input.entries()) {
    const message = await messageOf(each, `input[${index}]`, gate)
    const last = messages.at(-1)
    // The thought, the text and the calls of one answer are items of their own.
    if (message.role === 'assistant' && last?.role === 'assistant')
      messages.splice(-1, 1, joined(last, message))
    else messages.push(message)
  }
  return messages
}

async function messageOf(given: Item, path: string, gate: MediaGate): Promise<Message> {
  switch (given.type ?? 'message') {
    case 'message': {
      const role = roles.safeParse(given['role'])
      if (!role.success) throw badValue(`${path}.role`, `Expected \`${path}.role\` to be a role.`)
      const content = await partsOf(given['content'], `${path}.content`, gate)
      return { role: role.data === 'developer' ? 'system' : role.data, content }
    }
    case 'function_call': {
      const call = {
        name: textOf(given['name'], `${path}.name`),
        arguments: textOf(given['arguments'], `${path}.arguments`),
      }
      const id = given['call_id']
      const called = {
        ...(typeof id === 'string' && id !== '' && { id }),
        type: 'function',
        function: call,
      } as const
      return { role: 'assistant', content: null, tool_calls: [called] }
    }
    case 'function_call_output': {
      const content = await partsOf(given['output'], `${path}.output`, gate)
      return { role: 'tool', content, tool_call_id: textOf(given['call_id'], `${path}.call_id`) }
    }
    case 'reasoning': {
      const content = given['content'] ?? []
      const texts = Array.isArray(content) ? (content as { text?: unknown }[]).map((each) => each?.text) : []
      const thought = texts.filter((each) => typeof each === 'string').join('\n')
      return { role: 'assistant', content: [], ...(thought !== '' && { reasoning_content: thought }) }
    }
    default:
      throw badValue(
        `${path}.type`,
        `Items of the type '${(given.type ?? '').slice(0, 100)}' are not supported: this server keeps no answers and has no tools of its own.`,
      )
  }
}

const roles = z.enum(['system', 'developer', 'user', 'assistant'])

async function partsOf(content: unknown, path: string, gate: MediaGate): Promise<string | ContentPart[]> {
  if (typeof content === 'string') return content
  if (!Array.isArray(content))
    throw badValue(path, `Expected \`${path}\` to be a string or an array of parts.`)
  const parts: ContentPart[] = []
  for (const [index, part] of content.entries()) parts.push(await partOf(part, `${path}[${index}]`, gate))
  return parts
}

async function partOf(part: unknown, path: string, gate: MediaGate): Promise<ContentPart> {
  const { type, ...rest } = (part ?? {}) as Record<string, unknown>
  switch (type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: textOf(rest['text'], `${path}.text`) }
    case 'refusal':
      return { type: 'text', text: textOf(rest['refusal'], `${path}.refusal`) }
    case 'input_image': {
      const { image_url: given, detail, file_id: _, ...options } = rest
      const url = await gate.url(given, `${path}.image_url`)
      const low = detail === 'low' ? { detail } : {}
      return { ...options, type: 'image_url', image_url: { url, ...low } } as ContentPart
    }
    // OpenAI's API has no videos; ours are those of the chat API.
    case 'video_url':
      return (await gate.part(part, path)) as ContentPart
    default:
      throw badValue(
        `${path}.type`,
        `Expected \`${path}.type\` to be 'input_text', 'input_image', 'output_text' or 'video_url'.`,
      )
  }
}

function joined(one: Message, other: Message): Message {
  const calls = [...(one.tool_calls ?? []), ...(other.tool_calls ?? [])]
  const parts = [one.content, other.content].flatMap((content): (string | ContentPart)[] =>
    Array.isArray(content) ? (content as ContentPart[]) : typeof content === 'string' ? [content] : [],
  )
  const thought = [one.reasoning_content, other.reasoning_content].filter(Boolean).join('\n')
  return {
    role: 'assistant',
    content: parts,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(thought !== '' && { reasoning_content: thought }),
  }
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  throw badValue(path, `Expected \`${path}\` to be a string.`)
}
