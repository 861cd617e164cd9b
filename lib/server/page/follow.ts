/** Keeps the end of what grows in view, unless the reader scrolled up. */

/** Nearer to the end than this, in pixels, the reader is at the end. */
const nearEnd = 60

/** @returns a function that goes to the end and stays there */
export function followEnd(scroller: HTMLElement, growing: HTMLElement): () => void {
  let following = true
  const toEnd = () => scroller.scrollTo({ top: scroller.scrollHeight })
  scroller.addEventListener('scroll', () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < nearEnd
  })
  const observer = new ResizeObserver(() => {
    if (following) toEnd()
  })
  observer.observe(growing)
  observer.observe(scroller)
  return () => {
    following = true
    toEnd()
  }
}
