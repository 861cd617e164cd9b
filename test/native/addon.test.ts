/** The addon itself, below every check of TypeScript: whatever it is given, it throws or reports, and lives on. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { addon } from '../../lib/engine/binding'
import type { EngineParams, NativeEngine } from '../../lib/engine/binding'
import type { EngineEvent } from '../../lib/engine/events'
import { backendFolder } from '../../lib/engine/platform'
import { bare, noise, pair, picture, root } from '../support/fixtures'

const events: EngineEvent[] = []
const texts: { engine: number; request: number; text: string; token: number }[] = []
const waiting = new Set<() => void>()
const native = addon()

const params: EngineParams = { ...pair(), ...bare }
let engine: NativeEngine

/** The first event that `wanted` accepts, once it has come. */
async function event<E extends EngineEvent>(wanted: (event: EngineEvent) => event is E): Promise<E> {
  for (;;) {
    const found = events.find(wanted)
    if (found) return found
    await new Promise<void>((resolve) => waiting.add(resolve))
  }
}

const ofType =
  <T extends EngineEvent['type']>(type: T, from: NativeEngine) =>
  (candidate: EngineEvent): candidate is Extract<EngineEvent, { type: T }> =>
    candidate.type === type && candidate.engine === from.id

const lastOf =
  (request: number) =>
  (candidate: EngineEvent): candidate is Extract<EngineEvent, { type: 'end' | 'error' }> =>
    (candidate.type === 'end' || candidate.type === 'error') && candidate.request === request

const generateRequest = {
  kind: 'generate',
  priority: 0,
  id: 1,
  segments: [{ tokens: Int32Array.of(1, 2, 3), position: 0 }],
  position: 3,
  maxTokens: 2,
  stopTokens: new Int32Array(),
  stop: [],
  logprobs: -1,
  padToken: -1,
  adapters: new Float32Array(),
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  biasedTokens: new Int32Array(),
  biases: new Float32Array(),
  seed: 0,
  grammar: '',
  speculate: 0,
} as const
const encodeRequest = {
  kind: 'encode',
  cache: 'none',
  priority: 0,
  hash: '',
  id: 1,
  pixels: noise(56, 56),
  width: 56,
  height: 56,
  count: 4,
} as const

let nextId = 100
async function submitted(request: object) {
  const id = nextId++
  engine.submit({ ...request, id } as never)
  return event(lastOf(id))
}

let channel: number
beforeAll(async () => {
  channel = native.initialize(
    backendFolder(),
    (event) => {
      events.push(event)
      for (const wake of waiting) wake()
      waiting.clear()
    },
    (engine, request, text, token) => texts.push({ engine, request, text, token }),
  )
  engine = native.openEngine(params, channel)
  await event(ofType('ready', engine))
})

afterAll(async () => {
  engine.close()
  await event(ofType('closed', engine))
})

// After whatever a test did, the engine answers.
afterEach(async () => {
  expect(await submitted(generateRequest)).toMatchObject({ type: 'end', completionTokens: 2 })
})

