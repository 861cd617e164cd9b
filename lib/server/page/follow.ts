/** Keeps the end of what grows in view, unless the reader scrolled up. */

/** Nearer to the end than this, in pixels, the reader is at the end. */
const nearEnd = 60

/** @returns a function that goes to the end and stays there */
export function followEnd(scroller: HTMLElement, growing: HTMLElement): () => void {
  let following = true
  let last = 0
  const toEnd = () => {
    scroller.scrollTo({ top: scroller.scrollHeight })
    last = scroller.scrollTop
  }
  scroller.addEventListener('scroll', () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller
    if (scrollHeight - scrollTop - clientHeight < nearEnd) following = true
    else if (scrollTop < last) following = false // not by what has grown since we went to the end
    last = scrollTop
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
