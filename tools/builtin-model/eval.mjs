// Held-out questions to the built-in model through the package: part of right answers by task, boxes, agreement with
// transformers, and whether unrelated questions end.
//
//   npm run eval:builtin -- [<folder of cases.py> [<model.gguf> <mmproj.gguf>]] [--show | --json]
//
// Without arguments: the model that is shipped, on the held-out pictures of test/fixtures/builtin.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { QwenVL, image, parseGrounding, user } from 'qwenvl-native'

const committed = fileURLToPath(new URL('../../test/fixtures/builtin', import.meta.url))
const MOST_TOKENS = 256
const RANDOM_LIMIT = 128

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
  const [folder = committed, model, mmproj] = words
  const vl = await QwenVL.load({ model, mmproj })
  const results = await evaluate(vl, folder, process.argv.includes('--show') ? console.log : () => undefined)
  await vl.dispose()
  console.log(process.argv.includes('--json') ? JSON.stringify(figures(results)) : table(results))
}

/** Asks all cases. Each result: { task, right, agreed, ended, iou?, length? }. */
export async function evaluate(vl, folder, show = () => undefined) {
  const { cases, prompts } = JSON.parse(await readFile(join(folder, 'cases.json'), 'utf8'))
  const results = []
  for (const { task, pictures, messages, answer, transformers } of cases) {
    const sources = pictures.map((name) => join(folder, name))
    const got = await vl.chat(withPictures(messages, sources), { temperature: 0, maxTokens: MOST_TOKENS })
    const result = { task, right: got.text === answer, ended: got.finishReason === 'stop' }
    if (transformers !== undefined) result.agreed = got.text === transformers
    const [wanted, ...others] = parseGrounding({ ...got, text: answer }, vl.info)
    if (task === 'find' && wanted && others.length === 0) result.iou = overlap(wanted, parseGrounding(got, vl.info)[0])
    if (task === 'read') result.length = answer.length
    results.push(result)
    if (!result.right) show(`${task}: ${messages.at(-1).content.at(-1).text} → ${got.text} (right: ${answer}) ${pictures}`)
  }
  const [first] = cases
  for (const [index, prompt] of prompts.entries()) {
    const parts = index % 2 ? [image(join(folder, first.pictures[0])), prompt] : [prompt]
    const { finishReason } = await vl.chat([user(...parts)], { temperature: 0, maxTokens: RANDOM_LIMIT })
    results.push({ task: 'unrelated', ended: finishReason === 'stop' })
  }
  return results
}

/** The figures that the model is judged by: name, value from 0 to 1, number of answers. */
export function figures(results) {
  const of = (...tasks) => results.filter(({ task }) => tasks.includes(task))
  const part = (list, good) => ({ value: list.filter(good).length / list.length, count: list.length })
  const right = ({ right }) => right
  const boxes = results.filter(({ iou }) => iou !== undefined)
  const asked = results.filter(({ agreed }) => agreed !== undefined)
  return {
    'colour and shape': part(of('colour', 'shape', 'and_colour', 'and_other'), right),
    'yes or no': part(of('exists'), right),
    count: part(of('count'), right),
    'box of one thing, mean IoU': { value: boxes.reduce((sum, { iou }) => sum + iou, 0) / boxes.length, count: boxes.length },
    'printed words up to 6 characters': part(of('read').filter(({ length }) => length <= 6), right),
    movement: part(of('movement'), right),
    'same answer as transformers F32': part(asked, ({ agreed }) => agreed),
    'unrelated questions end by themselves': part(of('unrelated'), ({ ended }) => ended),
  }
}

/** Lines for people: the figures, then every task. */
export function table(results) {
  const line = (name, value, count) => `${name.padEnd(40)} ${(100 * value).toFixed(1).padStart(5)} %  of ${count}`
  const lines = Object.entries(figures(results)).map(([name, { value, count }]) => line(name, value, count))
  const tasks = [...new Set(results.filter(({ right }) => right !== undefined).map(({ task }) => task))]
  const each = tasks.map((task) => {
    const list = results.filter((result) => result.task === task)
    return line(`  ${task}, word for word`, list.filter(({ right }) => right).length / list.length, list.length)
  })
  return [...lines, ...each].join('\n')
}

function overlap(wanted, found) {
  if (found?.kind !== 'box') return 0
  const a = wanted.box
  const b = found.box
  const width = Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1))
  const height = Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1))
  const area = ({ x1, y1, x2, y2 }) => (x2 - x1) * (y2 - y1)
  return (width * height) / (area(a) + area(b) - width * height)
}

function withPictures(messages, files) {
  const left = [...files]
  const parts = (content) => content.map((part) => (part.type === 'image' ? image(left.shift()) : part))
  return messages.map(({ role, content }) => ({ role, content: typeof content === 'string' ? content : parts(content) }))
}
