/** Answers as the models write them, torn at every position: the same thought, text and calls come out. */
import { AnswerReader } from '../../../lib/output/reader'
import type { AnswerPiece, AnswerShape } from '../../../lib/output/reader'
import type { KindOf } from '../../../lib/output/toolcalls'
import { randomOf } from '../../support/random'

interface Call {
  name: string
  arguments: unknown
  /** All deltas together. */
  json: string
  problem?: string
}

function read(shape: AnswerShape, texts: readonly string[]) {
  const reader = new AnswerReader(shape)
  const pieces: AnswerPiece[] = [...texts.flatMap((text) => reader.push(text)), ...reader.end()]
  const join = (type: 'text' | 'reasoning') =>
    pieces.map((piece) => (piece.type === type ? piece.text : '')).join('')
  const calls: Call[] = []
  for (const piece of pieces) {
    if (piece.type !== 'tool-call') continue
    const { index, name, delta, arguments: given, done, problem } = piece
    const call = (calls[index] ??= { name, arguments: {}, json: '' })
    call.json += delta
    call.arguments = given
    expect(call.name).toBe(name)
    expect(index).toBe(calls.length - 1)
    if (done) Object.assign(call, problem === undefined ? {} : { problem })
    else expect(problem).toBeUndefined()
  }
  const order = pieces.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1])
  return { text: join('text'), reasoning: join('reasoning'), calls, order }
}

/** Whole, torn in two anywhere, and letter by letter. */
function ways(text: string): string[][] {
  const two = Array.from({ length: text.length }, (_, at) => [text.slice(0, at), text.slice(at)])
  return [[text], ...two, text.split('')]
}

function expectAll(shape: AnswerShape, text: string, expected: object) {
  for (const way of ways(text)) expect({ way, ...read(shape, way) }).toMatchObject({ way, ...expected })
}

const either: KindOf = () => 'either'
const hermes: AnswerShape = { inThought: false, calls: { form: 'hermes', kindOf: either } }
const agent: AnswerShape = { inThought: false, calls: { form: 'qwen-agent', kindOf: either } }
const kinds: Record<string, 'text' | 'json'> = {
  city: 'text',
  code: 'text',
  days: 'json',
  tags: 'json',
  on: 'json',
}
const xml: AnswerShape = {
  inThought: false,
  calls: { form: 'xml', kindOf: (_, parameter) => kinds[parameter] ?? 'either' },
}

describe('thoughts', () => {
  test.each([
    ['opened by the prompt', true, 'Hm, a dog.\n</think>\n\nIt is a dog.', 'Hm, a dog.', 'It is a dog.'],
    ['opened by the model', false, '<think>\nHm.\n</think>\n\nA dog.', 'Hm.', 'A dog.'],
    ['empty', false, '<think>\n\n</think>\n\nA dog.', '', 'A dog.'],
    ['cut off', true, 'Hm, a dog.\n', 'Hm, a dog.\n', ''],
    ['none', false, ' A <think> b </think> c ', '', ' A <think> b </think> c '],
    ['with a tag that is none', true, 'a </thin b <</think>c', 'a </thin b <', 'c'],
  ])('%s', (_, inThought, text, reasoning, answer) => {
    expectAll({ inThought }, text, { reasoning, text: answer, calls: [] })
  })

  test('calls in a thought are none', () => {
    const text = 'I could <tool_call>\n{"name": "f"}\n</tool_call>\n</think>\n\nNo.'
    expectAll({ ...hermes, inThought: true }, text, {
      reasoning: 'I could <tool_call>\n{"name": "f"}\n</tool_call>',
      text: 'No.',
      calls: [],
    })
  })
})

