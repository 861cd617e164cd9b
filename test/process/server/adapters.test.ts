/** LoRA adapters of a running server, chosen by each request. The numbers are compared in test/native/lora.test.ts. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { fixture } from '../program'
import { startServing } from './serving'
import type { Serving } from './serving'

let server: Serving
let openai: OpenAI
let anthropic: Anthropic
beforeAll(async () => {
  server = await startServing(['--model-name', 'tiny', '--lora', `${fixture('qwen3vl/lora-f32.gguf')}=0`])
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => server.stop())

const messages = [{ role: 'user' as const, content: 'Say something.' }]
/** Fields that the clients' types do not know. */
const more = { temperature: 0, ignore_eos: true }

async function chat(lora?: object): Promise<string> {
  const request = { ...more, model: 'tiny', messages, max_tokens: 12, lora }
  return (await openai.chat.completions.create(request as never)).choices[0]?.message.content ?? ''
}

test('tells their names', async () => {
  expect(await openai.models.retrieve('tiny')).toMatchObject({
    lora: [{ id: 0, name: 'lora-f32', scale: 0 }],
  })
})

test('are asked for by place or name, at any strength, beside each other', async () => {
  const [plain, off, whole, named, half] = await Promise.all([
    chat(),
    chat([]),
    chat([{ id: 0, scale: 1 }]),
    chat([{ id: 'lora-f32' }]),
    chat([{ id: 0, scale: -3 }]),
  ])
  expect(off).toBe(plain)
  expect(named).toBe(whole)
  expect(new Set([plain, whole, half]).size).toBe(3)
})

test('in every API', async () => {
  const lora = [{ id: 0, scale: 1 }]
  const expected = await chat(lora)
  const response = await openai.responses.create({
    ...more,
    model: 'tiny',
    input: 'Say something.',
    max_output_tokens: 12,
    lora,
  } as never)
  const message = await anthropic.messages.create({
    ...more,
    model: 'tiny',
    messages,
    max_tokens: 12,
    lora,
  } as never)
  expect([response.output_text, message.content]).toEqual([expected, [{ type: 'text', text: expected }]])
})

test('an unknown one is an error that names those there are', async () => {
  for (const id of [1, -1, 'nobody', fixture('qwen3vl/lora-f32.gguf')])
    await expect(chat([{ id }])).rejects.toMatchObject({
      status: 400,
      param: 'lora[0].id',
      message: expect.stringContaining('there are: 0 (lora-f32)'),
    })
  await expect(chat([{ path: '/etc/passwd' }])).rejects.toMatchObject({ status: 400 })
  await expect(chat([{ id: 0 }, { id: 'lora-f32' }])).rejects.toMatchObject({ status: 400 })
})
