/** What holds for all boxes and all texts. */
import type { GenerationId } from '../../../lib/generations'
import type { Box } from '../../../lib/grounding/item'
import { clickPoint } from '../../../lib/grounding/item'
import { parseGrounding } from '../../../lib/grounding/parse'
import type { Size } from '../../../lib/media/geometry'
import { randomOf } from '../../support/random'

interface Spelling {
  readonly generation: GenerationId
  readonly relative: boolean
  readonly write: (x1: number, y1: number, x2: number, y2: number) => string
}

const json = (...numbers: number[]) =>
  '```json\n[' + JSON.stringify({ bbox_2d: numbers, label: 'x' }) + ']\n```'
const spellings: Record<string, Spelling> = {
  'tags of the first Qwen-VL': {
    generation: 'qwen3vl',
    relative: true,
    write: (x1, y1, x2, y2) => `<ref>x</ref><box>(${x1},${y1}),(${x2},${y2})</box>`,
  },
  'tags of Qwen2-VL': {
    generation: 'qwen2vl',
    relative: true,
    write: (x1, y1, x2, y2) =>
      `<|object_ref_start|>x<|object_ref_end|><|box_start|>(${x1},${y1}),(${x2},${y2})<|box_end|>`,
  },
  'JSON of Qwen2.5-VL': { generation: 'qwen2.5vl', relative: false, write: json },
  'JSON of Qwen3-VL': { generation: 'qwen3vl', relative: true, write: json },
  'HTML of Qwen2.5-VL': {
    generation: 'qwen2.5vl',
    relative: false,
    write: (...numbers) => `<p data-bbox="${numbers.join(' ')}">x</p>`,
  },
}

/** A picture of up to 5000 pixels a side with a box in it. */
function scenes(count: number): Array<{ original: Size; processed: Size; box: Box }> {
  const { below } = randomOf(20)
  return Array.from({ length: count }, () => {
    const [width, height] = [10 + below(5000), 10 + below(5000)]
    const [x1, y1] = [below(width - 2), below(height - 2)]
    return {
      original: { width, height },
      processed: { width: 28 * (1 + below(80)), height: 28 * (1 + below(80)) },
      box: { x1, y1, x2: x1 + 1 + below(width - x1 - 1), y2: y1 + 1 + below(height - y1 - 1) },
    }
  })
}

describe.each(Object.entries(spellings))('%s', (_, { generation, relative, write }) => {
  test('brings a box back to its place, as exactly as the units of the model allow', () => {
    const far = scenes(500).filter(({ original, processed, box }) => {
      const span = relative ? { width: 1000, height: 1000 } : processed
      const unit = (axis: keyof Size) => Math.max(1, original[axis] / span[axis])
      const x = (value: number) => Math.round((value / original.width) * span.width)
      const y = (value: number) => Math.round((value / original.height) * span.height)
      const numbers = [x(box.x1), y(box.y1), x(box.x2), y(box.y2)] as const
      if (numbers[0] === numbers[2] || numbers[1] === numbers[3]) return false // too small for the model's units
      const text = write(...numbers)
      const [item, ...others] = parseGrounding({ text, images: [{ original, processed }] }, { generation })
      if (item?.kind !== 'box' || others.length > 0 || item.label !== 'x') return true
      const off = (edge: keyof Box) => Math.abs(item.box[edge] - box[edge])
      return Math.max(off('x1'), off('x2')) > unit('width') || Math.max(off('y1'), off('y2')) > unit('height')
    })
    expect(far).toEqual([])
  })

  test('keeps every box and click inside the picture', () => {
    const { below } = randomOf(7)
    const wild = () => below(3000) - 1000
    const outside = scenes(500).filter(({ original, processed }) => {
      const text = write(wild(), wild(), wild(), wild())
      return parseGrounding({ text, images: [{ original, processed }] }, { generation }).some((item) => {
        const { x, y } = clickPoint(item)
        if (item.kind !== 'box' || x >= original.width || y >= original.height || x < 0 || y < 0) return true
        const { x1, y1, x2, y2 } = item.box
        return !(x1 <= x && x < x2 && x2 <= original.width && y1 <= y && y < y2 && y2 <= original.height)
      })
    })
    expect(outside).toEqual([])
  })
})

const images = [{ original: { width: 1000, height: 800 }, processed: { width: 980, height: 784 } }]
const parse = (text: string) => parseGrounding({ text, images }, { generation: 'qwen3vl' })

