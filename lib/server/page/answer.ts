/** One answer on the page while it comes: thought, text, pictures with what was found in them, timings. */
import { parseGrounding } from '../../grounding/parse'
import type { GroundedAnswer } from '../../grounding/parse'
import type { Model, News } from './api'
import { element, icon, iconButton } from './dom'
import { FoundPicture } from './found'
import { MarkdownView } from './markdown'
import type { Medium, Picture } from './medium'

export class AnswerView {
  readonly element = element('div', { className: 'answer', ariaBusy: 'true' })
  readonly #body = new MarkdownView()
  readonly #thought = element('p')
  readonly #thinking = element('details', { className: 'thought', hidden: true })
  readonly #foot = element('footer')
  readonly #model: Model
  /** "picture", "picture and video". */
  readonly #kinds: string
  /** All of the conversation: a model may point into an earlier one. */
  readonly #pictures: readonly Picture[]
  #images: GroundedAnswer['images'] = []
  readonly #found = new Map<number, FoundPicture>()
  readonly #asked = performance.now()
  #firstMs: number | undefined
  #lastMs = 0
  #tokens = 0
  #timings: News['timings']
  #finish: string | undefined
  #text = ''
  #frame = 0

  constructor(model: Model, media: readonly Medium[]) {
    this.#model = model
    this.#pictures = media.filter((medium) => medium.kind === 'picture')
    this.#kinds = [...new Set(media.map(({ kind }) => kind))].join(' and ')
    this.#thinking.append(element('summary', {}, 'Thought'), this.#thought)
    this.element.append(this.#thinking, this.#body.element, this.#foot)
    this.#foot.append(media.length > 0 ? 'Looking …' : 'Reading …')
  }

  get text(): string {
    return this.#text
  }

  push({ text, thought, finish, usage, images, timings }: News): void {
    if (text !== '' || thought !== '') {
      this.#lastMs = performance.now() - this.#asked
      this.#firstMs ??= this.#lastMs
      this.#tokens++
    }
    this.#text += text
    this.#thought.textContent += thought
    this.#finish = finish ?? this.#finish
    this.#tokens = usage?.completion_tokens ?? this.#tokens
    this.#timings = timings ?? this.#timings
    if (images) {
      this.#images = this.#pictures.map((original, index) => ({
        original,
        processed: images[index]?.processed,
      }))
    }
    // Several pieces in one frame of the screen are drawn once.
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw())
  }

  /** @param problem what ended the answer before its end */
  end(problem?: string): void {
    cancelAnimationFrame(this.#frame)
    this.#draw()
    this.element.ariaBusy = 'false'
    if (problem !== undefined) this.element.insertBefore(problemView(problem), this.#foot)
    this.#foot.replaceChildren()
    // Browsers give the clipboard only to pages of this machine and to https.
    if (this.#text !== '' && 'clipboard' in navigator) this.#foot.append(this.#copyButton())
    this.#foot.append(...this.#figures().map((figure) => element('span', {}, figure)))
  }

  #draw(): void {
    this.#frame = 0
    this.#thinking.hidden = this.#thought.textContent === ''
    this.#body.show(this.#text)
    if (this.#firstMs !== undefined && this.element.ariaBusy === 'true')
      this.#foot.textContent = this.#speed()
    const { generation } = this.#model
    const items = parseGrounding({ text: this.#text, images: this.#images }, { generation })
    for (const [index, all] of Map.groupBy(items, ({ imageIndex }) => imageIndex))
      this.#foundIn(index)?.show(all)
  }

  #foundIn(index: number): FoundPicture | undefined {
    const picture = this.#pictures[index]
    if (!picture) return undefined
    const known = this.#found.get(index)
    if (known) return known
    const made = new FoundPicture(picture)
    this.#found.set(index, made)
    this.element.insertBefore(made.element, this.#body.element)
    return made
  }

  #copyButton(): HTMLButtonElement {
    const button = iconButton('copy', 'Copy the answer', () => {
      void navigator.clipboard.writeText(this.#text).then(() => button.replaceChildren(icon('done')))
    })
    return button
  }

  #figures(): string[] {
    if (this.#firstMs === undefined) return []
    const encodeMs = this.#timings?.encode_ms ?? 0
    return [
      ...(encodeMs > 0 ? [`${this.#kinds} encoded in ${duration(encodeMs)}`] : []),
      `first token after ${duration(this.#firstMs)}`,
      this.#speed(),
      `${this.#tokens} ${this.#tokens === 1 ? 'token' : 'tokens'}`,
      ...(this.#finish === 'length' ? ['cut off at the most tokens'] : []),
    ]
  }

  /** The server's own count where it tells; the first token belongs to the prompt. */
  #speed(): string {
    const ms = this.#timings?.generate_ms ?? this.#lastMs - (this.#firstMs ?? 0)
    const tokens = this.#tokens - 1
    return ms > 0 && tokens > 0 ? `${((tokens / ms) * 1000).toFixed(1)} tokens/s` : '… tokens/s'
  }
}

/** What went wrong. */
export function problemView(message: string): HTMLElement {
  return element('div', { className: 'error', role: 'alert' }, icon('error'), element('span', {}, message))
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}
