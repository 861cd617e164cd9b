/** Messages as OpenAI's chat API writes them → the library's, their media checked. */
import { z } from 'zod'
import type { Message } from '../index'
import type { MediaGate } from './media'

const messageSchema = z.looseObject(
  {
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool'], {
      error: "'system', 'developer', 'user', 'assistant' or 'tool'",
    }),
    content: z.unknown().optional(),
    reasoning: z.string({ error: 'a string' }).nullish(),
  },
  { error: 'a message: { role, content }' },
)

export const messageList = z
  .array(messageSchema, { error: 'an array of messages' })
  .min(1, { error: 'at least one message' })

/** What is not looked at here the library checks. @throws HttpError for a refused picture */
export async function readMessages(
  messages: z.infer<typeof messageList>,
  gate: MediaGate,
): Promise<Message[]> {
  const read: unknown[] = []
  for (const [index, message] of messages.entries()) {
    // What clients send back of an answer, and what no model reads.
    const { reasoning, refusal: _, annotations: __, audio: ___, function_call: ____, ...rest } = message
    read.push({
      ...rest,
      role: message.role === 'developer' ? 'system' : message.role,
      content: await gate.content(message.content, `messages[${index}].content`),
      ...(reasoning != null && rest['reasoning_content'] == null && { reasoning_content: reasoning }),
    })
  }
  return read as Message[]
}
