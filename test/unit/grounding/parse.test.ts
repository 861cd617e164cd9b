/** What each spelling of each generation becomes in pixels of the original; the numbers are the reference's. */
import type { GenerationId } from '../../../lib/generations'
import type { GroundingItem } from '../../../lib/grounding/item'
import { parseGrounding } from '../../../lib/grounding/parse'

const photo = { original: { width: 640, height: 480 }, processed: { width: 644, height: 476 } }
const screenshot = { original: { width: 1920, height: 1080 }, processed: { width: 1092, height: 812 } }
/** On this picture a unit of 0 to 1000 is a pixel. */
const plain = { original: { width: 1000, height: 1000 }, processed: { width: 980, height: 980 } }

const parse = (text: string, image: typeof photo = plain, generation: GenerationId = 'qwen3vl') =>
  parseGrounding({ text, images: [image] }, { generation })

const box = (x1: number, y1: number, x2: number, y2: number) => ({ kind: 'box', box: { x1, y1, x2, y2 } })
const point = (x: number, y: number) => ({ kind: 'point', point: { x, y } })
const quad = (...numbers: number[]) => ({
  kind: 'quad',
  quad: [0, 2, 4, 6].map((index) => ({ x: numbers[index], y: numbers[index + 1] })),
})
const shapes = (items: readonly GroundingItem[]) =>
  items.map(({ imageIndex: _imageIndex, fields: _fields, ...shape }) => shape)

describe('tags', () => {
  it('of the first Qwen-VL', () => {
    const text = '<ref> 公交车</ref><box>(178,280),(803,894)</box>'
    expect(shapes(parse(text, photo))).toEqual([{ ...box(113, 134, 513, 429), label: '公交车' }])
  })

  it('of Qwen2-VL', () => {
    const text =
      'It is <|object_ref_start|>the bus<|object_ref_end|><|box_start|>(178,280),(803,894)<|box_end|>, there.'
    expect(shapes(parse(text, photo, 'qwen2vl'))).toEqual([{ ...box(113, 134, 513, 429), label: 'the bus' }])
  })

  it('with four corners, in their order', () => {
    const corners = '(30,10),(90,20),(80,60),(20,50)'
    const expected = quad(30, 10, 90, 20, 80, 60, 20, 50)
    expect(shapes(parse(`<quad>${corners}</quad>`))).toEqual([expected])
    expect(shapes(parse(`<|quad_start|>${corners}<|quad_end|>`))).toEqual([expected])
  })

  it('with one corner are points', () => {
    expect(shapes(parse('<|box_start|>(512,40)<|box_end|>'))).toEqual([point(512, 40)])
  })

  it('share the label of the boxes in a row, and no further', () => {
    const text =
      '<ref>dogs</ref><box>(1,2),(3,4)</box>, <box>(5,6),(7,8)</box> and on the right <box>(9,10),(11,12)</box>'
    expect(parse(text).map(({ label }) => label)).toEqual(['dogs', 'dogs', undefined])
  })

  it('keep a label with < and {', () => {
    expect(parse('<ref>a < b {c}</ref><box>(1,2),(3,4)</box>').map(({ label }) => label)).toEqual([
      'a < b {c}',
    ])
  })

  it('count from 0 to 1000 in every generation', () => {
    const text = '<ref>bus</ref><box>(178,280),(803,894)</box>'
    expect(parse(text, photo, 'qwen2.5vl')).toEqual(parse(text, photo, 'qwen2vl'))
  })

  it('are no boxes with words in them', () => {
    expect(parse('<box>from (1,2) to (3,4)</box>')).toEqual([])
  })
})

