/** tools/parity: the table of docs/parity.md names what test/fixtures holds, and its measures measure. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readGenerations } from '../../tools/parity/cases.mjs'
import { compareAnswer, expressCase } from '../../tools/parity/mtmd.mjs'
import { measureGeneration } from '../../tools/parity/ours.mjs'
import { agreement, commonLength, cosine, relativeError } from '../../tools/parity/numbers.mjs'
import { casesOf, failuresOf, replaceBetween, toMarkdown } from '../../tools/parity/report.mjs'
import { readVocabulary } from '../../tools/parity/vocabulary.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixtures = join(root, 'test/fixtures')
const generations = readGenerations(fixtures)

test('docs/parity.md has a row for every golden case; else run: npm run parity -- --write', () => {
  const wanted = generations.map(({ id, cases }) => [id, cases.map(({ label }) => label)])
  assert.deepEqual(casesOf(readFileSync(join(root, 'docs/parity.md'), 'utf8')), Object.fromEntries(wanted))
})

test('the package is measured: a text, pictures and a video', async () => {
  const [generation] = generations.filter(({ id }) => id === 'qwen2vl')
  const cases = generation.cases.filter(({ label }) => ['text', 'tiny', 'video frames-odd'].includes(label))
  const { name, results } = await measureGeneration({ ...generation, cases }, fixtures, { precision: 'f32' })
  assert.equal(name, 'Qwen2-VL')
  assert.deepEqual(
    results.map((result) => [Object.keys(result), failuresOf(result, 'f32')]),
    [
      [['prompt', 'logits', 'tokens'], []],
      [['prompt', 'pixels', 'embeddings', 'logits', 'tokens'], []],
      [['prompt', 'pixels', 'embeddings', 'logits', 'tokens'], []],
    ],
  )
})

describe('numbers', () => {
  test('cosine', () => {
    assert.equal(cosine([1, 2], [2, 4]), 1)
    assert.equal(cosine([1, 0], [0, 1]), 0)
    assert.equal(cosine([1], [1, 1]), -1)
  })

  test('the relative error is a share of the largest value', () => {
    assert.equal(relativeError([1, 10], [2, -20]), 1.5)
    assert.equal(relativeError([1], [1, 1]), Infinity)
  })

  test('agreement of bytes', () => {
    assert.deepEqual(agreement([1, 2, 3, 4], [1, 2, 4, 6]), { same: 0.5, near: 0.75 })
    assert.deepEqual(agreement([1], []), { same: 0, near: 0 })
  })

  test('the common beginning', () => {
    assert.equal(commonLength([1, 2, 3], [1, 2, 4]), 2)
    assert.equal(commonLength([1, 2], [1, 2, 3]), 2)
  })
})

describe('judgement', () => {
  const good = {
    prompt: [],
    pixels: { same: 0.99, near: 0.9995 },
    embeddings: { cosine: 0.999995, error: 1e-4 },
    logits: 0.99995,
    tokens: { equal: 64, of: 64, decisive: 32 },
  }

  test('within tolerance', () => assert.deepEqual(failuresOf(good, 'f32'), []))

  for (const [name, bad] of [
    ['prompt', { prompt: ['ids'] }],
    ['pixels', { pixels: { same: 0.5, near: 0.998 } }],
    ['embeddings', { embeddings: { cosine: 0.9999, error: 1e-4 } }],
    ['embeddings', { embeddings: { cosine: 1, error: 2e-3 } }],
    ['logits', { logits: 0.9998 }],
    ['tokens', { tokens: { equal: 63, of: 64, decisive: 32 } }],
  ]) {
    test(`${name} out of tolerance: ${JSON.stringify(bad)}`, () => {
      assert.deepEqual(failuresOf({ ...good, ...bad }, 'f32'), [name])
      const rows = [{ label: 'a', f32: { ...good, ...bad }, f16: good }]
      assert.match(toMarkdown([{ id: 'x', name: 'X', reference: {}, rows }], false), /\*\*/)
    })
  }
})

test('of F16 files only the tokens count that rounding cannot change', () => {
  const answered = (equal) => ({ prompt: [], logits: 1, tokens: { equal, of: 64, decisive: 32 } })
  assert.deepEqual(failuresOf(answered(32), 'f16'), [])
  assert.deepEqual(failuresOf(answered(31), 'f16'), ['tokens'])
})

test('a program that fails has answered nothing like the reference', () => {
  const answered = { prompt: [], logits: 1, tokens: { equal: 64, of: 64, decisive: 32 } }
  const rows = [{ label: 'system', f32: answered, f16: answered, mtmd: { failure: 'Jinja Exception: no' } }]
  const table = toMarkdown([{ id: 'x', name: 'X', reference: {}, rows }], true)
  assert.match(table, /\| 0 of 1 \|/)
  assert.match(table, /\| — \| \*\*fails\*\* \|/)
})

test('what is not computed is a dash, and no answer', () => {
  const large = { prompt: [], pixels: { same: 1, near: 1 } }
  assert.deepEqual(failuresOf(large, 'f32'), [])
  const answered = { prompt: [], logits: 1, tokens: { equal: 64, of: 64, decisive: 32 } }
  const rows = [
    { label: 'large', f32: large, f16: large },
    { label: 'text', f32: answered, f16: answered },
  ]
  const table = toMarkdown([{ id: 'x', name: 'X', reference: {}, rows }], false)
  assert.match(table, /\| X \| 2 \| 2 \| 1 of 1 \| 1 of 1 \|/)
  assert.match(table, /\| large \| exact \| identical \|( — \|){7}/)
})

