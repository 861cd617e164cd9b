/** Text that arrives in pieces and is taken out up to markers, which may be torn over pieces. */
export class TextBuffer {
  #text = ''

  get isEmpty(): boolean {
    return this.#text === ''
  }

  push(text: string): void {
    this.#text += text
  }

  /** Puts back what was taken. */
  unshift(text: string): void {
    this.#text = text + this.#text
  }

  takeAll(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text)
  }

  /** Whether more text could make it start with `marker`. */
  mayStartWith(marker: string): boolean {
    return marker.startsWith(this.#text)
  }

  dropSpace(): void {
    this.#text = this.#text.trimStart()
  }

  /** Everything up to the first of the markers, which is taken too; undefined while none is there. */
  takeUntil(markers: readonly string[]): { readonly before: string; readonly marker: string } | undefined {
    let at = -1
    let found = ''
    for (const marker of markers) {
      const index = this.#text.indexOf(marker)
      if (index >= 0 && (at < 0 || index < at)) [at, found] = [index, marker]
    }
    if (at < 0) return undefined
    const before = this.#text.slice(0, at)
    this.#text = this.#text.slice(at + found.length)
    return { before, marker: found }
  }

  /**
   * What cannot be the beginning of a marker, however the text goes on.
   * @param keepSpace Spaces at the end stay too.
   */
  takeSafe(markers: readonly string[], keepSpace = false): string {
    const text = this.#text
    let end = text.length
    for (const marker of markers) {
      for (let length = Math.min(marker.length - 1, text.length); length > text.length - end; length--) {
        if (text.endsWith(marker.slice(0, length))) end = text.length - length
      }
    }
    if (keepSpace) end = text.slice(0, end).trimEnd().length
    this.#text = text.slice(end)
    return text.slice(0, end)
  }
}