describe('JSON', () => {
  const detection = '[\n\t{"bbox_2d": [341, 123, 700, 811], "label": "window"}\n]'

  it('of Qwen2.5-VL counts pixels of the processed picture', () => {
    expect(shapes(parse(detection, screenshot, 'qwen2.5vl'))).toEqual([
      { ...box(599, 163, 1230, 1078), label: 'window' },
    ])
  })

  it('of Qwen3-VL counts from 0 to 1000', () => {
    expect(shapes(parse(detection, photo, 'qwen3vl'))).toEqual([
      { ...box(218, 59, 448, 389), label: 'window' },
    ])
    expect(parse(detection, photo, 'qwen3vlmoe')).toEqual(parse(detection, photo, 'qwen3vl'))
  })

  it('is rounded as the reference rounds: 290 / 1000 * 100 is a little below 29', () => {
    const small = { original: { width: 100, height: 700 }, processed: { width: 1148, height: 476 } }
    expect(shapes(parse('{"point_2d": [290, 350]}', small))).toEqual([point(28, 244)])
    expect(shapes(parse('{"point_2d": [570, 700]}', small))).toEqual([point(56, 489)])
    expect(shapes(parse('{"point_2d": [574, 289]}', small, 'qwen2.5vl'))).toEqual([point(50, 424)])
  })

  it('has points and quads too', () => {
    const text =
      '[{"point_2d": [10, 20], "label": "a"}, {"quad_2d": [30,10,90,20,80,60,20,50]}, {"bbox_2d": [30,10,90,20,80,60,20,50]}]'
    const corners = quad(30, 10, 90, 20, 80, 60, 20, 50)
    expect(shapes(parse(text))).toEqual([{ ...point(10, 20), label: 'a' }, corners, corners])
  })

  it('may write numbers in pairs, in quotes, or as a text; and several shapes at once', () => {
    const text = `{"bbox_2d": [[1, 2], [3, 4]]} {"point_2d": ["394", "105"]} {"bbox_2d": "5 6 7 8"}
      {"bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]]} {"point_2d": [[1, 2], [3, 4]]}`
    expect(shapes(parse(text))).toEqual([
      box(1, 2, 3, 4),
      point(394, 105),
      box(5, 6, 7, 8),
      box(1, 2, 3, 4),
      box(5, 6, 7, 8),
      point(1, 2),
      point(3, 4),
    ])
  })

  it('of a spotted line has its text as the label', () => {
    expect(parse('{"bbox_2d": [1,2,3,4], "text_content": "Total: 5 €"}')[0]?.label).toBe('Total: 5 €')
  })

  it('of an agent names where to click', () => {
    const call = { name: 'computer_use', arguments: { action: 'left_click', coordinate: [500, 250] } }
    const items = parse(`<tool_call>\n${JSON.stringify(call)}\n</tool_call>`)
    expect(items).toEqual([{ ...point(500, 250), imageIndex: 0, fields: call.arguments }])
  })

  it('comes with the fields that the model wrote', () => {
    const object = { bbox_2d: [1, 2, 3, 4], label: 'car', colour: 'red', parts: ['wheel'], old: false }
    expect(parse(JSON.stringify(object))[0]?.fields).toEqual(object)
    expect(parse('{"bbox_2d": [1,2,3,4], "__proto__": {"admin": 1}}')[0]?.fields).not.toHaveProperty('admin')
  })

  it('is no item without its coordinates', () => {
    const texts = [
      '{"bbox_2d": []}',
      '{"bbox_2d": null}',
      '{"bbox_2d": [1, 2, 3]}',
      '{"bbox_2d": [1, 2, true, 4]}',
    ]
    const more = [
      '{"bbox_2d": {"x1": 1}}',
      '{"point_2d": [1e999, 1]}',
      '{"point_2d": 7}',
      '{"label": "dog"}',
      '[1, 2]',
    ]
    expect([...texts, ...more].flatMap((text) => parse(text))).toEqual([])
  })
})

