/**
 * The spellings in which Qwen-VL models point at something: tags, JSON, XML and HTML attributes, comments in Markdown.
 * Each is told from the others by its look, so an answer may mix them, with text around.
 */
import { readObjects } from './objects'
import type { Fields } from './objects'

/** Something pointed at, in the numbers of the model. */
export interface Finding {
  /** Two for a point, four for a box, eight for a quad. */
  readonly numbers: readonly number[]
  readonly label?: string | undefined
  /** Where the model names the picture: its index from 0. */
  readonly imageIndex?: number | undefined
  readonly fields: Fields
  /** Tags count from 0 to 1000 in every generation; all else counts as the generation does. */
  readonly isTag: boolean
}

interface Tag {
  readonly name: string
  /** Without content, as `<img …/>`. */
  readonly closed: boolean
  readonly attributes: Readonly<Record<string, string>>
  readonly end: number
}

/** JSON keys with coordinates, and how many numbers they take. */
const keys: ReadonlyMap<string, readonly number[]> = new Map([
  ['bbox_2d', [4, 8]],
  ['point_2d', [2]],
  ['quad_2d', [8]],
  ['coordinate', [2]],
])

const refs = ['ref', '|object_ref_start|']
/** Tags around numbers, and what closes them. */
const shapes: ReadonlyMap<string, string> = new Map([
  ['box', '/box'],
  ['quad', '/quad'],
  ['|box_start|', '|box_end|'],
  ['|quad_start|', '|quad_end|'],
])
const ends = ['/ref', '|object_ref_end|', ...shapes.values()]

/** All that is complete in a text, in the order in which it became complete. Never throws; a prefix gives a prefix. */
export function findAll(text: string): Finding[] {
  const found: Finding[] = []
  let tag: Tag | undefined
  let label: string | undefined
  let at = 0
  for (;;) {
    at = nextMark(text, at)
    if (at < 0) return found
    if (text[at] === '{') {
      const { objects, end } = readObjects(text, at)
      for (const finding of objects.flatMap(ofObject)) found.push(finding) // too many for `push(...)`, perhaps
      at = end
      continue
    }
    const next = readComment(text, at) ?? readTag(text, at)
    if (!next) {
      at++
      continue
    }
    if (tag && !tag.closed) {
      const content = text.slice(tag.end, at)
      if (refs.includes(tag.name)) label = content.trim() || undefined
      // A label stays for several boxes in a row; a word between them ends it.
      if (ends.includes(tag.name) && /[\p{L}\p{N}]/u.test(content)) label = undefined
      if (shapes.get(tag.name) === next.name) {
        found.push({ numbers: numbersIn(content), label, fields: {}, isTag: true })
      }
      found.push(...ofElement(tag, content))
    }
    if (next.closed) found.push(...ofElement(next, ''))
    tag = next
    at = next.end
  }
}

function nextMark(text: string, start: number): number {
  const mark = /[<{]/g
  mark.lastIndex = start
  return mark.exec(text)?.index ?? -1
}

/** Attribute values hold no `<` or `{`: a tag that is cut off then never hides what follows. */
function readTag(text: string, start: number): Tag | undefined {
  const pattern = /<(\/?[a-z][\w-]*|\|\w+\|)((?:\s+[\w:-]+(?:="[^"<{]*"|='[^'<{]*')?)*)\s*(\/?)>/iy
  pattern.lastIndex = start
  const match = pattern.exec(text)
  if (!match) return undefined
  const [all, written = '', attributes = '', slash] = match
  const name = written.toLowerCase()
  const pairs = [...attributes.matchAll(/([\w:-]+)=(?:"([^"]*)"|'([^']*)')/g)]
  return {
    name,
    closed: slash === '/' || name === 'img',
    attributes: Object.fromEntries(
      pairs.map(([, key = '', double, single]) => [key, double ?? single ?? '']),
    ),
    end: start + all.length,
  }
}

/** `<!-- Image (x1, y1, x2, y2) -->` reads as an image with a box. */
function readComment(text: string, start: number): Tag | undefined {
  const pattern = /<!--([^<{>]*)-->/y
  pattern.lastIndex = start
  const match = pattern.exec(text)
  if (!match) return undefined
  const [all, content = ''] = match
  const [alt = '', box = ''] = content.split('(')
  return {
    name: '!--',
    closed: true,
    attributes: { alt: alt.trim(), 'data-bbox': box.trim().replace(/\)$/, '') },
    end: start + all.length,
  }
}

/** `<points x1="…" y1="…" alt="…">label</points>`, `<p data-bbox="x1 y1 x2 y2">text</p>` */
function ofElement({ name, attributes }: Tag, content: string): Finding[] {
  const label = attributes.alt ?? content.trim()
  const about = { label: label || undefined, fields: attributes, isTag: false }
  if (name === 'point' || name === 'points') {
    return Object.entries(attributes).flatMap(([key, x]) => {
      const y = /^x\d*$/.test(key) ? attributes[key.replace('x', 'y')] : undefined
      return y === undefined ? [] : [{ numbers: numbersIn(`${x} ${y}`), ...about }]
    })
  }
  const box = attributes['data-bbox']
  return box === undefined ? [] : [{ numbers: numbersIn(box), ...about }]
}

function ofObject(object: Fields): Finding[] {
  const { label = object.text_content, img_idx: index = object.image_index } = object
  const about = {
    label: typeof label === 'string' || typeof label === 'number' ? String(label) || undefined : undefined,
    imageIndex: typeof index === 'number' ? index : undefined,
    fields: object,
    isTag: false,
  }
  return Object.entries(object).flatMap(([key, value]) => {
    const counts = keys.get(key)
    if (!counts) return []
    return listsIn(value, counts[0] ?? 0)
      .filter((numbers) => counts.includes(numbers.length))
      .map((numbers) => ({ numbers, ...about }))
  })
}

/** One list of numbers, written flat, in pairs or as text; or several lists of at least `size` numbers. */
function listsIn(value: unknown, size: number): number[][] {
  if (typeof value === 'string') return [numbersIn(value)]
  if (!Array.isArray(value)) return []
  const several = value.every((inner) => Array.isArray(inner) && inner.length >= size)
  const lists: unknown[][] = several ? (value as unknown[][]) : [value.flat() as unknown[]]
  return lists.map((list) => list.map(toNumber))
}

/** Some models put their numbers into quotes. */
function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  const numbers = typeof value === 'string' ? numbersIn(value) : []
  return numbers.length === 1 ? (numbers[0] ?? NaN) : NaN
}

/** Numbers between brackets, commas and spaces; none if there is anything else. */
function numbersIn(text: string): number[] {
  if (!/^[\s\d.,()[\]+-]*$/.test(text)) return []
  return (text.match(/[-+]?(?:\d+\.?\d*|\.\d+)/g) ?? []).map(Number)
}
