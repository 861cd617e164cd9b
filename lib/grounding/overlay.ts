/** Boxes, points, quads and labels as an SVG picture that is laid over the original. Pure. */
import type { Size } from '../media/geometry'
import type { GroundingShape, Point } from './item'

/** A shape to draw; what `parseGrounding` gives, or made by hand. */
export type Drawable = GroundingShape & { readonly label?: string | undefined }

/** Longer labels are cut: they would hide the picture. */
const longestLabel = 60

/** Families with Chinese, Japanese and Korean first by system, then whatever the system takes for the characters. */
const fonts = "'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Zen Hei', sans-serif"

/** An SVG document of the picture's size. Things of one label have one colour, different labels different ones. */
export function drawOverlay(items: readonly Drawable[], { width, height }: Size): string {
  const fontSize = Math.max(12, Math.round(Math.sqrt(width * height) / 40))
  const line = Math.max(1, Math.round(fontSize / 6))
  const labels = [...new Set(items.map(({ label = '' }) => label))]
  const order = new Map(labels.map((label, index) => [label, index]))
  const colours = items.map(({ label = '' }) => colourOf(order.get(label) ?? 0))
  const outlines = items.map((item, index) => outline(item, colours[index] ?? '', line, fontSize))
  // Labels come last: no line crosses them.
  const texts = items.map((item, index) => caption(item, colours[index] ?? '', fontSize, width))
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<g fill="none" stroke-linejoin="round">${outlines.join('')}</g>` +
    `<g font-family="${fonts}" font-size="${fontSize}" font-weight="bold" fill="#fff" ` +
    `stroke-width="${fontSize / 3}" stroke-linejoin="round" paint-order="stroke">${texts.join('')}</g></svg>`
  )
}

/** Steps of the golden angle: however many there are, no two are alike. Dark enough for white letters. */
export function colourOf(index: number): string {
  return `hsl(${((index * 137.508) % 360).toFixed(1)}, 90%, 38%)`
}

/** A light line under the coloured one keeps it visible on any ground. */
function outline(item: GroundingShape, colour: string, line: number, fontSize: number): string {
  if (item.kind === 'point') {
    const { x, y } = centre(item.point)
    return (
      `<circle cx="${x}" cy="${y}" r="${fontSize / 2}" fill="${colour}" stroke="#fff" ` +
      `stroke-width="${line}"/>`
    )
  }
  const corners = cornersOf(item).map(({ x, y }) => `${x},${y}`)
  const path = `<polygon points="${corners.join(' ')}"`
  return (
    `${path} stroke="#fff" stroke-opacity="0.6" stroke-width="${line * 2}"/>` +
    `${path} stroke="${colour}" stroke-width="${line}"/>`
  )
}

/** Above the shape, or below its upper edge where the picture ends; from the side that has more room. */
function caption(item: Drawable, colour: string, fontSize: number, width: number): string {
  const text = readable(item.label ?? '')
  if (text === '') return ''
  const corners = cornersOf(item)
  const [left, right] = [Math.min(...corners.map(({ x }) => x)), Math.max(...corners.map(({ x }) => x))]
  const [gap, top] = [fontSize / 4, Math.min(...corners.map(({ y }) => y))]
  const above = item.kind === 'point' ? top - fontSize / 2 - gap : top - gap
  const y = above > fontSize ? above : top + fontSize * (item.kind === 'point' ? 1.6 : 1.2)
  const fromRight = left > width / 2
  return (
    `<text x="${fromRight ? right - gap : left + gap}" y="${y}" stroke="${colour}"` +
    `${fromRight ? ' text-anchor="end"' : ''}>${escapeXml(text)}</text>`
  )
}

function cornersOf(item: GroundingShape): readonly Point[] {
  switch (item.kind) {
    case 'point':
      return [item.point]
    case 'quad':
      return item.quad
    case 'box': {
      const { x1, y1, x2, y2 } = item.box
      return [
        { x: x1, y: y1 },
        { x: x2, y: y1 },
        { x: x2, y: y2 },
        { x: x1, y: y2 },
      ]
    }
  }
}

/** A point names a pixel, and pixels have an extent. */
function centre({ x, y }: Point): Point {
  return { x: x + 0.5, y: y + 0.5 }
}

/** One line, of characters that XML can hold. */
function readable(label: string): string {
  const clean = label
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Cs}\p{Bidi_Control}\uFFFE\uFFFF]/gu, '')
    .trim()
  const letters = [...clean]
  return letters.length > longestLabel ? `${letters.slice(0, longestLabel - 1).join('')}…` : clean
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? '')
}
