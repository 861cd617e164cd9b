/** One status line: rewritten in place on a terminal, printed now and then elsewhere (CI logs). */
const QUIET_MS = 30_000

/** Seconds as `m:ss`. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/**
 * Starts a status line named `title`. `update(detail)` shows where it stands; `done(detail)` and
 * `fail(detail)` end it. The elapsed time is added to every line.
 */
export function progress(title, out = process.stderr) {
  const start = Date.now()
  let detail = ''
  let printed = -QUIET_MS
  const elapsed = () => clock((Date.now() - start) / 1000)
  const line = (text) => `qwenvl-native: ${title}${text ? ` · ${text}` : ''} · ${elapsed()}`
  const show = () => {
    if (out.isTTY) out.write(`\r\x1b[K${line(detail).slice(0, (out.columns || 80) - 1)}`)
    else if (Date.now() - start - printed >= QUIET_MS) {
      printed = Date.now() - start
      out.write(`${line(detail)}\n`)
    }
  }
  const end = (text) => {
    clearInterval(timer)
    out.write(`${out.isTTY ? '\r\x1b[K' : ''}${line(text)}\n`)
  }
  const timer = setInterval(show, out.isTTY ? 1000 : QUIET_MS)
  timer.unref()
  show()
  return {
    update(text) {
      detail = text
      show()
    },
    done: (text = 'done') => end(text),
    fail: (text = 'failed') => end(text),
  }
}
