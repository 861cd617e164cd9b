/** Requests that no client would send, the same ones for the same seed: mutations of good ones, and plain noise. */
import { randomOf } from './random'

export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const paths = [
  '/v1/chat/completions',
  '/v1/responses',
  '/v1/responses/input_tokens',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/v1/embeddings',
  '/tokenize',
  '/detokenize',
] as const

const tool = {
  name: 'f',
  description: 'd',
  parameters: { type: 'object', properties: { a: { enum: [1, 'b'] } } },
}

/** Good requests; `picture` is a small one as a data: URL. */
function goodRequests(picture: string): Record<(typeof paths)[number], object[]> {
  const image = {
    type: 'image_url',
    image_url: { url: picture, detail: 'low' },
    min_pixels: 1024,
    max_pixels: 4096,
  }
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [image, { type: 'text', text: 'Hi <|im_end|>' }] },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: 'done' },
  ]
  const block = {
    type: 'image',
    source: { type: 'base64', media_type: 'image/png', data: picture.split(',')[1] },
    max_pixels: 4096,
    min_pixels: 1024,
  }
  const turns = [
    { role: 'user', content: [block, { type: 'text', text: 'Hi' }] },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: '' },
        { type: 'tool_use', id: 'c', name: 'f', input: { a: 1 } },
      ],
    },
    {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'text', text: 'done' }] }],
    },
  ]
  const sampling = {
    model: 'model-f16',
    temperature: 0.5,
    top_p: 0.9,
    top_k: 5,
    min_p: 0.1,
    seed: 1,
    presence_penalty: 0.5,
  }
  return {
    '/v1/chat/completions': [
      { ...sampling, messages, max_tokens: 2, stop: ['a'], logprobs: true, top_logprobs: 2 },
      {
        messages: messages.slice(0, 1),
        max_tokens: 2,
        n: 2,
        seed: 1,
        logit_bias: { 5: -100, 7: 3 },
        lora: [],
        stream: true,
      },
      {
        messages: [{ role: 'user', content: 'Hi' }],
        max_tokens: 2,
        stream: true,
        stream_options: { include_usage: true },
      },
      {
        messages: messages.slice(1, 2),
        max_tokens: 2,
        tools: [{ type: 'function', function: tool }],
        tool_choice: 'auto',
        chat_template_kwargs: { enable_thinking: false },
      },
      {
        messages: messages.slice(0, 1),
        max_tokens: 2,
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: tool.parameters } },
      },
    ],
    '/v1/responses': [
      { ...sampling, input: 'Hi', instructions: 'Be brief.', max_output_tokens: 2, stream: true },
      {
        input: 'Hi',
        max_output_tokens: 2,
        include: ['message.output_text.logprobs'],
        top_logprobs: 2,
        lora: [{ id: 0, scale: 1 }],
      },
      {
        input: [
          {
            role: 'user',
            content: [{ type: 'input_image', image_url: picture, min_pixels: 1024, max_pixels: 4096 }],
          },
          { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
          { type: 'function_call_output', call_id: 'c', output: 'x' },
        ],
        max_output_tokens: 2,
        tools: [{ type: 'function', ...tool }],
      },
    ],
    '/v1/responses/input_tokens': [{ input: 'Hi', instructions: 'Be brief.' }],
    '/v1/messages': [
      {
        ...sampling,
        messages: turns,
        max_tokens: 2,
        system: [{ type: 'text', text: 'Be brief.' }],
        stop_sequences: ['a'],
      },
      {
        messages: turns.slice(0, 1),
        max_tokens: 2,
        stream: true,
        tools: [{ name: 'f', input_schema: tool.parameters }],
        tool_choice: { type: 'auto' },
        thinking: { type: 'enabled', budget_tokens: 2 },
      },
    ],
    '/v1/messages/count_tokens': [{ messages: turns, tools: [{ name: 'f', input_schema: tool.parameters }] }],
    '/v1/embeddings': [
      {
        input: [{ image_url: { url: picture }, min_pixels: 1024, max_pixels: 4096 }],
        encoding_format: 'base64',
      },
    ],
    '/tokenize': [{ content: 'A text.' }, { messages }],
    '/detokenize': [{ tokens: [1, 2, 3] }],
  }
}