describe('Hermes', () => {
  test('one call, with words before it', () => {
    const text =
      'Thought: the search bar is at the top.\nAction: tap it.\n<tool_call>\n' +
      '{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [447, 81]}}\n</tool_call>'
    expectAll(hermes, text, {
      text: 'Thought: the search bar is at the top.\nAction: tap it.',
      calls: [
        {
          name: 'mobile_use',
          arguments: { action: 'click', coordinate: [447, 81] },
          json: '{"action":"click","coordinate":[447,81]}',
        },
      ],
      order: ['text', 'tool-call'],
    })
  })

  test('several calls, and words behind them', () => {
    const text =
      '<tool_call>\n{"name": "f", "arguments": {"text": "a </tool_call> b"}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>\nDone.'
    expectAll(hermes, text, {
      text: 'Done.',
      calls: [
        { name: 'f', arguments: { text: 'a </tool_call> b' }, json: '{"text":"a </tool_call> b"}' },
        { name: 'g', arguments: {}, json: '{}' },
      ],
      order: ['tool-call', 'text'],
    })
  })

  test.each([
    ['arguments before the name', '{"arguments": {"a": 1}, "name": "f"}', '{"a":1}'],
    ['arguments as a text', '{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a":1}'],
    ['no arguments', '{"name": "f"}', '{}'],
    ['a brace too many', '{"name": "f", "arguments": {"a": 1}}}', '{"a":1}'],
    ['Python', "{'name': 'f', 'arguments': {'a': True,}}", '{"a":true}'],
  ])('%s', (_, call, json) => {
    const calls = [{ name: 'f', arguments: JSON.parse(json) as unknown, json }]
    for (const end of ['\n</tool_call>', '']) {
      expectAll(hermes, `<tool_call>\n${call}${end}`, { text: '', calls })
    }
  })

  test.each([
    ['cut off', '<tool_call>\n{"name": "f", "arguments": {"a": "xy', 'f', { a: 'xy' }, /cut off/],
    ['no JSON', '<tool_call>\n{"name": "f", "arguments": {"a": }}\n</tool_call>', 'f', {}, /no valid JSON/],
    ['no object', '<tool_call>\n{"name": "f", "arguments": [1]}\n</tool_call>', 'f', {}, /no valid JSON/],
    ['no name', '<tool_call>\n{"arguments": {}}\n</tool_call>', '', {}, /no name/],
    ['not even a brace', '<tool_call>call f</tool_call>', '', {}, /no valid JSON/],
  ])('%s is told', (_, text, name, given, problem) => {
    expectAll(hermes, text, {
      calls: [{ name, arguments: given, problem: expect.stringMatching(problem) as string }],
    })
  })

  test('without tools a call is text', () => {
    const text = '<tool_call>\n{"name": "f"}\n</tool_call>'
    expectAll({ inThought: false }, text, { text, calls: [] })
  })

  test('what only looks like a call is text', () => {
    expectAll(hermes, 'a < b <tool and <tool_cal ', { text: 'a < b <tool and <tool_cal ', calls: [] })
  })
})

describe('XML of Qwen3.5', () => {
  const call =
    'I look it up.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nSão Paulo\n</parameter>\n' +
    '<parameter=days>\n3\n</parameter>\n<parameter=tags>\n["a", "b"]\n</parameter>\n</function>\n</tool_call>'

  test('parameters by their types', () => {
    expectAll(xml, call, {
      text: 'I look it up.',
      calls: [
        {
          name: 'get_weather',
          arguments: { city: 'São Paulo', days: 3, tags: ['a', 'b'] },
          json: '{"city":"São Paulo","days":3,"tags":["a","b"]}',
        },
      ],
    })
  })

  test('texts of several lines, with marks in them, and none', () => {
    const code = 'if (a < b) {\n  "x"\n}\n</param>\n</function>\n'
    const text =
      `<tool_call>\n<function=run>\n<parameter=code>\n${code}\n</parameter>\n` +
      '<parameter=city>\n\n</parameter>\n</function>\n</tool_call>\n' +
      '<tool_call>\n<function=stop>\n</function>\n</tool_call>'
    expectAll(xml, text, {
      text: '',
      calls: [
        { name: 'run', arguments: { code, city: '' }, json: JSON.stringify({ code, city: '' }) },
        { name: 'stop', arguments: {}, json: '{}' },
      ],
    })
  })

  test.each([
    ['True', true],
    ['null', null],
    ['12.5', 12.5],
    ["['a']", ['a']],
    ['nonsense', 'nonsense'],
  ])('%s becomes %j', (written, value) => {
    const text = `<tool_call><function=f><parameter=on>${written}</parameter></function></tool_call>`
    expectAll(xml, text, {
      calls: [{ name: 'f', arguments: { on: value }, json: JSON.stringify({ on: value }) }],
    })
  })

  test('a text stays a text where the schema says so, else it may be JSON', () => {
    const text =
      '<tool_call>\n<function=f>\n<parameter=city>\n12\n</parameter>\n<parameter=x>\n12\n</parameter>\n</function>\n</tool_call>'
    expectAll(xml, text, { calls: [{ arguments: { city: '12', x: 12 } }] })
  })

  test('arguments arrive while they are written', () => {
    const reader = new AnswerReader(xml)
    const news = call.split('').flatMap((letter) => reader.push(letter))
    const parts = news.flatMap((piece) =>
      piece.type === 'tool-call' && !piece.done ? [piece.arguments.city] : [],
    )
    expect(parts).toEqual(expect.arrayContaining(['S', 'São', 'São Paul']))
  })

  test.each([
    ['in a name', '<tool_call>\n<function=ge', '', {}],
    ['in a value', '<tool_call>\n<function=f>\n<parameter=city>\nBer', 'f', { city: 'Ber' }],
    ['before the end', '<tool_call>\n<function=f>\n<parameter=days>\n3\n</parameter>\n', 'f', { days: 3 }],
  ])('cut off %s is told', (_, text, name, given) => {
    expectAll(xml, text, { calls: [{ name, arguments: given, problem: 'The call is cut off.' }] })
  })
})

