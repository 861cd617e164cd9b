/** Arguments that are wrong: the error names which, what was expected and what came. */
import { InvalidArgumentError, QwenVL, QwenVLError, assistant, image, user, video } from '../../lib'
import { expectError } from '../support/errors'
import { pair, picture, small } from '../support/fixtures'
import { loadFixture } from '../support/model'

let vl: QwenVL
beforeAll(async () => {
  vl = await loadFixture()
})
afterAll(() => vl.dispose())

const wrong = { type: InvalidArgumentError, code: 'INVALID_ARGUMENT' } as const

test('an unknown option of load, generate, chat and image', async () => {
  await expectError(() => QwenVL.load({ ...pair(), contextsize: 5 } as never), {
    ...wrong,
    says: ['`contextsize`', 'contextSize'],
  })
  await expectError(() => vl.chat('x', { max_tokens: 5 } as never), {
    ...wrong,
    says: ['`max_tokens`', 'maxTokens'],
  })
  await expectError(() => vl.stream('x', { temprature: 1 } as never), { ...wrong, says: ['`temprature`'] })
  await expectError(() => vl.createChat({ sytem: 'x' } as never), { ...wrong, says: ['`sytem`'] })
  await expectError(() => vl.chat([user(image(picture('tiny.png'), { maxpixels: 3 } as never))]), {
    ...wrong,
    says: ['maxpixels'],
  })
  await expectError(() => vl.countTokens('x', { foo: 1 } as never), { ...wrong, says: ['`foo`'] })
  await expectError(() => vl.inspect('x', { foo: 1 } as never), { ...wrong, says: ['`foo`'] })
})

const anything = [null, 7, true, 'x', [], {}, () => undefined, Symbol('x'), 7n, Number.NaN, Infinity, -1, 0.5]
const good: Record<string, (value: unknown) => boolean> = {
  model: (value) => value === 'x',
  mmproj: (value) => value === 'x',
  chatTemplate: (value) => value === 'x',
  gpuLayers: (value) => value === 7 || value === -1,
  mmap: (value) => value === true,
  allowPrivateAddresses: (value) => value === true,
  onProgress: (value) => typeof value === 'function',
  threads: (value) => value === 7,
  parallel: (value) => value === 7,
  maxQueue: (value) => value === 7,
  stepMs: (value) => value === 7,
  deterministic: (value) => value === true,
  mtp: (value) => value === true,
  batchSize: (value) => value === 7,
  minPixels: (value) => value === 7,
  maxPixels: (value) => value === 7,
  maxImageBytes: (value) => value === 7,
  maxInputPixels: (value) => value === 7,
  imageTimeoutMs: (value) => value === 7,
  contextSize: () => false, // 16 at least
  flashAttention: () => false,
  cacheType: () => false,
  reference: () => false,
  encoderPrecision: () => false,
  cacheBytes: (value) => value === 7,
  cacheDirBytes: (value) => value === 7,
  cacheDir: (value) => value === 'x',
  onLog: (value) => typeof value === 'function',
  onWarning: (value) => typeof value === 'function',
  signal: () => false,
}
test.each(Object.entries(good))('a wrong %s of load', async (name, isGood) => {
  for (const value of anything) {
    if (!isGood(value))
      await expectError(() => QwenVL.load({ ...pair(), [name]: value }), {
        ...wrong,
        says: [`\`${name}`],
      })
  }
})

const goodOptions: Record<string, (value: unknown) => boolean> = {
  maxTokens: (value) => value === 7,
  temperature: (value) => value === 7 || value === 0.5,
  topK: (value) => value === 7,
  topP: (value) => value === 0.5,
  minP: (value) => value === 0.5,
  repetitionPenalty: (value) => value === 7 || value === 0.5,
  presencePenalty: (value) => typeof value === 'number' && Number.isFinite(value),
  frequencyPenalty: (value) => typeof value === 'number' && Number.isFinite(value),
  logitBias: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  seed: (value) => value === 7,
  priority: (value) => value === 7 || value === -1,
  stop: (value) => value === 'x' || Array.isArray(value),
  logprobs: (value) => value === true || value === 7,
  speculate: (value) => value === 7,
  ignoreEos: (value) => value === true,
  addVisionId: (value) => value === true,
  specialTokens: () => false,
  tools: (value) => Array.isArray(value) && value.length === 0,
  toolChoice: () => false,
  thinkingBudget: (value) => value === 7,
  schema: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  templateVariables: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  signal: () => false,
}
test.each(Object.entries(goodOptions))('a wrong %s of generate', async (name, isGood) => {
  for (const value of anything) {
    if (!isGood(value))
      await expectError(() => vl.chat('x', { [name]: value }), { ...wrong, says: [`\`${name}`] })
  }
})