describe('broken JSON', () => {
  const [one, two] = ['{"bbox_2d": [1, 2, 3, 4], "label": "a"}', '{"bbox_2d": [5, 6, 7, 8], "label": "b"}']
  const labels = (text: string) => parse(text).map(({ label }) => label)

  it.each([
    ['in a fence', '```json\n[' + one + ',\n' + two + ']\n```'],
    ['in a fence that does not close', '```json\n[' + one + ',' + two],
    ['in a fence without a name', '```\n[' + one + two + ']\n```'],
    ['with text around', `Sure! Here's the list [2 of 3]: [${one}, ${two}] I hope that's {all} you "need".`],
    ['as lines', `${one}\n${two}\n`],
    ['with commas too many', `[${one},,${two},]`.replaceAll('"}', '",}')],
    ['with commas missing', `[${one} ${two}]`],
    ['as a Python literal', `[${one}, ${two}]`.replaceAll('"', "'").replaceAll('"}', '", old: None}')],
    ['in an object', `{"objects": [${one}, ${two}], "count": 2}`],
    ['in an object that does not close', `{"count": 2, "objects": [${one}, ${two}`],
    ['cut off in a third item', `[${one}, ${two}, {"bbox_2d": [9, 10, 11, 12], "label": "c`],
    ['cut off in the numbers of a third item', `[${one}, ${two}, {"bbox_2d": [9, 10, 11, 1`],
    ['with a damaged item between', `[${one}, {"bbox_2d": [9, 10, 11, "label": "c"}, ${two}]`],
    [
      'with a quote in a label between',
      `[${one}, {"bbox_2d": [9, 10, 11, 12], "label": "a 27" screen"}, ${two}]`,
    ],
    ['with an unfinished item between', `[${one}, {"bbox_2d": [9, 10, 11, 12], "label": "c", ${two}]`],
    ['with a repeated item', `[${one}, {"bbox_2d": {"bbox_2d": ${two}]`],
  ])('%s', (_, text) => {
    expect(labels(text)).toEqual(['a', 'b'])
  })

  it('reads escapes', () => {
    expect(labels('{"bbox_2d":[1,2,3,4],"label":"\\u516c\\ud83d\\ude00 \\"x\\"\\n\\/"}')).toEqual([
      '公😀 "x"\n/',
    ])
    expect(labels(`{'bbox_2d': (1, 2, 3, 4), 'label': 'dog\\'s {tail} <b>'}`)).toEqual(["dog's {tail} <b>"])
  })
})

describe('XML, HTML and Markdown', () => {
  it('points', () => {
    const text =
      '<points x1="100" y1="200" x2="300" y2="400" alt="the cups">cups</points> <point x="5" y="6">spoon</point>'
    expect(shapes(parse(text))).toEqual([
      { ...point(100, 200), label: 'the cups' },
      { ...point(300, 400), label: 'the cups' },
      { ...point(5, 6), label: 'spoon' },
    ])
    expect(parse(text)[2]?.fields).toEqual({ x: '5', y: '6' })
  })

  it('points of Qwen2.5-VL count pixels of the processed picture', () => {
    const text = '<points x1="341" y1="123" alt="w">w</points>'
    expect(shapes(parse(text, screenshot, 'qwen2.5vl'))).toEqual([{ ...point(599, 163), label: 'w' }])
  })

  it('elements of a document', () => {
    const text =
      '<body><h2 data-bbox="1 2 30 40">Title</h2><p class="x" data-bbox=\'5 6 70 80\'>a &lt; b</p><img data-bbox="9 10 110 120"/> see'
    expect(shapes(parse(text))).toEqual([
      { ...box(1, 2, 30, 40), label: 'Title' },
      { ...box(5, 6, 70, 80), label: 'a &lt; b' },
      box(9, 10, 110, 120),
    ])
  })

  it('comments', () => {
    const text =
      '# Report\n<!-- Image (100, 200, 300, 400) -->\n<!-- a remark (of mine) -->\n<!-- Table (1,2,3,4) -->'
    expect(shapes(parse(text))).toEqual([
      { ...box(100, 200, 300, 400), label: 'Image' },
      { ...box(1, 2, 3, 4), label: 'Table' },
    ])
  })
})