describe('Qwen-Agent', () => {
  test('a call behind words', () => {
    expectAll(agent, 'Let me see.\n✿FUNCTION✿: get_date\n✿ARGS✿: {"zone": "UTC"}\n', {
      text: 'Let me see.',
      calls: [{ name: 'get_date', arguments: { zone: 'UTC' }, json: '{"zone":"UTC"}' }],
    })
  })

  test('several calls; the same again; marks of results', () => {
    const text =
      '✿FUNCTION✿: f\n✿ARGS✿: {"a": 1}\n✿ARGS✿: {"a": 2} <!-- again -->\n✿FUNCTION✿: g\n✿ARGS✿: {}\n✿RESULT✿'
    const calls = [
      { name: 'f', arguments: { a: 1 }, json: '{"a":1}' },
      { name: 'f', arguments: { a: 2 }, json: '{"a":2}' },
      { name: 'g', arguments: {}, json: '{}' },
    ]
    for (const way of ways(text)) expect(read(agent, way).calls).toEqual(calls)
  })

  test('behind a result the colon is none of the text', () => {
    for (const text of [': It is Monday.', 'It is Monday.', ' It is Monday.'])
      expectAll({ ...agent, continues: true }, text, { text: 'It is Monday.', calls: [] })
  })

  test.each([
    ['✿FUNCTION✿: f\n✿ARGS✿: {"a": ', 'f', /cut off/],
    ['✿FUNCTION✿: f', 'f', /cut off/],
    ['✿FUNCTION✿: f\n✿ARGS✿: print(1)', 'f', /no valid JSON/],
  ])('%j is told', (text, name, problem) => {
    expectAll(agent, text, { calls: [{ name, problem: expect.stringMatching(problem) as string }] })
  })
})

test.each([
  ['hermes', hermes],
  ['xml', xml],
  ['qwen-agent', agent],
  ['hermes in a thought', { ...hermes, inThought: true }],
  ['qwen-agent that goes on', { ...agent, continues: true }],
] as const)('whatever is written and wherever it is torn, %s gives the same and never throws', (_, shape) => {
  const words = [
    ...[
      '<think>',
      '</think>',
      '<tool_call>',
      '</tool_call>',
      '<function=',
      'f',
      '>',
      '<parameter=',
      'city',
      '\n',
    ],
    ...[
      '</parameter>',
      '</function>',
      '{"name": "f", ',
      '"arguments": ',
      '{',
      '}',
      '"a": ',
      '1',
      '"',
      '\\',
      ',',
      ' ',
    ],
    ...['✿FUNCTION✿', ': ', '✿ARGS✿', '✿RESULT✿', '✿RETURN✿', 'days', '[', ']', 'x < y', '<', '✿', '是😀'],
  ]
  const { below } = randomOf(11)
  for (let n = 0; n < 400; n++) {
    const text = Array.from({ length: below(25) }, () => words[below(words.length)]).join('')
    const whole = read(shape, [text])
    const pieces: string[] = []
    for (let at = 0; at < text.length;) {
      const length = 1 + below(6)
      pieces.push(text.slice(at, at + length))
      at += length
    }
    const { order: _order, ...told } = read(shape, pieces)
    expect({ written: text, ...whole }).toMatchObject({ written: text, ...told })
    for (const { problem, json, arguments: given } of told.calls)
      if (problem === undefined) expect(JSON.parse(json)).toEqual(given)
  }
})