test('messages that are none', async () => {
  for (const value of [
    null,
    undefined,
    7,
    true,
    [],
    [7],
    [null],
    {},
    [{ role: 'robot', content: 'x' }],
    [{ role: 'user' }],
    [{ role: 'user', content: 7 }],
  ]) {
    await expectError(() => vl.chat(value as never), { ...wrong, says: ['Expected `'] })
  }
  for (const part of [
    7,
    null,
    {},
    { type: 'sound' },
    { type: 'text' },
    { type: 'image' },
    { type: 'image', image: 7 },
    { type: 'embedding' },
  ]) {
    await expectError(() => vl.chat([{ role: 'user', content: [part as never] }]), {
      ...wrong,
      says: ['`messages[0].content[0]'],
    })
  }
  await expectError(() => vl.chat([{ role: 'user', content: 'x', tokens: Int32Array.of(1) }]), {
    ...wrong,
    says: ['tokens'],
  })
})

test('what embedImage cannot take', async () => {
  for (const value of ['a text', { type: 'text', text: 'x' }, 7, null, undefined, {}]) {
    await expectError(() => vl.embedImage(value as never), { ...wrong, says: ['`picture'] })
  }
})

test.each(['priority', 'signal'] as const)('a wrong %s of embedImage and embedVideo', async (name) => {
  const shown = picture('tiny.png')
  for (const value of anything) {
    if (name === 'priority' && goodOptions.priority?.(value)) continue
    const options = { [name]: value }
    await expectError(() => vl.embedImage(image(shown), options), { ...wrong, says: [`\`${name}`] })
    await expectError(() => vl.embedVideo(video([shown, shown]), options), { ...wrong, says: [`\`${name}`] })
  }
  await expectError(() => vl.embedImage(image(shown), { cache: 'none' } as never), {
    ...wrong,
    says: ['priority, signal'],
  })
})

test('options that are no object', async () => {
  await expectError(() => QwenVL.load(null as never), { ...wrong, says: ['`options`', 'an object'] })
  await expectError(() => QwenVL.load(7 as never), { ...wrong, says: ['`options`'] })
  await expectError(() => vl.chat('x', null as never), { ...wrong, says: ['`options`'] })
  await expectError(() => vl.createChat(7 as never), { ...wrong, says: ['`options`'] })
  await expectError(() => vl.createChat({ messages: 7 } as never), { ...wrong, says: ['`messages`'] })
})

test('token ids of an earlier answer that no vocabulary has', async () => {
  const messages = [user('x'), { ...assistant('y'), tokens: Int32Array.of(2 ** 30, -5) }, user('z')]
  await expectError(() => vl.chat(messages), { ...wrong, says: ['vocabulary'] })
})

test('limits that contradict each other', async () => {
  const options = { minPixels: 500_000, maxPixels: 100_000 }
  await expectError(() => vl.chat([user(image(picture('tiny.png'), options))]), {
    ...wrong,
    says: ['at most maxPixels'],
  })
  await expectError(() => QwenVL.load({ ...pair(), ...options }), { ...wrong, says: ['`minPixels`'] })
})

test('a template that is none', async () => {
  await expectError(() => QwenVL.load({ ...pair(), ...small, chatTemplate: '{% if %}' }), {
    type: QwenVLError,
    code: 'TEMPLATE_FAILED',
    says: ['template'],
  })
})

test('synchronous calls never throw from asynchronous functions', () => {
  expect(() => void vl.chat(7 as never).catch(() => undefined)).not.toThrow()
  expect(() => void QwenVL.load(7 as never).catch(() => undefined)).not.toThrow()
  expect(
    () =>
      void vl
        .createChat()
        .send(7 as never)
        .catch(() => undefined),
  ).not.toThrow()
  expect(() => void vl.embedImage(7 as never).catch(() => undefined)).not.toThrow()
  expect(() => void vl.countTokens(7 as never).catch(() => undefined)).not.toThrow()
})