test('what is between the marks is replaced', () => {
  assert.equal(
    replaceBetween('a <!-- x --> b <!-- /x --> c', 'x', 'new'),
    'a <!-- x -->\n\nnew\n\n<!-- /x --> c',
  )
  assert.throws(() => replaceBetween('a <!-- x --> b', 'x', 'new'), /missing/)
})

test('a document gives back the cases that were written', () => {
  const measured = { prompt: [], logits: 1, tokens: { equal: 1, of: 1 } }
  const rows = ['text', 'video file'].map((label) => ({ label, f32: measured, f16: measured }))
  const table = toMarkdown([{ id: 'x', name: 'X', reference: {}, rows }], true)
  assert.deepEqual(casesOf(`# Title\n\n${table}\n\nMore.\n`), { x: ['text', 'video file'] })
})

describe('what llama-mtmd-cli can be asked', () => {
  const user = (content) => ({ role: 'user', content })
  const picture = (image) => ({ type: 'image', image })
  const bounds = { minPixels: 784, maxPixels: 7840 }
  const express = (golden) => expressCase(golden, '/fixtures', 28)

  test('a text is typed', () => {
    assert.deepEqual(express({ messages: [user('Hello?')] }), { args: [], line: 'Hello?' })
  })

  test('a picture with its bounds, and a system prompt', () => {
    const content = [picture('a.png'), { type: 'text', text: 'What?' }]
    const { args, line } = express({
      ...bounds,
      messages: [{ role: 'system', content: 'Be brief.' }, user(content)],
    })
    assert.equal(line, undefined)
    assert.deepEqual(args, [
      ...['--system-prompt', 'Be brief.', '--image', join('/fixtures/images', 'a.png')],
      ...['--image-min-tokens', '1', '--image-max-tokens', '10', '--prompt', '<__media__>What?'],
    ])
  })

  test('pictures are numbered', () => {
    const content = [picture('a.png'), { type: 'text', text: ' and ' }, picture('b.png')]
    const { args } = express({ ...bounds, addVisionId: true, messages: [user(content)] })
    assert.equal(args.at(-1), 'Picture 1: <__media__> and Picture 2: <__media__>')
  })

  test('a video file with its rate', () => {
    const { args } = express({ messages: [user([{ type: 'video', video: 'a.mp4', fps: 2 }])] })
    assert.deepEqual(args.slice(0, 4), ['--video', join('/fixtures/video', 'a.mp4'), '--video-fps', '2'])
  })

  for (const [name, golden] of [
    ['turns with given answers', { messages: [user('a'), { role: 'assistant', content: 'b' }, user('c')] }],
    ['tools', { messages: [user('a')], tools: [{}] }],
    ['variables of the template', { messages: [user('a')], templateVariables: { enable_thinking: false } }],
    ['a frame list', { messages: [user([{ type: 'video', video: ['a.png', 'b.png'] }])] }],
    ['a part of a video', { messages: [user([{ type: 'video', video: 'a.mp4', video_start: 1 }])] }],
    ['a wanted size', { messages: [user([{ ...picture('a.png'), resized_width: 56 }])] }],
    ['different bounds', { messages: [user([{ ...picture('a.png'), max_pixels: 784 }, picture('b.png')])] }],
  ]) {
    test(`not ${name}`, () => assert.equal(express(golden), undefined))
  }
})

describe('its answer', () => {
  const vocabulary = ['a', 'b', '\n', '<|im_end|>'].map((text) => Buffer.from(text))
  vocabulary.push(Buffer.from([0xe4]), Buffer.from([0xbd, 0xa0])) // halves of 你
  const compare = (printed, tokens) =>
    compareAnswer(
      Buffer.concat([Buffer.from('x\n> @@answer@@\n\n'), Buffer.from(printed)]),
      { tokens },
      vocabulary,
    )

  test('is compared token by token', () => {
    assert.deepEqual(compare('aba\n\n', [0, 1, 0]), { equal: 3, of: 3 })
    assert.deepEqual(compare('abb\n\n', [0, 1, 0]), { equal: 2, of: 3 })
    assert.deepEqual(compare('a', [0, 1]), { equal: 1, of: 2 })
  })

  test('is bytes', () => {
    assert.deepEqual(compare([0xe4, 0xbd, 0xa0], [4, 5]), { equal: 2, of: 2 })
    assert.deepEqual(compare([0xe4, 0x61], [4, 5]), { equal: 1, of: 2 })
  })

  test('ends where the model says so', () => {
    assert.deepEqual(compare('a\n\n> ', [0, 3, 1]), { equal: 2, of: 2 })
    assert.deepEqual(compare('ab', [0, 3, 1]), { equal: 1, of: 2 })
  })
})

for (const { id, folder, cases } of generations) {
  test(`the vocabulary of ${id} spells the golden answers`, () => {
    const vocabulary = readVocabulary(join(folder, 'model-f32.gguf'))
    for (const { text, tokens } of cases.filter((golden) => golden.text !== undefined))
      assert.equal(Buffer.concat(tokens.map((token) => vocabulary[token])).toString(), text)
  })
}
