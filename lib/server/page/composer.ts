/** Where a question is made: its text, and pictures and videos that are dropped, pasted, chosen or taken. */
import { photograph } from './camera'
import { byId, element, iconButton } from './dom'
import { readMedium, shownMedium } from './medium'
import type { Medium } from './medium'

export interface Question {
  readonly text: string
  readonly media: readonly Medium[]
}

export class Composer {
  readonly #form = byId('composer', HTMLFormElement)
  readonly #text = byId('question', HTMLTextAreaElement)
  readonly #list = byId('media', HTMLUListElement)
  readonly #files = byId('files', HTMLInputElement)
  readonly #problem = byId('problem', HTMLParagraphElement)
  readonly #sending = byId('send', HTMLButtonElement)
  readonly #stopping = byId('stop', HTMLButtonElement)
  #media: readonly Medium[] = []

  constructor(onSend: (question: Question) => void, onStop: () => void) {
    this.#form.onsubmit = (event) => {
      event.preventDefault()
      this.#send(onSend)
    }
    this.#text.onkeydown = (event) => {
      // While an input method composes a word, Enter belongs to it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      this.#send(onSend)
    }
    this.#stopping.onclick = onStop
    this.#takeMedia()
  }

  /** While an answer comes, the button stops it. */
  set busy(busy: boolean) {
    const focused = document.activeElement
    this.#sending.hidden = busy
    this.#stopping.hidden = !busy
    // A button that vanishes would leave the keyboard nowhere.
    if (focused === this.#sending) this.#stopping.focus()
    if (focused === this.#stopping) this.#text.focus()
  }

  get hasMedia(): boolean {
    return this.#media.length > 0
  }

  set text(text: string) {
    this.#text.value = text
    this.#text.focus()
  }

  /** Gives a question back that got no answer, unless the user has begun another. */
  restore({ text, media }: Question): void {
    if (this.#text.value !== '' || this.hasMedia) return
    this.#text.value = text
    this.#show(media)
  }

  async add(files: ReadonlyArray<{ readonly file: Blob; readonly name: string }>): Promise<void> {
    const read = await Promise.allSettled(files.map(({ file, name }) => readMedium(file, name)))
    this.#show([...this.#media, ...read.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))])
    this.#tell(read.find((one) => one.status === 'rejected')?.reason)
    this.#text.focus()
  }

  #send(onSend: (question: Question) => void): void {
    const text = this.#text.value.trim()
    if (this.#sending.hidden || (text === '' && !this.hasMedia)) return
    const question = { text, media: this.#media }
    this.#text.value = ''
    this.#show([])
    this.#tell(undefined)
    onSend(question)
  }

  #takeMedia(): void {
    byId('attach', HTMLButtonElement).onclick = () => this.#files.click()
    this.#files.onchange = () => {
      void this.#addFiles(this.#files.files)
      this.#files.value = ''
    }
    byId('photograph', HTMLButtonElement).onclick = () => void this.#photograph()
    document.onpaste = (event) => {
      if (event.clipboardData?.files.length) event.preventDefault()
      void this.#addFiles(event.clipboardData?.files)
    }
    let depth = 0
    const dropping = (change: number) => {
      depth = Math.max(0, depth + change)
      document.body.classList.toggle('dropping', depth > 0)
    }
    document.ondragenter = (event) => event.dataTransfer?.types.includes('Files') && dropping(1)
    document.ondragleave = (event) => event.dataTransfer?.types.includes('Files') && dropping(-1)
    document.ondragover = (event) => event.preventDefault()
    document.ondrop = (event) => {
      event.preventDefault()
      dropping(-depth)
      void this.#addFiles(event.dataTransfer?.files)
    }
  }

  async #addFiles(list: FileList | null | undefined): Promise<void> {
    const files = [...(list ?? [])]
    if (files.length > 0) await this.add(files.map((file) => ({ file, name: file.name })))
  }

  async #photograph(): Promise<void> {
    try {
      const taken = await photograph()
      if (taken) await this.add([{ file: taken, name: 'photograph' }])
    } catch (error) {
      this.#tell(error)
    }
  }

  #show(media: readonly Medium[]): void {
    this.#media = media
    this.#list.replaceChildren(
      ...media.map((medium) => {
        const remove = () => this.#show(this.#media.filter((other) => other !== medium))
        return element(
          'li',
          {},
          shownMedium(medium, false),
          iconButton('close', `Remove ${medium.name}`, remove),
        )
      }),
    )
  }

  #tell(problem: unknown): void {
    this.#problem.textContent = problem instanceof Error ? problem.message : ''
  }
}