describe('the picture', () => {
  const boxAt = (...numbers: number[]) => shapes(parse(JSON.stringify({ bbox_2d: numbers }), photo))

  it('is where boxes end', () => {
    expect(boxAt(-50, 500, 2000, 1200)).toEqual([box(0, 240, 640, 480)])
    expect(shapes(parse('{"quad_2d": [-9,0,500,0,500,1009,0,500]}', photo))).toEqual([
      quad(0, 0, 320, 0, 320, 480, 0, 240),
    ])
  })

  it('has corners in order', () => {
    expect(boxAt(800, 900, 100, 200)).toEqual([box(64, 96, 512, 432)])
  })

  it('leaves out what lies outside it or has no area', () => {
    expect([...boxAt(1100, 0, 1200, 100), ...boxAt(-20, 0, 0, 100), ...boxAt(5, 5, 5, 100)]).toEqual([])
    expect(parse('{"quad_2d": [5,0,5,10,5,20,5,30]}{"point_2d": [1001, 5]}{"point_2d": [5, -1]}')).toEqual([])
  })

  it('has no pixel at its right and lower edge', () => {
    expect(shapes(parse('{"point_2d": [1000, 1000]}', photo))).toEqual([point(639, 479)])
  })

  it('shows each box as a pixel at least', () => {
    const icon = { original: { width: 16, height: 16 }, processed: { width: 256, height: 256 } }
    expect(shapes(parse('{"bbox_2d": [500, 500, 510, 510]}', icon))).toEqual([box(8, 8, 9, 9)])
    expect(shapes(parse('{"bbox_2d": [999, 999, 1000, 1000]}', icon))).toEqual([box(15, 15, 16, 16)])
  })
})

describe('several pictures', () => {
  const images = [photo, plain, screenshot]
  const text =
    '{"point_2d": [500, 500]} {"point_2d": [500, 500], "img_idx": 0} {"point_2d": [500, 500], "image_index": 1}'
  const where = (options: { imageIndex?: number }) =>
    parseGrounding({ text, images }, { generation: 'qwen3vl', ...options }).map((item) => [
      item.imageIndex,
      item.kind === 'point' && item.point.x,
    ])

  it('mean the latest, unless the model or the caller names one', () => {
    const named = [
      [0, 320],
      [1, 500],
    ]
    expect(where({})).toEqual([[2, 960], ...named])
    expect(where({ imageIndex: 1 })).toEqual([[1, 500], ...named])
  })

  it.each([-1, 3, 0.5, 1e9])('number %p, if the conversation has no such, holds no item', (index) => {
    expect(parse(`{"point_2d": [1, 2], "img_idx": ${index}}`)).toEqual([])
  })

  it('may be none', () => {
    expect(parseGrounding({ text, images: [] }, { generation: 'qwen3vl' })).toEqual([])
  })
})

describe('options', () => {
  const answer = { text: '{"point_2d": [341, 123]}', images: [screenshot] }

  it('count otherwise than the generation', () => {
    const [item] = parseGrounding(answer, { generation: 'qwen3vl', coordinates: 'processedPixels' })
    expect(item).toMatchObject(point(599, 163))
  })

  it('fall back to the processed picture where the original is unknown', () => {
    const images = [{ processed: screenshot.processed }]
    expect(parseGrounding({ ...answer, images }, { generation: 'qwen2.5vl' })[0]).toMatchObject(
      point(341, 123),
    )
  })

  it.each([
    [
      answer,
      { generation: 'llava' },
      /Expected `generation` to be one of 'qwen2vl'.* `vl\.info`, got 'llava'/,
    ],
    [answer, undefined, /`generation`/],
    [answer, { generation: 'qwen3vl', coordinates: 'percent' }, /`coordinates` to be 'relative1000' or/],
    [answer, { generation: 'qwen3vl', imageIndex: 1 }, /`imageIndex` to be below 1/],
    ['text', { generation: 'qwen3vl' }, /`answer` to be an answer/],
    [{ ...answer, images: [{}] }, { generation: 'qwen3vl' }, /`answer.images\[0\]\.original`/],
    [{ ...answer, images: [{ original: plain.original }] }, { generation: 'qwen2.5vl' }, /\.processed`/],
  ])('%j with %j are refused', (wrong, options, message) => {
    expect(() => parseGrounding(wrong as typeof answer, options as never)).toThrow(
      expect.objectContaining({ name: 'InvalidArgumentError', message: expect.stringMatching(message) }),
    )
  })
})
