/** POST /tokenize and /detokenize: texts and conversations as ids, in the words of vLLM and llama-server. */
import type { Hono } from 'hono'
import { z } from 'zod'
import { messageList, readMessages } from './conversation'
import { badValue } from './failure'
import type { Service } from './service'
import { given, toolList } from './wire'

const mostTokens = 100_000
const longText = z
  .string({ error: 'a string' })
  .max(1_000_000, { error: 'at most 1 000 000 characters long' })
  .optional()

const schema = z.strictObject({
  model: given.text,
  content: longText,
  prompt: longText,
  messages: messageList.optional(),
  tools: toolList,
})
const ids = z.strictObject({
  model: given.text,
  tokens: z.array(z.int32({ error: 'an id of a token' }), { error: 'an array of ids' }).max(mostTokens, {
    error: `at most ${mostTokens} ids`,
  }),
})

export function addTokens(app: Hono, service: Service): void {
  const { model } = service
  app.post('/tokenize', async (c) => {
    const request = await service.readBody(c, schema)
    service.checkName(request.model)
    const text = request.content ?? request.prompt
    if ((text === undefined) === (request.messages === undefined))
      throw badValue('content', 'Expected either `content` (a text) or `messages`.')
    const { messages: given = [], tools } = request
    const messages = await readMessages(given, service.gate())
    const tokens = await service.during(c, async (signal) =>
      text === undefined
        ? (await model.inspect(messages, { ...(tools && { tools }), signal })).tokens
        : model.tokenize(text),
    )
    return c.json({ tokens: [...tokens], count: tokens.length, max_model_len: model.info.contextSize })
  })
  app.post('/detokenize', async (c) => {
    const { tokens } = await service.readBody(c, ids)
    const content = model.detokenize(Int32Array.from(tokens))
    return c.json({ content, prompt: content })
  })
}
