/** Where a question is made: its text, and pictures that are dropped, pasted, chosen or taken. */
import { photograph } from './camera'
import { byId, element, iconButton } from './dom'
import { readPicture } from './picture'
import type { Picture } from './picture'

export interface Question {
  readonly text: string
  readonly pictures: readonly Picture[]
}

export class Composer {
  readonly #form = byId('composer', HTMLFormElement)
  readonly #text = byId('question', HTMLTextAreaElement)
  readonly #list = byId('pictures', HTMLUListElement)
  readonly #files = byId('files', HTMLInputElement)
  readonly #problem = byId('problem', HTMLParagraphElement)
  readonly #sending = byId('send', HTMLButtonElement)
  readonly #stopping = byId('stop', HTMLButtonElement)
  #pictures: readonly Picture[] = []

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
    this.#takePictures()
  }

  /** While an answer comes, the button stops it. */
  set busy(busy: boolean) {
    this.#sending.hidden = busy
    this.#stopping.hidden = !busy
  }

  get hasPictures(): boolean {
    return this.#pictures.length > 0
  }

  set text(text: string) {
    this.#text.value = text
    this.#text.focus()
  }

  /** Gives a question back that got no answer, unless the user has begun another. */
  restore({ text, pictures }: Question): void {
    if (this.#text.value !== '' || this.hasPictures) return
    this.#text.value = text
    this.#show(pictures)
  }

  async add(files: ReadonlyArray<{ readonly file: Blob; readonly name: string }>): Promise<void> {
    const read = await Promise.allSettled(files.map(({ file, name }) => readPicture(file, name)))
    this.#show([...this.#pictures, ...read.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))])
    this.#tell(read.find((one) => one.status === 'rejected')?.reason)
    this.#text.focus()
  }

  #send(onSend: (question: Question) => void): void {
    const text = this.#text.value.trim()
    if (this.#sending.hidden || (text === '' && !this.hasPictures)) return
    const question = { text, pictures: this.#pictures }
    this.#text.value = ''
    this.#show([])
    this.#tell(undefined)
    onSend(question)
  }

  #takePictures(): void {
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

  #show(pictures: readonly Picture[]): void {
    this.#pictures = pictures
    this.#list.replaceChildren(
      ...pictures.map((picture) => {
        const remove = () => this.#show(this.#pictures.filter((other) => other !== picture))
        return element(
          'li',
          {},
          element('img', { src: picture.url, alt: picture.name }),
          iconButton('close', `Remove ${picture.name}`, remove),
        )
      }),
    )
  }

  #tell(problem: unknown): void {
    this.#problem.textContent = problem instanceof Error ? problem.message : ''
  }
}