describe('module', () => {
  test('registers what binding.ts types', () => {
    const names = [
      'backendLibraries',
      'backends',
      'buildInfo',
      'devices',
      'initialize',
      'inspectGguf',
      'openEngine',
      'resizeBicubic',
      'resizeFrame',
      'resizeTorchvision',
      'schemaToGrammar',
      'stopAll',
    ]
    expect(Object.keys(native).sort()).toEqual(names)
  })

  test('knows its backends', () => {
    expect(native.backends().map(({ name }) => name)).toContain('CPU')
    expect(native.backendLibraries(join(root, 'lib'))).toEqual([])
    expect(() => native.backendLibraries(7 as never)).toThrow('`folder`')
  })

  test('knows what it was built from', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const pin = JSON.parse(readFileSync(join(root, 'native/llama.cpp.json'), 'utf8')) as { tag: string }
    expect(native.buildInfo()).toMatchObject({ version: manifest.version, llamaCpp: pin.tag, napi: 9 })
  })

  test('lists a CPU with its memory', () => {
    const cpu = native.devices().find(({ kind }) => kind === 'cpu')
    expect(cpu?.memoryTotal).toBeGreaterThan(0)
  })

  test('each listener hears its own engines', async () => {
    const heard: EngineEvent[] = []
    let wake: () => void = () => undefined
    const closed = new Promise<void>((resolve) => (wake = resolve))
    const hear = (event: EngineEvent) => {
      heard.push(event)
      if (event.type === 'closed') wake()
    }
    const other = native.initialize(backendFolder(), hear, () => undefined)
    const before = events.length
    native.openEngine({ ...params, model: '/does/not/exist.gguf' }, other)
    await closed
    expect(heard.map(({ type }) => type)).toEqual(['failed', 'closed'])
    expect(events.length).toBe(before)
  })

  test('initialize gives every listener a channel of its own', () => {
    const hear = () => undefined
    expect(native.initialize(backendFolder(), hear, hear)).toBe(channel + 2)
    expect(() => native.openEngine(params, channel + 3)).toThrow(
      'Expected the number that initialize() returned',
    )
    expect(() => native.initialize(7 as never, hear, hear)).toThrow('Expected the folder')
    expect(() => native.initialize(backendFolder(), 'x' as never, hear)).toThrow('Expected the folder')
    expect(() => native.initialize(backendFolder(), hear, undefined as never)).toThrow('two functions')
  })

  test('a token comes as arguments, and with log-probabilities as an object', async () => {
    const start = texts.length
    await submitted(generateRequest)
    const plain = texts.slice(start)
    expect(plain).toHaveLength(2)
    expect(plain[0]).toMatchObject({ engine: engine.id, request: nextId - 1 })
    await submitted({ ...generateRequest, logprobs: 0 })
    expect(texts).toHaveLength(start + 2)
    const told = events.filter((event) => event.type === 'text' && event.request === nextId - 1)
    expect(told).toMatchObject(
      plain.map(({ text, token }) => ({ text, tokens: [token], logprobs: [{ token }] })),
    )
  })
})