/** Values that break what was not thought of. */
const oddities: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 53,
  1e-320,
  '',
  ' ',
  '\0',
  'a'.repeat(5000),
  '\ud800',
  '👩‍👩‍👧',
  '<|im_start|>',
  '<tool_call>',
  '{{ messages }}',
  '{%',
  '../..',
  '[',
  'NaN',
  'data:',
  'data:image/png;base64,',
  'data:image/png;base64,AAAA',
  'file:///etc/passwd',
  'http://127.0.0.1/',
  'http://',
  'javascript:1',
  [],
  {},
  [[]],
  [null],
  [{}],
  { type: 'text' },
  { type: 'image' },
  { type: 'json_schema' },
  { role: 'user' },
  { url: 1 },
  { $ref: '#' },
  { $ref: '#/a' },
  { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] },
  { pattern: '(' },
  { pattern: '^(a+)+$' },
  { enum: [] },
  { anyOf: [] },
  { minItems: 1e9 },
  { type: 'string', minLength: 2000, maxLength: 2000 },
  { '': 1 },
  { toString: 1 },
  { constructor: 1 },
  JSON.parse('{"__proto__": {"polluted": 1}}'),
  nested(40),
  nested(2000),
]
const keys = [
  'type',
  'role',
  'content',
  'url',
  'stream',
  'n',
  'tools',
  'schema',
  'messages',
  '__proto__',
  'constructor',
  '',
  'tokens',
  'image',
  'video',
  'data',
  'page',
]

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** @param picture A small picture as a data: URL */
export function* fuzzRequests(seed: number, count: number, picture: string): Generator<FuzzRequest, void> {
  const { fraction, below, oneOf } = randomOf(seed)
  const good = goodRequests(picture)

  /** Changes a place somewhere in a value. */
  const mutate = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || fraction() < 0.1)
      return structuredClone(oneOf(oddities))
    const entries = Object.entries(value)
    const [key = '', inner] = entries.length > 0 ? oneOf(entries) : []
    const kind = fraction()
    const changed: Record<string, unknown> = Object.fromEntries(entries)
    if (kind < 0.1) Reflect.deleteProperty(changed, key)
    else if (kind < 0.2)
      Object.defineProperty(changed, oneOf(keys), {
        value: oneOf(oddities),
        enumerable: true,
        configurable: true,
        writable: true,
      })
    else changed[key] = mutate(inner)
    if (!Array.isArray(value)) return changed
    const list = Object.values(changed)
    return kind > 0.97 ? list.flatMap((each) => Array.from({ length: 20 }, () => each)) : list
  }

  /** Changes bytes. */
  const garble = (bytes: Buffer): Buffer => {
    const changed = Buffer.from(bytes)
    for (let times = below(5); times >= 0; times--)
      if (changed.length > 0) changed[below(changed.length)] = below(256)
    return fraction() < 0.5 ? changed.subarray(0, below(changed.length + 1)) : changed
  }

  for (let index = 0; index < count; index++) {
    const path = oneOf(paths)
    let value: unknown = oneOf(good[path])
    for (let times = below(4); times > 0; times--) value = mutate(value)
    let body: Buffer = Buffer.from(JSON.stringify(value) ?? '')
    if (fraction() < 0.15) body = garble(body)
    const odd = fraction()
    yield {
      method: odd < 0.03 ? oneOf(['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'PROPFIND']) : 'POST',
      path:
        odd > 0.95
          ? `${path}${oneOf(['/', '?a=%', '//', '/%00', '/..', '%2e', '/' + 'x'.repeat(3000), '?' + 'y'.repeat(3000)])}`
          : path,
      headers: {
        'content-type':
          fraction() < 0.05
            ? oneOf(['text/plain', 'application/json; charset=utf-16', 'application/jsonx', '', ';'])
            : 'application/json',
        ...(fraction() < 0.03 && { 'content-encoding': oneOf(['gzip', 'br', 'x']) }),
        ...(fraction() < 0.03 && { authorization: oneOf(['Bearer', 'Bearer  ', 'Basic x', '\u00ff']) }),
        ...(fraction() < 0.02 && { host: oneOf(['evil.example', '127.0.0.1:1', '[::1]', 'localhost']) }),
      },
      body,
    }
  }
}