const answer = `Here's <ref>a {bus}</ref><box>(178,280),(803,894)</box>, <box>(1,2),(3,4)</box> and
<|object_ref_start|>a < b<|object_ref_end|><|box_start|>(5,6)<|box_end|> then \`\`\`json
[{"bbox_2d": [1, 2, 30, 40], "label": "a \\"27\\\\\\" {'bbox_2d':[1,2,3,4]} <box>(1,2),(3,4)</box>"},
 {'point_2d': (10, 2.5e1), 'ok': True, "part": {"bbox_2d": [5, 6, 70, 80], "parts": [{"point_2d": [7, 8]}]}},
 {"bbox_2d": [9, 9, "label": "x"}, {"quad_2d": [0,0,9,0,9,9,0,9],}, {"bbox_2d": [[1,2,3,4],[5,6,7,8]]}]
\`\`\` <points x1="1" y1="2" x2="3" y2="4" alt="p">q {"point_2d": [1, 1]}</points><!-- Image (1, 2, 3, 4) -->
<p data-bbox="1 2 3 4">t</p><img data-bbox="1 2 3 4"> <quad>(1,1),(9,1),(9,9),(1,9)</quad> {"text": "'{"} end`

describe('a text that is cut off', () => {
  test('has the first items of the whole, wherever it is cut', () => {
    const whole = parse(answer)
    expect(whole.length).toBe(17)
    for (let length = 0; length <= answer.length; length++) {
      const items = parse(answer.slice(0, length))
      expect(items).toEqual(whole.slice(0, items.length))
    }
  })

  test('gets its items one by one', () => {
    const counts = Array.from(answer, (_, length) => parse(answer.slice(0, length)).length)
    expect(new Set(counts)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16, 17]))
  })
})

describe('any text', () => {
  const pieces = [
    ...[
      '{',
      '}',
      '[',
      ']',
      '(',
      ')',
      ',',
      ':',
      '"',
      "'",
      '\\',
      '<',
      '>',
      '/',
      '|',
      ' ',
      '\n',
      '0',
      '12',
      '-',
      '.',
      'e',
    ],
    ...[
      '"bbox_2d"',
      '"point_2d":',
      '[1,2,3,4]',
      '[5,6]',
      '<box>',
      '</box>',
      '(1,2),(3,4)',
      '<ref>',
      '</ref>',
      '```json',
    ],
    ...[
      '<|box_start|>',
      '<|box_end|>',
      '<points x="1" y="2"',
      'data-bbox="1 2 3 4"',
      '<p ',
      '<!--',
      '-->',
      'None',
      '公',
    ],
    ...['{"bbox_2d":[1,2,3,4]}', '\u0000', '\ud800', 'label', 'img_idx'],
  ]

  test('is read without an error, and its beginning gives the beginning', () => {
    const { below } = randomOf(99)
    let found = 0
    for (let round = 0; round < 1000; round++) {
      const text = Array.from({ length: 1 + below(30) }, () => pieces[below(pieces.length)]).join('')
      const whole = parse(text)
      const items = parse(text.slice(0, below(text.length)))
      expect(items).toEqual(whole.slice(0, items.length))
      found += whole.length
    }
    expect(found).toBeGreaterThan(300)
  })

  test('gives all of ten thousand boxes', () => {
    const boxes = Array.from({ length: 10_000 }, (_, i) => ({
      bbox_2d: [i % 500, 1, 501, 900],
      label: `n${i}`,
    }))
    expect(parse(JSON.stringify(boxes, null, 1)).map(({ label }) => label)).toEqual(
      boxes.map(({ label }) => label),
    )
  })

  test('gives all of 150 000 boxes of one label', () => {
    const text = `{"bbox_2d": [${Array(150_000).fill('[1,2,3,4]').join()}]}`
    expect(parse(text)).toHaveLength(150_000)
  })

  // Each would take minutes, or the whole stack, if a step of the reader could go back.
  test.each([
    ['{"a":', 30_000],
    ['[{', 30_000],
    ['{"', 30_000],
    ["{'a':\"", 30_000],
    ['{"a":[', 30_000],
    ['\\n', 300_000],
    ['{"label": "\\n', 30_000],
    ['<box>(1,2)', 30_000],
    ['<!--', 30_000],
    ['<p a="', 30_000],
    ['<p a', 30_000],
    ['<p' + ' '.repeat(1000), 500],
    ['<box>' + '1'.repeat(1000), 500],
    ['{"bbox_2d":[' + '1,'.repeat(1000), 500],
    ['<ref>', 30_000],
  ])('of %j many times is read in one go', (piece, times) => {
    expect(parse(piece.repeat(times))).toEqual([])
    expect(parse(`{"label": "${piece.repeat(times)}`)).toEqual([])
  })
})