describe('this and arguments', () => {
  test.each(['submit', 'cancel', 'acknowledge', 'tokenize', 'detokenize', 'close'] as const)(
    '%s refuses any other object as this',
    (method) => {
      const call = Object.getPrototypeOf(engine)[method] as (this: unknown, ...rest: unknown[]) => unknown
      for (const wrong of [{}, undefined, null, 7, [], Object.create(engine), new Proxy(engine, {})]) {
        expect(() => call.call(wrong, generateRequest)).toThrow()
      }
    },
  )

  test('the constructor cannot be called without parameters', () => {
    const type = (engine as object).constructor as new (...args: unknown[]) => unknown
    expect(() => new type({}, channel)).toThrow('`model`')
    expect(() => new type()).toThrow('Expected the number')
    expect(() => (type as unknown as () => unknown)()).toThrow()
  })

  test.each(Object.keys(params))('openEngine names a wrong %s', (field) => {
    if (['mmap', 'deterministic', 'mtp', 'log'].includes(field)) return // any value is true or false
    for (const wrong of [undefined, null, {}, Symbol('x'), Number.NaN, -7.5, 2 ** 60]) {
      expect(() => native.openEngine({ ...params, [field]: wrong }, channel)).toThrow(`\`${field}\``)
    }
  })

  const wrongValues: Record<string, readonly unknown[]> = {
    kind: [undefined, 7],
    id: [undefined, 'x', 0, -1, 1.5, 2 ** 60],
    segments: [
      undefined,
      {},
      'x',
      [7],
      [{}],
      [{ tokens: [1, 2], position: 0 }],
      [{ tokens: Int32Array.of(1), position: -1 }],
    ],
    position: [undefined, -1, 0.5, 2 ** 31],
    maxTokens: [undefined, -1, 1.5, 2 ** 31],
    stopTokens: [undefined, [], new Float32Array(1)],
    stop: [undefined, 'x', [7], ['']],
    logprobs: [undefined, -2, true],
    padToken: [undefined, -2],
    adapters: [undefined, [1], new Float64Array(1)],
    temperature: [undefined, Number.NaN, Infinity, '1'],
    topK: [undefined, -1],
    topP: [undefined, Number.NaN],
    minP: [undefined, Number.NaN],
    repetitionPenalty: [undefined, 0, -1],
    presencePenalty: [undefined, Infinity],
    frequencyPenalty: [undefined, {}],
    biasedTokens: [undefined, [1], Int32Array.of(1)],
    biases: [undefined, [1], Float32Array.of(1)],
    seed: [undefined, -1, 0.5, 2 ** 32],
  }
  test.each(Object.entries(wrongValues))('submit names a wrong %s', (field, values) => {
    for (const wrong of values) {
      const call = () => engine.submit({ ...generateRequest, [field]: wrong })
      expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  test('submit, cancel and acknowledge refuse what is no object and no id', () => {
    for (const wrong of [undefined, null, 7, 'x']) expect(() => engine.submit(wrong as never)).toThrow()
    for (const wrong of [undefined, null, {}, 'x']) {
      expect(() => engine.cancel(wrong as never)).toThrow('id of a request')
      expect(() => engine.acknowledge(wrong as never, 1)).toThrow('id of a request')
    }
    engine.cancel(999_999)
    engine.acknowledge(999_999, 1)
  })

  test('getters that throw come through', () => {
    const trap = { ...generateRequest, get segments(): never { throw new RangeError('on purpose') } } // prettier-ignore
    expect(() => engine.submit(trap)).toThrow('on purpose')
  })
})

describe('buffers', () => {
  const sizes = { width: 56, height: 56 }

  test('the length of pixels must be exactly width × height × 3', () => {
    for (const length of [0, 1, 56 * 56 * 3 - 1, 56 * 56 * 3 + 1]) {
      const request = { ...encodeRequest, pixels: new Uint8Array(length) }
      expect(() => engine.submit(request)).toThrow('width × height × 3 = 9408 bytes')
    }
  })

  test('sizes whose product overflows 32 bits are no loophole', () => {
    // 65536 × 65536 × 3 is 0 in 32 bits.
    expect(() =>
      engine.submit({ ...encodeRequest, pixels: new Uint8Array(0), width: 65536, height: 65536 }),
    ).toThrow('bytes')
    for (const wrong of [0, -1, 65537, 0.5, Number.NaN]) {
      expect(() => engine.submit({ ...encodeRequest, width: wrong })).toThrow('`width`')
      expect(() => engine.submit({ ...encodeRequest, height: wrong })).toThrow('`height`')
    }
    for (const wrong of [0, -1, 2 ** 25, 0.5, Number.NaN]) {
      expect(() => engine.submit({ ...encodeRequest, count: wrong })).toThrow('`count`')
    }
  })

  test('other arrays are refused', () => {
    for (const wrong of [
      [],
      'x',
      new ArrayBuffer(9408),
      new Float32Array(9408),
      new Int8Array(9408),
      new Uint8ClampedArray(9408),
      new DataView(new ArrayBuffer(9408)),
    ]) {
      expect(() => engine.submit({ ...encodeRequest, pixels: wrong as never })).toThrow('`pixels`')
    }
  })

  test('a detached array is refused', () => {
    const pixels = noise(56, 56)
    structuredClone(pixels.buffer, { transfer: [pixels.buffer as ArrayBuffer] })
    expect(pixels.length).toBe(0)
    expect(() => engine.submit({ ...encodeRequest, pixels })).toThrow('it has 0')
    const tokens = Int32Array.of(1, 2, 3)
    structuredClone(tokens.buffer, { transfer: [tokens.buffer] })
    expect(() => engine.detokenize(tokens, true)).not.toThrow()
  })

  test('memory shared with other threads is refused', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(9408))
    expect(() => engine.submit({ ...encodeRequest, pixels: shared })).toThrow('SharedArrayBuffer')
    expect(() => native.resizeBicubic(shared, 56, 56, 28, 28)).toThrow('SharedArrayBuffer')
    const tokens = new Int32Array(new SharedArrayBuffer(16))
    const segments = [{ tokens, position: 0 }]
    expect(() => engine.submit({ ...generateRequest, segments })).toThrow('SharedArrayBuffer')
  })

  test('a view into a larger buffer gives its own bytes', async () => {
    const pixels = noise(56, 56)
    const larger = new Uint8Array(pixels.length + 64)
    larger.set(pixels, 33)
    const view = new Uint8Array(larger.buffer, 33, pixels.length)
    const first = nextId
    await submitted(encodeRequest)
    await submitted({ ...encodeRequest, pixels: view })
    const [a, b] = [first, first + 1].map((id) =>
      events.find((e) => e.type === 'embedding' && e.request === id),
    )
    expect(a).toMatchObject({ type: 'embedding' })
    expect((b as { data: Float32Array }).data).toEqual((a as { data: Float32Array }).data)
  })

  test('pixels may be changed once submit has returned', async () => {
    const pixels = noise(56, 56)
    const first = nextId
    await submitted(encodeRequest)
    const pending = submitted({ ...encodeRequest, pixels })
    pixels.fill(0)
    await pending
    const [a, b] = [first, first + 1].map((id) =>
      events.find((e) => e.type === 'embedding' && e.request === id),
    )
    expect((b as { data: Float32Array }).data).toEqual((a as { data: Float32Array }).data)
  })

  test('positions and embeddings must have the size that count tells', () => {
    const positions = new Int32Array(12)
    const embedding = new Float32Array(4 * 64)
    const submit = (segment: object) => () =>
      engine.submit({ ...generateRequest, segments: [segment as never, ...generateRequest.segments] })
    expect(submit({ embedding, hash: 'x', count: 4, positions: new Int32Array(11) })).toThrow('`positions`')
    expect(submit({ embedding, hash: 'x', count: 4, positions: [] })).toThrow('`positions`')
    expect(submit({ embedding: new Float32Array(7), hash: 'x', count: 4, positions })).toThrow('`embedding`')
    expect(submit({ embedding: new Float32Array(0), hash: 'x', count: 4, positions })).toThrow('`embedding`')
    expect(submit({ embedding, hash: 7, count: 4, positions })).toThrow('`hash`')
    expect(submit({ pixels: noise(56, 56), ...sizes, hash: 'x', count: 0, positions })).toThrow('`count`')
    const picture = { pixels: noise(56, 56), ...sizes, hash: 'x', count: 4, positions }
    for (const cache of [undefined, 7, '', 'DISK']) expect(submit({ ...picture, cache })).toThrow('`cache`')
  })
})

describe('what only the engine can check ends the request with an error', () => {
  const expectError = async (request: object, code: string) => {
    expect(await submitted(request)).toMatchObject({ type: 'error', code })
  }
  const positions = Int32Array.of(3, 3, 3, 3, 3, 3, 4, 4, 3, 4, 3, 4)
  const imageSegments = (fields: object, last = 5) => [
    ...generateRequest.segments,
    { hash: 'x', cache: 'none', count: 4, positions, ...fields },
    { tokens: Int32Array.of(4), position: last },
  ]

  test('an empty prompt', () => expectError({ ...generateRequest, segments: [] }, 'INVALID_ARGUMENT'))

  test('a prompt that ends with a picture', () =>
    expectError(
      { ...generateRequest, segments: imageSegments({ embedding: new Float32Array(4 * 64) }).slice(0, 2) },
      'INVALID_ARGUMENT',
    ))

  test('token ids outside the vocabulary', async () => {
    for (const id of [512, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      const segments = [{ tokens: Int32Array.of(1, id), position: 0 }]
      await expectError({ ...generateRequest, segments }, 'INVALID_ARGUMENT')
    }
    await expectError({ ...generateRequest, padToken: 512 }, 'INVALID_ARGUMENT')
  })

  test('embedding rows of another width', () =>
    expectError(
      { ...generateRequest, segments: imageSegments({ embedding: new Float32Array(4 * 63) }) },
      'INVALID_ARGUMENT',
    ))

  test('a number of rows that the encoder does not give', () =>
    expectError({ ...encodeRequest, count: 5 }, 'INVALID_ARGUMENT'))

  test('positions that go back', () =>
    expectError(
      { ...generateRequest, segments: imageSegments({ embedding: new Float32Array(4 * 64) }, 0) },
      'DECODE_FAILED',
    ))

  test('a prompt longer than the context', () =>
    expectError(
      { ...generateRequest, segments: [{ tokens: new Int32Array(512), position: 0 }] },
      'CONTEXT_OVERFLOW',
    ))
})

describe('text', () => {
  test('tokenize and detokenize are inverse, NUL and all', async () => {
    for (const text of ['', 'plain', 'a\0b', '图片 🦙', '\0', '<|im_end|>']) {
      expect(engine.detokenize(await engine.tokenize(text, false), true)).toBe(text)
    }
  })

  test('control tokens are matched only on request', async () => {
    expect((await engine.tokenize('<|im_end|>', true)).length).toBe(1)
    expect((await engine.tokenize('<|im_end|>', false)).length).toBeGreaterThan(1)
  })

  test('lone surrogates become U+FFFD', async () => {
    expect(engine.detokenize(await engine.tokenize('a\ud800b', false), true)).toBe('a\ufffdb')
  })

  test('wrong types are refused', () => {
    expect(() => engine.tokenize(7 as never, false)).toThrow('`text`')
    expect(() => engine.detokenize([1] as never, true)).toThrow('`tokens`')
    expect(() => engine.detokenize(Int32Array.of(512), true)).toThrow('ids of the vocabulary')
    expect(() => engine.detokenize(Int32Array.of(-1), true)).toThrow('ids of the vocabulary')
  })
})

describe('inspectGguf', () => {
  test('reads metadata and tensors', async () => {
    const header = await native.inspectGguf(params.model)
    expect(header.metadata['general.architecture']).toBe('qwen2vl')
    expect(header.metadata['qwen2vl.rope.dimension_sections']).toEqual([2, 3, 3, 0])
    expect(header.metadata).not.toHaveProperty(['tokenizer.ggml.tokens'])
    expect(header.fileBytes).toBe(readFileSync(params.model).length)
    const embeddings = header.tensors.find(({ name }) => name === 'token_embd.weight')
    expect(embeddings).toMatchObject({ type: 'f32', shape: [64, 512], bytes: 64 * 512 * 4 })
    const ends = header.tensors.map(({ offset, bytes }) => offset + bytes)
    expect(Math.max(...ends)).toBeLessThanOrEqual(header.fileBytes)
    expect(header.fileBytes - Math.max(...ends)).toBeLessThan(64) // padding
  })

  test('rejects with a code', async () => {
    expect(() => native.inspectGguf(7 as never)).toThrow('`path`')
    await expect(native.inspectGguf('')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(native.inspectGguf('a\0b')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(native.inspectGguf(picture('tiny.png'))).rejects.toMatchObject({ code: 'NOT_GGUF' })
  })
})

describe('resizeBicubic', () => {
  interface Case {
    readonly name: string
    readonly source: { readonly width: number; readonly height: number }
    readonly target: { readonly width: number; readonly height: number }
  }
  const folder = join(root, 'test', 'fixtures', 'resize')
  const parsed = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as { cases: Case[] }
  // Pillow 13 scales the height first where a picture becomes wider and lower; every earlier one, and torchvision,
  // the width, as we do.
  const cases = parsed.cases.filter(
    ({ source, target }) => target.width <= source.width || target.height >= source.height,
  )

  const bytes = (name: string) => new Uint8Array(readFileSync(join(folder, `${name}.bin`)))

  test.each(cases.map((c) => [c.name, c] as const))(
    '%s equals the reference bit for bit',
    async (name, { source, target }) => {
      const sizes = [source.width, source.height, target.width, target.height] as const
      const byPillow = await native.resizeBicubic(bytes(`${name}.source`), ...sizes)
      expect(Buffer.compare(byPillow, bytes(`${name}.target`))).toBe(0)
      const byTorchvision = await native.resizeTorchvision(bytes(`${name}.source`), ...sizes)
      expect(Buffer.compare(byTorchvision, bytes(`${name}.torchvision`))).toBe(0)
    },
  )

  test('sizes and lengths are checked', () => {
    const pixels = noise(4, 4)
    expect(() => native.resizeBicubic(pixels, 4, 5, 2, 2)).toThrow('bytes')
    expect(() => native.resizeBicubic(pixels, 0, 4, 2, 2)).toThrow('width and height')
    for (const wrong of [0, -1, 65537, Number.NaN]) {
      expect(() => native.resizeBicubic(pixels, 4, 4, wrong, 2)).toThrow('target size')
    }
    expect(() => native.resizeBicubic('x' as never, 4, 4, 2, 2)).toThrow('`pixels`')
  })
})
