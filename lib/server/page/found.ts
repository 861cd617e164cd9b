/** A picture with what an answer points at, drawn over it. Marks keep their place at any size of the picture. */
import { colourOf } from '../../grounding/overlay'
import type { GroundingItem } from '../../grounding/item'
import { drawing, element } from './dom'
import type { Picture } from './medium'

/** More labels would hide the picture: then they show under the pointer. */
const manyMarks = 12

export class FoundPicture {
  readonly element: HTMLElement
  readonly #picture: Picture
  readonly #labels: string[] = []
  #count = 0

  constructor(picture: Picture) {
    this.#picture = picture
    this.element = element(
      'figure',
      { className: 'found' },
      element('img', { src: picture.url, alt: picture.name }),
    )
  }

  /** Of an answer that grew: what was shown stays, what is new is added. */
  show(items: readonly GroundingItem[]): void {
    for (const item of items.slice(this.#count)) this.element.append(this.#mark(item))
    this.#count = Math.max(this.#count, items.length)
    this.element.classList.toggle('many', this.#count > manyMarks)
  }

  #mark(item: GroundingItem): HTMLElement {
    const { width, height } = this.#picture
    const { x1, y1, x2, y2 } = boundsOf(item)
    const mark = element('div', { className: `mark ${item.kind}` })
    mark.style.setProperty('--colour', this.#colourOf(item.label ?? ''))
    mark.style.left = percent(x1 / width)
    mark.style.top = percent(y1 / height)
    if (item.kind !== 'point') {
      mark.style.width = percent((x2 - x1) / width)
      mark.style.height = percent((y2 - y1) / height)
    }
    if (item.kind === 'quad') {
      const svg = drawing('svg', {
        viewBox: `${x1} ${y1} ${x2 - x1} ${y2 - y1}`,
        preserveAspectRatio: 'none',
      })
      const points = item.quad.map(({ x, y }) => `${x},${y}`).join(' ')
      svg.append(drawing('polygon', { points, 'vector-effect': 'non-scaling-stroke' }))
      mark.append(svg)
    }
    if (item.label !== undefined) mark.append(element('span', { title: item.label }, item.label))
    mark.classList.toggle('inside', y1 / height < 0.1)
    mark.classList.toggle('leftward', x1 / width > 0.6)
    return mark
  }

  /** Things of one label have one colour. */
  #colourOf(label: string): string {
    if (!this.#labels.includes(label)) this.#labels.push(label)
    return colourOf(this.#labels.indexOf(label))
  }
}

function boundsOf(item: GroundingItem) {
  switch (item.kind) {
    case 'box':
      return item.box
    case 'point':
      return { x1: item.point.x + 0.5, y1: item.point.y + 0.5, x2: item.point.x, y2: item.point.y }
    case 'quad': {
      const [xs, ys] = [item.quad.map(({ x }) => x), item.quad.map(({ y }) => y)]
      return { x1: Math.min(...xs), y1: Math.min(...ys), x2: Math.max(...xs), y2: Math.max(...ys) }
    }
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(4)}%`
}
