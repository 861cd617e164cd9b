/** `chat` as it is shipped: from a pipe, and in a pseudo-terminal of the system. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { QwenVL, image } from '../../lib'
import type { GenerationResult, Message } from '../../lib'
import { temporaryFolder } from '../support/errors'
import { cli, fixture, run, terminal as open, withModel } from './program'

const folder = temporaryFolder()
const scene = fixture('images/scene.png')
const short = ['--max-tokens', '4', '--temperature', '0']

/** What a pipe gets for these lines. */
const talk = (lines: readonly string[], ...args: string[]) =>
  run([cli, 'chat', ...short, ...args], { input: `${lines.join('\n')}\n`, cwd: folder.path })

describe('from a pipe', () => {
  test('answers line by line, as a chat of the library does', async () => {
    const { code, stdout, stderr } = await talk(['Hello', '', `${scene} What is this?`, 'And now?'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })

    await using vl = await QwenVL.load({
      model: withModel.QWENVL_MODEL,
      mmproj: withModel.QWENVL_MMPROJ,
      threads: 1,
    })
    const chat = vl.createChat({ maxTokens: 4, temperature: 0 })
    const answers = [
      await chat.send('Hello'),
      await chat.send(image(scene), 'What is this?'),
      await chat.send('And now?'),
    ]
    expect(stdout).toBe(answers.map(({ text }) => `${text}\n`).join(''))
  })

  test('takes pictures, a message of several lines, and saves what another chat goes on with', async () => {
    const lines = [
      '/image "' + scene + '"',
      'What is this?',
      '"""One',
      'Two',
      '"""',
      '/save talk.json',
      '/exit',
      'Late',
    ]
    const { code, stdout } = await talk(lines, '--system', 'Be brief.', '--json')
    expect(code).toBe(0)
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told).toEqual([
      [expect.objectContaining({ image: scene, tokens: 70 })],
      expect.objectContaining({
        text: expect.any(String),
        images: [expect.objectContaining({ tokens: 70 })],
      }),
      expect.objectContaining({ text: expect.any(String) }),
      { saved: 'talk.json', messages: 5 },
    ])
    const saved = JSON.parse(readFileSync(join(folder.path, 'talk.json'), 'utf8')) as Message[]
    expect(saved.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant'])
    expect(saved[3]?.content).toEqual([{ type: 'text', text: 'One\nTwo' }])

    const more = await talk(['And now?'], '--load', 'talk.json', '--json')
    const { images, usage } = JSON.parse(more.stdout) as GenerationResult
    expect(images).toHaveLength(1)
    expect(usage.promptTokens).toBeGreaterThan(70)
  })

  test('begins with the pictures of its arguments, and anew with /clear', async () => {
    const { stdout } = await run([cli, 'chat', scene, ...short, '--json'], {
      input: 'What?\n/clear\nWhat?\n',
    })
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { images?: unknown[] })
    expect(lines.map(({ images }) => images?.length)).toEqual([undefined, 1, undefined, 0])
  })

  test.each<[string, readonly string[], readonly string[], RegExp]>([
    ['an unknown command', ['/nope'], [], /There is no \/nope\. \/help/],
    ['a missing picture', ['/image absent.png'], [], /absent\.png/],
    ['no picture named', ['/image'], [], /Name a file: \/image dog\.jpg/],
    [
      'a missing picture in a message',
      ['absent.png What is this?'],
      [],
      /no picture 'absent\.png'.*backquotes/,
    ],
    ['no picture to draw on', ['Hello', '/draw'], [], /no picture to draw on yet/],
    ['nothing to draw', [`${scene} What?`, '/draw'], [], /no boxes or points.*bbox/],
    ['another ending', ['/draw x.bmp'], [], /\.png, \.jpg or \.webp/],
    ['nothing answered', ['/stats'], [], /no answer yet/],
    ['no conversation', [], ['--load', 'absent.json'], /absent\.json is no conversation/],
  ])('an error is one line and the end: %s', async (_, lines, args, expected) => {
    const { code, stderr } = await talk([...lines, 'Hello'], ...args)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: [^\n]+\n$/)
    expect(stderr).toMatch(expected)
  })
})

// util-linux gives a program a terminal; elsewhere `script` takes other arguments.
const inLinux = process.platform === 'linux' ? describe : describe.skip
inLinux('in a terminal', () => {
  test('prompts, goes on after errors and Ctrl-C, and ends with Ctrl-D', async () => {
    const terminal = open([
      'chat',
      '--temperature',
      '0',
      '--max-tokens',
      '1000000',
      '--context-size',
      '32768',
    ])
    await terminal.shows('Type /help')
    await terminal.shows('> ')

    terminal.type('/help\r')
    await terminal.shows('/draw [file]')
    await terminal.shows('> ')
    terminal.type('/nope\r')
    await terminal.shows('error: There is no /nope')
    await terminal.shows('> ')

    terminal.type(`${scene} What is in this picture?\r`)
    await terminal.shows('211×158 → ')
    await terminal.answers()
    terminal.type('\x03')
    await terminal.shows('(stopped; this question is forgotten)')
    await terminal.shows('> ')

    terminal.type('/sa\t')
    await terminal.shows('/save')
    terminal.type(` ${join(folder.path, 'forgotten.json')}\r`)
    await terminal.shows('0 messages are in')
    terminal.type('\x04')
    expect(await terminal.ended).toBe(0)
  })

  test('Ctrl-C at the prompt ends it, exit code 130', async () => {
    const terminal = open(['chat'])
    await terminal.shows('> ')
    terminal.type('\x03')
    expect(await terminal.ended).toBe(130)
  })
})
