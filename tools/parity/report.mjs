/** Measured numbers as the Markdown of docs/parity.md, and what is out of tolerance. */

/** What tests hold the package to (test/native). F16 files round their weights to 11 bits: only decisive tokens count. */
export const tolerances = {
  f32: { near: 0.999, cosine: 0.99999, error: 1e-3, logits: 0.9999 },
  f16: { near: 0.999, cosine: 0.999, error: Infinity, logits: 0.999 },
}

const none = '—'

/** Names of what a measured case fails. */
export function failuresOf({ prompt, pixels, embeddings, logits, tokens }, precision) {
  const least = tolerances[precision]
  const failed = {
    prompt: prompt.length > 0,
    pixels: pixels && pixels.near < least.near,
    embeddings: embeddings && (embeddings.cosine < least.cosine || embeddings.error > least.error),
    logits: logits !== undefined && logits < least.logits,
    tokens: tokens && tokens.equal < (precision === 'f32' ? tokens.of : tokens.decisive),
  }
  return Object.keys(failed).filter((name) => failed[name])
}

/**
 * An overview, then a heading and a table for each measured generation:
 * `{ id, name, reference, rows: [{ label, f32, f16, mtmd }] }`; `compared` adds the columns of llama-mtmd-cli.
 */
export function toMarkdown(generations, compared) {
  const sections = generations.map((generation) => sectionOf(generation, compared))
  return [overviewOf(generations, compared), ...sections].join('\n\n')
}

/** Tells how many cases are right. */
function overviewOf(generations, compared) {
  const head = ['Generation', 'Cases', 'In tolerance, F32', 'Same tokens, F32', 'Same tokens, F16']
  if (compared) head.push('Same tokens, llama-mtmd-cli')
  const rows = generations.map(({ name, rows: cases }) => {
    const passed = cases.filter(({ f32 }) => failuresOf(f32, 'f32').length === 0)
    const asked = cases.filter(({ mtmd }) => mtmd)
    const answered = cases.filter(({ f32 }) => f32.tokens)
    const same = (type, among) => {
      const equal = among.filter((row) => isEqual(row[type]))
      return `${equal.length} of ${among.length}`
    }
    const counts = [cases.length, passed.length, same('f32', answered), same('f16', answered)]
    return [name, ...counts, ...(compared ? [same('mtmd', asked)] : [])]
  })
  return tableOf(head, rows)
}

/** All tokens; none of a program that failed. */
export function isEqual({ tokens }) {
  return tokens !== undefined && tokens.equal === tokens.of
}

function sectionOf({ id, name, reference, rows }, compared) {
  const { transformers, torch, pillow } = reference
  const head = ['Case', 'Prompt', 'Pixels', 'Embeddings', 'Error', 'Logits', 'Tokens']
  head.push('F16 embeddings', 'F16 logits', 'F16 tokens')
  if (compared) head.push('mtmd-cli picture tokens', 'mtmd-cli tokens')
  const cells = rows.map(({ label, f32, f16, mtmd }) => [
    label,
    ...cellsOf(f32, 'f32'),
    ...cellsOf(f16, 'f16').filter((_, index) => [2, 4, 5].includes(index)),
    ...(compared ? cellsOfMtmd(mtmd) : []),
  ])
  return [
    `### ${name} (\`${id}\`)`,
    `transformers ${transformers}, PyTorch ${torch}, Pillow ${pillow}.`,
    tableOf(head, cells),
  ].join('\n\n')
}

function tableOf(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** What is out of tolerance is bold. */
function cellsOf(measured, precision) {
  const { prompt, pixels, embeddings, logits, tokens } = measured
  const failed = failuresOf(measured, precision)
  const mark = (name, text) => (failed.includes(name) ? `**${text}**` : text)
  return [
    mark('prompt', prompt.length === 0 ? 'exact' : `differs: ${prompt.join(', ')}`),
    pixels ? mark('pixels', pixelsCell(pixels)) : none,
    embeddings ? mark('embeddings', roundDown(embeddings.cosine, 6)) : none,
    embeddings ? mark('embeddings', embeddings.error.toExponential(0)) : none,
    logits === undefined ? none : mark('logits', roundDown(logits, 6)),
    tokens ? mark('tokens', tokensCell(tokens)) : none,
  ]
}

function cellsOfMtmd(mtmd) {
  if (!mtmd) return [none, none]
  if (mtmd.failure) return [none, '**fails**']
  const { theirs, reference } = mtmd.pictures
  const counts = theirs === reference ? `${theirs}` : `**${theirs}** for ${reference}`
  return [reference === 0 ? none : counts, tokensCell(mtmd.tokens)]
}

function pixelsCell({ same, near }) {
  return same === 1 ? 'identical' : `${percent(same)}, ${percent(near)} ±1`
}

function tokensCell({ equal, of }) {
  return `${equal} of ${of}`
}

/** Never better than it is; rounding of the cosine itself may exceed 1. */
function roundDown(value, digits) {
  return (Math.floor(Math.min(value, 1) * 10 ** digits) / 10 ** digits).toFixed(digits)
}

function percent(share) {
  return `${(Math.floor(share * 1e4) / 100).toFixed(2)} %`
}

/** `text` with what lies between the two marks replaced. */
export function replaceBetween(text, mark, content) {
  const [open, close] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`]
  const from = text.indexOf(open)
  const to = text.indexOf(close)
  if (from < 0 || to < from) throw new Error(`the marks ${open} and ${close} are missing`)
  return `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`
}

/** Generations and cases of a document that toMarkdown made: `{ id: [label, …] }`. */
export function casesOf(text) {
  const sections = text.split(/^### .*\(`(.*)`\)$/m).slice(1)
  const found = {}
  for (let i = 0; i < sections.length; i += 2) {
    found[sections[i]] = [...sections[i + 1].matchAll(/^\| (.*?) +\|/gm)].map(([, label]) => label).slice(2)
  }
  return found
}
