import { QwenVLError } from '../../../lib/errors'
import {
  assistant,
  image,
  imageEmbedding,
  isImageEmbedding,
  system,
  text,
  user,
  video,
  videoEmbedding,
} from '../../../lib/prompt/messages'
import { lowDetailPixels, normaliseContent, normaliseMessages } from '../../../lib/prompt/normalise'

const one = (part: unknown) => normaliseMessages([{ role: 'user', content: [part] }])[0]?.parts[0]

function failure(action: () => unknown): QwenVLError {
  try {
    action()
  } catch (error) {
    if (QwenVLError.isInstance(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const embedding = imageEmbedding({
  data: new Float32Array(8),
  grid: { t: 1, h: 2, w: 4 },
  tokens: 2,
  width: 4,
  hash: 'abc',
  processed: { width: 112, height: 56 },
})
const clip = videoEmbedding({
  data: new Float32Array(16),
  grid: { t: 2, h: 2, w: 8 },
  tokens: 8,
  width: 2,
  hashes: ['a', 'b'],
  original: { width: 640, height: 160 },
  processed: { width: 112, height: 28 },
  frames: 4,
  sampleFps: 2,
  times: [0.25, 1.25],
})

describe('spellings of a conversation', () => {
  test('our builders, in their order', () => {
    const bytes = new Uint8Array([1, 2])
    expect(
      normaliseMessages([
        system('Be brief.'),
        user(text('A'), image('a.png'), 'B', image(bytes, { maxPixels: 1000, page: 2 })),
        assistant('Yes.'),
      ]),
    ).toEqual([
      { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
      {
        role: 'user',
        parts: [
          { type: 'text', text: 'A' },
          { type: 'image', source: 'a.png', options: {} },
          { type: 'text', text: 'B' },
          { type: 'image', source: bytes, options: { maxPixels: 1000, page: 2 } },
        ],
      },
      { role: 'assistant', parts: [{ type: 'text', text: 'Yes.' }] },
    ])
  })

  test.each<[string, unknown, object, unknown?]>([
    ['our builder', video('a.mp4', { fps: 1, maxPixels: 5000 }), { fps: 1, maxPixels: 5000 }],
    [
      'the Qwen READMEs',
      { type: 'video', video: 'a.mp4', fps: 1, max_pixels: 5000, total_pixels: 90_000, video_start: 0.5 },
      { fps: 1, maxPixels: 5000, totalPixels: 90_000, videoStart: 0.5 },
    ],
    [
      'a list of frames',
      { video: ['1.jpg', '2.jpg'], sample_fps: 0.5 },
      { sampleFps: 0.5 },
      ['1.jpg', '2.jpg'],
    ],
    ["OpenAI's manner", { type: 'video_url', video_url: { url: 'a.mp4' }, nframes: 8 }, { nframes: 8 }],
    ["OpenAI's manner, short", { type: 'video_url', video_url: 'a.mp4' }, {}],
  ])('a video by %s', (_, part, options, source = 'a.mp4') => {
    expect(one(part)).toEqual({ type: 'video', source, options })
  })

  test('a string and a single message stand for a conversation', () => {
    const hello = [{ role: 'user', parts: [{ type: 'text', text: 'Hello' }] }]
    expect(normaliseMessages('Hello')).toEqual(hello)
    expect(normaliseMessages(user('Hello'))).toEqual(hello)
    expect(normaliseMessages({ role: 'user', content: 'Hello' })).toEqual(hello)
    expect(normaliseMessages([{ role: 'user', content: { text: 'Hello' } }])).toEqual(hello)
  })

  test('the dictionaries of the Qwen READMEs', () => {
    const sized = { type: 'image', image: 'file:///a.jpg', resized_height: 280, resized_width: 420 }
    expect(one(sized)).toEqual({
      type: 'image',
      source: 'file:///a.jpg',
      options: { resizedHeight: 280, resizedWidth: 420 },
    })
    expect(one({ type: 'image', image: 'a.jpg', min_pixels: 50176, max_pixels: 50176 })).toMatchObject({
      options: { minPixels: 50176, maxPixels: 50176 },
    })
    expect(one({ image: 'a.jpg' })).toEqual({ type: 'image', source: 'a.jpg', options: {} })
    expect(one({ text: 'What?' })).toEqual({ type: 'text', text: 'What?' })
  })

  test("OpenAI's parts", () => {
    const url = 'https://example.org/a.png'
    const plain = { type: 'image', source: url, options: {} }
    expect(one({ type: 'image_url', image_url: { url } })).toEqual(plain)
    expect(one({ type: 'image_url', image_url: url })).toEqual(plain)
    expect(one({ type: 'image_url', image_url: { url, detail: 'high' } })).toEqual(plain)
    expect(one({ type: 'image_url', image_url: { url, detail: 'auto' } })).toEqual(plain)
    expect(one({ type: 'image_url', image_url: { url, detail: 'low' } })).toEqual({
      ...plain,
      options: { maxPixels: lowDetailPixels },
    })
    expect(one({ type: 'text', text: 'What?' })).toEqual({ type: 'text', text: 'What?' })
  })

  test('an embedding is a part', () => {
    expect(one(embedding)).toEqual({ type: 'embedding', embedding })
    expect(isImageEmbedding(embedding)).toBe(true)
    expect(isImageEmbedding({ ...JSON.parse(JSON.stringify(embedding)) })).toBe(false)
    expect(one(clip)).toEqual({ type: 'video_embedding', embedding: clip })
  })

  test('tool calls, their results and generated ids are carried along', () => {
    const call = { id: '1', type: 'function', function: { name: 'f', arguments: { a: 1 } } }
    const tokens = Int32Array.of(1, 2)
    expect(
      normaliseMessages([
        { role: 'assistant', content: null, tool_calls: [call], reasoning_content: 'Hm.' },
        { role: 'tool', content: '21', tool_call_id: '1' },
        { ...assistant('Warm.'), tokens },
      ]),
    ).toEqual([
      { role: 'assistant', parts: [], toolCalls: [call], reasoning: 'Hm.' },
      { role: 'tool', parts: [{ type: 'text', text: '21' }] },
      { role: 'assistant', parts: [{ type: 'text', text: 'Warm.' }], tokens },
    ])
  })

  test('parts without a message, as a chat sends them', () => {
    expect(normaliseContent(['A', image('a.png')], 'content')).toHaveLength(2)
  })
})

describe('what is refused, and where', () => {
  const bad = (part: unknown) => [user('ok'), { role: 'user', content: [part] }]
  test.each<[string, unknown, string]>([
    ['no messages', [], 'Expected `messages` to be at least one message, got an array.'],
    ['no message', [7], 'Expected `messages[0]` to be a message: { role, content }, got 7 (number).'],
    ['a number', 7, 'Expected `messages[0]` to be a message: { role, content }, got 7 (number).'],
    [
      'an unknown role',
      [{ role: 'bot', content: 'x' }],
      "Expected `messages[0].role` to be 'system', 'user', 'assistant' or 'tool', got 'bot' (string).",
    ],
    [
      'no content',
      [{ role: 'user' }],
      'Expected `messages[0].content` to be a string or a content part, got undefined.',
    ],
    [
      'an unknown key',
      [{ role: 'user', content: 'x', images: [] }],
      'Unknown key `messages[0].images`. The keys are: role, content, tokens, tool_calls, reasoning_content, tool_call_id, name.',
    ],
    [
      'a part of nothing',
      bad(null),
      'Expected `messages[1].content[0]` to be a string or a content part, got null.',
    ],
    [
      'an unknown part',
      bad({ type: 'input_audio' }),
      "Expected `messages[1].content[0].type` to be 'text', 'image', 'image_url', 'video' or 'video_url', got 'input_audio' (string).",
    ],
    [
      'an option of the wrong type',
      bad({ type: 'image', image: 'a', min_pixels: '2' }),
      "Expected `messages[1].content[0].min_pixels` to be a whole number of pixels above 0, got '2' (string).",
    ],
    [
      'an option out of range',
      bad(image('a', { maxPixels: 0 })),
      'Expected `messages[1].content[0].maxPixels` to be a whole number of pixels above 0, got 0 (number).',
    ],
    [
      'an unknown option',
      bad({ image: 'a', max_pixel: 5 }),
      'Unknown key `messages[1].content[0].max_pixel`. The keys are: type, image, minPixels, maxPixels, resizedHeight, resizedWidth, cache, page.',
    ],
    [
      'limits that exclude each other',
      bad(image('a', { minPixels: 10, maxPixels: 5 })),
      'Expected `messages[1].content[0].minPixels` to be at most maxPixels (5), got 10 (number).',
    ],
    [
      'an option in both spellings',
      bad({ image: 'a', max_pixels: 5, maxPixels: 6 }),
      'Expected `messages[1].content[0].maxPixels` to be absent beside its other spelling, got 6 (number).',
    ],
    [
      'half a size',
      bad({ image: 'a', resized_height: 28 }),
      'Expected `messages[1].content[0].resizedWidth` to be given, as the other side of the size is, got undefined.',
    ],
    [
      'no picture',
      bad({ type: 'image', image: 5 }),
      'Expected `messages[1].content[0].image` to be a picture: path, URL, data URI, bytes, Blob, stream, raw pixels or a sharp instance, got 5 (number).',
    ],
    [
      'a text that is none',
      bad({ type: 'text', text: 5 }),
      'Expected `messages[1].content[0].text` to be a string, got 5 (number).',
    ],
    [
      'an unknown detail',
      bad({ type: 'image_url', image_url: { url: 'x', detail: 'best' } }),
      "Expected `messages[1].content[0].image_url.detail` to be 'low', 'high' or 'auto', got 'best' (string).",
    ],
    [
      'a reference that is none',
      bad({ type: 'image_url', image_url: 5 }),
      'Expected `messages[1].content[0].image_url` to be a URL or { url, detail }, got 5 (number).',
    ],
    [
      'a plain object in the shape of an embedding',
      bad({ type: 'embedding', data: [1, 2] }),
      'Expected `messages[1].content[0]` to be an embedding made by embedImage() or imageEmbedding(), got Object.',
    ],
    [
      'generated ids of a user',
      [{ ...user('x'), tokens: Int32Array.of(1) }],
      'Expected `messages[0].tokens` to be absent from any but an assistant message, got Int32Array.',
    ],
  ])('%s', (_, messages, message) => {
    const error = failure(() => normaliseMessages(messages))
    expect(error.name).toBe('InvalidArgumentError')
    expect(error.message).toBe(message)
  })

  test.each<[string, unknown, string]>([
    ['with no frames', { video: [] }, '.video` to be a video'],
    ['with a frame that is none', { video: ['a.png', 7] }, '.video` to be a video'],
    [
      'with 0 frames per second',
      { video: 'a.mp4', fps: 0 },
      '.fps` to be a number of frames per second above 0',
    ],
    ['with fps and nframes', { video: 'a.mp4', fps: 1, nframes: 4 }, '.nframes` to be absent beside fps'],
    ['with half a frame', { video: 'a.mp4', nframes: 1.5 }, '.nframes` to be a whole number of frames'],
    ['from a time before it', { video: 'a.mp4', video_start: -1 }, '.video_start` to be a number of seconds'],
    ['with an option of pictures', { video: 'a.mp4', page: 1 }, 'Unknown key `messages[1].content[1].page`'],
  ])('a video %s', (_, part, message) => {
    const error = failure(() => normaliseMessages([user('ok'), { role: 'user', content: ['x', part] }]))
    expect(error.name).toBe('InvalidArgumentError')
    expect(error.message).toContain(message)
  })

  test("a video's embedding whose pairs lack a hash or a time", () => {
    expect(() => videoEmbedding({ ...clip, data: new Float32Array(3) })).toThrow(/8 rows of 2 values/)
    expect(() => videoEmbedding({ ...clip, hashes: ['a'] })).toThrow(/`hashes` to be one for each of 2 pairs/)
    expect(() => videoEmbedding({ ...clip, times: [] })).toThrow(/`times` to be one for each of 2 pairs/)
    expect(() => one({ ...clip })).toThrow(/an embedding made by embedVideo\(\) or videoEmbedding\(\)/)
  })

  test('an embedding whose values do not make its rows', () => {
    expect(failure(() => imageEmbedding({ ...embedding, tokens: 3 })).message).toBe(
      'Expected `data` to be 3 rows of 4 values, got 8 (number).',
    )
  })
})
