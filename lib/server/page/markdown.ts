/** The Markdown that models write, as elements: paragraphs, headings, lists, code. All else stays the text it is. */
import { element } from './dom'

/** Shows a text that grows: blocks that did not change stay as they are, with their selection and scrolling. */
export class MarkdownView {
  readonly element = element('div', { className: 'text' })
  #blocks: readonly string[] = []

  show(text: string): void {
    const blocks = blocksOf(text)
    const same = blocks.findIndex((block, index) => block !== this.#blocks[index])
    const from = same < 0 ? blocks.length : same
    for (const old of [...this.element.children].slice(from)) old.remove()
    this.element.append(...blocks.slice(from).map(elementOf))
    this.#blocks = blocks
  }
}

/** Parts between empty lines, except within a code fence. A text that begins as JSON is one block. */
function blocksOf(text: string): string[] {
  if (/^\s*[[{]/.test(text)) return [`\`\`\`\n${text.trim()}`]
  const blocks: string[][] = [[]]
  let fenced = false
  for (const line of text.split('\n')) {
    const isFence = /^\s*```/.test(line)
    if (!fenced && (isFence || line.trim() === '' || /^#{1,6} /.test(line))) blocks.push([])
    if (fenced || line.trim() !== '') blocks.at(-1)?.push(line)
    if (isFence) fenced = !fenced
    if (!fenced && (isFence || /^#{1,6} /.test(line))) blocks.push([])
  }
  return blocks.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
}

function elementOf(block: string): HTMLElement {
  const code = /^\s*```[^\n]*\n?([^]*?)(?:\n\s*```\s*)?$/.exec(block)
  if (code) return element('pre', {}, element('code', {}, code[1] ?? ''))
  const heading = /^(#{1,6}) (.*)$/.exec(block)
  if (heading) {
    const [, marks = '', title = ''] = heading
    const names = ['h3', 'h4', 'h5', 'h6'] as const
    return element(names[marks.length - 1] ?? 'h6', {}, ...inline(title))
  }
  const lines = block.split('\n')
  if (lines.every((line) => /^\s*[-*] /.test(line))) return listOf('ul', lines, /^\s*[-*] /)
  if (lines.every((line) => /^\s*\d+[.)] /.test(line))) return listOf('ol', lines, /^\s*\d+[.)] /)
  return element('p', {}, ...inline(block))
}

function listOf(name: 'ul' | 'ol', lines: readonly string[], mark: RegExp): HTMLElement {
  return element(name, {}, ...lines.map((line) => element('li', {}, ...inline(line.replace(mark, '')))))
}

/** `code`, **strong**, *emphasis*. */
function inline(text: string): Array<Node | string> {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*|\*[^*\s][^*\n]*\*)/).map((piece, index) => {
    if (index % 2 === 0) return piece
    if (piece.startsWith('`')) return element('code', {}, piece.slice(1, -1))
    return piece.startsWith('**')
      ? element('strong', {}, piece.slice(2, -2))
      : element('em', {}, piece.slice(1, -1))
  })
}
