/** The built-in model as a user meets it: programs that name no model, on a picture that this test draws. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { temporaryFolder } from '../support/errors'
import { cli, root, run } from './program'
import type { Ended } from './program'

const folder = temporaryFolder()
const picture = () => join(folder.path, 'shapes.png')
const ring = { x: 92, y: 120, radius: 34 }

const threadsOnOneCore = `
  const { execFileSync } = require('node:child_process')
  const info = execFileSync('taskset', ['-c', '0', process.execPath, ${JSON.stringify(cli)}, 'info', '--json'])
  console.log(JSON.parse(info).model.threads)`

/** A blue ring on the left, a red square on the right. */
beforeAll(async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" fill="#e6ebee"/>' +
    `<circle cx="${ring.x}" cy="${ring.y}" r="${ring.radius - 8}" fill="none" stroke="#2050d6" stroke-width="16"/>` +
    '<rect x="196" y="90" width="62" height="62" fill="#d62226"/></svg>'
  mkdirSync(folder.path, { recursive: true })
  writeFileSync(picture(), await sharp(Buffer.from(svg)).png().toBuffer())
})

/** Without a model in the environment; the answer to standard output. */
async function qwenvl(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr }: Ended = await run([cli, ...args], { env: {}, cwd: folder.path, input })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

test.each([
  ['What colour is the square?', 'Red.'],
  ['What shape is blue?', 'A ring.'],
  ['How many shapes are there?', '2'],
  ['Is there a star?', 'No.'],
  ['正方形是什么颜色？', '红色。'],
])('ask: %s %s', async (question, answer) => {
  expect(await qwenvl(['ask', picture(), '-q', question])).toBe(`${answer}\n`)
})

test('chat: /draw puts the box around the ring', async () => {
  await qwenvl(['chat', picture()], 'Find the blue ring.\n/draw boxes.png\n')
  const pixels = (file: string) => sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const [before, after] = [await pixels(picture()), await pixels(join(folder.path, 'boxes.png'))]
  const changed: { x: number; y: number }[] = []
  for (let index = 0; index < before.data.length; index += 3) {
    if (before.data.readUIntBE(index, 3) !== after.data.readUIntBE(index, 3)) {
      const at = index / 3
      changed.push({ x: at % before.info.width, y: Math.floor(at / before.info.width) })
    }
  }
  // The frame lies around the ring; its label may stick out above or to the right.
  const lowest = Math.max(...changed.map(({ y }) => y))
  const leftmost = Math.min(...changed.map(({ x }) => x))
  expect(Math.abs(lowest - (ring.y + ring.radius))).toBeLessThan(20)
  expect(Math.abs(leftmost - (ring.x - ring.radius))).toBeLessThan(20)
})

test('doctor asks it for its self test', async () => {
  expect(await qwenvl(['doctor'])).toMatch(/^ok +self test +.*colour of a red circle it answered "Red\."$/m)
})

test('info, estimate and embed take it too', async () => {
  expect(await qwenvl(['info'])).toMatch(/Qwen3-VL/)
  expect(await qwenvl(['estimate'])).toMatch(/model\.gguf/)
  const embedded = await qwenvl(['embed', picture(), '--out', 'shapes.f32', '--json'])
  expect(JSON.parse(embedded)).toMatchObject({ grid: { t: 1 } })
})

test('a program loads it without arguments, from any folder', async () => {
  const program = `
    const { QwenVL, image, user } = require(${JSON.stringify(join(root, 'dist'))})
    QwenVL.load().then(async (vl) => {
      const { text } = await vl.chat([user(image(${JSON.stringify(picture())}), 'What colour is the ring?')])
      console.log(text)
      await vl.dispose()
    })`
  expect((await run(['-e', program], { env: {}, cwd: folder.path })).stdout).toBe('Blue.\n')
})

if (process.platform === 'linux') {
  test('computes with as many threads as this process may use cores', async () => {
    const { stdout } = await run(['-e', threadsOnOneCore], { env: {} })
    expect(stdout).toBe('1\n')
  })
}
