/** The web page of a running server, used in a real Chromium as a person uses it. */
import { readFileSync } from 'node:fs'
import type { Browser, BrowserContext, Page, Request } from 'playwright-core'
import { compare, startBrowser } from '../../support/browser'
import { picture } from '../../support/fixtures'
import { fixture } from '../program'
import { startServing } from './serving'
import type { Serving } from './serving'

let server: Serving
let browser: Browser
let context: BrowserContext
let page: Page
/** What the browser complained of, and where it went. */
let complaints: string[]
let requests: string[]

beforeAll(async () => {
  server = await startServing(['--model-name', 'tiny', '--threads', '1'])
  browser = await startBrowser()
})
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

beforeEach(() => visit(server.url))
afterEach(async () => {
  await context.close()
  expect(complaints.filter((text) => !text.includes('Failed to load resource'))).toEqual([])
  expect(requests.filter((url) => !/^((blob:)?http:\/\/127\.0\.0\.1:\d+\/|data:)/.test(url))).toEqual([])
})

async function visit(url: string): Promise<void> {
  context = await browser.newContext({
    viewport: { width: 1000, height: 900 },
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  page = await context.newPage()
  page.setDefaultTimeout(20_000)
  complaints = []
  requests = []
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => requests.push(request.url()))
  await page.goto(url)
}

/** JSON schemas make a model of random weights answer what a test needs: a box somewhere, or hundreds of tokens. */
const range = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })
const boxOf = (label: object) => ({
  type: 'object',
  properties: {
    bbox_2d: {
      type: 'array',
      prefixItems: [range(100, 300), range(150, 350), range(600, 900), range(500, 800)],
      minItems: 4,
      maxItems: 4,
    },
    ...label,
  },
  required: ['bbox_2d', ...Object.keys(label)],
})
const oneBox = boxOf({})
const twoBoxes = { type: 'array', items: boxOf({ label: { enum: ['circle'] } }), minItems: 2, maxItems: 2 }
const long = { type: 'array', items: range(100, 999), minItems: 400, maxItems: 400 }

/** Fills in settings and closes them. */
async function set(fields: Readonly<Record<string, string | object>>): Promise<void> {
  await page.click('#configure')
  for (const [name, value] of Object.entries(fields)) {
    await page.fill(`#settings [name=${name}]`, typeof value === 'string' ? value : JSON.stringify(value))
  }
  await page.click('#settings [type=submit]')
}

async function addPictures(...names: string[]): Promise<void> {
  await page.setInputFiles('#files', names.map(picture))
  await page
    .locator('#media img')
    .nth(names.length - 1)
    .waitFor()
}

/** Asks, and waits for the end of the answer. */
async function ask(text: string): Promise<string> {
  await page.fill('#question', text)
  await page.keyboard.press('Enter')
  return ended()
}

async function ended(): Promise<string> {
  await page.waitForSelector('.turn:last-child .answer[aria-busy=false]')
  return page.locator('.turn:last-child .text').innerText()
}

test('tells the model, and lets the page load nothing from elsewhere', async () => {
  await page.locator('#model', { hasText: 'tiny' }).waitFor()
  const policy = (await page.goto(server.url))?.headers()['content-security-policy']
  expect(policy).toMatch(/default-src 'none'/)
  expect(policy).not.toMatch(/unsafe|\*/)
})

/** Everything that is drawn over the picture of the latest answer, without labels, has the edges of this box. */
async function expectDrawn(box: readonly number[]): Promise<void> {
  const shown = await page.locator('.found img').boundingBox()
  if (!shown) throw new Error('The picture is not shown.')
  const expected = box.map((value, index) =>
    index % 2 === 0 ? shown.x + (value / 1000) * shown.width : shown.y + (value / 1000) * shown.height,
  )
  await page.locator('.mark').evaluate((mark) => mark.replaceChildren())
  const withBox = await page.screenshot()
  await page.locator('.mark').evaluate((mark) => (mark.style.visibility = 'hidden'))
  const { edges, differs } = await compare(withBox, await page.screenshot())

  // A pixel of the picture may be several of the screen, and a fine light line runs around the box.
  const tolerance = 2 + shown.width / 160
  for (const [index, edge] of edges.entries())
    expect(Math.abs(edge - (expected[index] ?? 0))).toBeLessThan(tolerance)
  const [x1, y1, x2, y2] = edges
  expect([differs(x1 + 2, (y1 + y2) / 2), differs((x1 + x2) / 2, y2 - 2)]).toEqual([true, true])
  expect(differs((x1 + x2) / 2, (y1 + y2) / 2)).toBe(false)
}

test('a box of the answer is drawn over its place in the picture', async () => {
  await set({ schema: oneBox, temperature: '0' })
  await addPictures('wide.png')
  const { bbox_2d: box } = JSON.parse(await ask('Locate the circle.')) as { bbox_2d: number[] }
  await expectDrawn(box)
})

test('so is what the built-in model finds in the sample picture', async () => {
  const other = await startServing(['--threads', '1'], {})
  await context.close()
  await visit(other.url)
  await page.evaluate(() => {
    let state = 79190 // the sample of the picture in README.md
    Math.random = () => (state = (state * 16807) % 2147483647) / 2147483647
  })
  await page.click('#sample')
  await page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>('#question')?.value !== '')
  await page.keyboard.press('Enter')
  const [found] = JSON.parse(await ended()) as Array<{ bbox_2d: number[]; label: string }>
  const thing = /Find the (.*)\./.exec(await page.locator('.asked').innerText())?.[1]
  expect(found?.label).toBe(thing)
  expect(await page.locator('.mark span').innerText()).toBe(thing)
  await expectDrawn(found?.bbox_2d ?? [])
  await other.stop()
})

test('several boxes have their labels, and appear while the answer comes', async () => {
  await page.evaluate(() => {
    const log: string[] = []
    Object.assign(window, { log })
    new MutationObserver(() => {
      const busy = document.querySelector('.answer')?.ariaBusy
      log.push(`${document.querySelectorAll('.mark').length} ${busy ?? ''}`)
    }).observe(document.body, { childList: true, subtree: true })
  })
  await set({ schema: twoBoxes, temperature: '0' })
  await addPictures('square.png')
  await ask('Locate the circles.')
  expect(await page.locator('.mark span').allInnerTexts()).toEqual(['circle', 'circle'])
  const log = await page.evaluate(() => (window as unknown as { log: string[] }).log)
  expect(log).toEqual(expect.arrayContaining(['0 true', '1 true', '2 false']))
})

test('tells how long everything took', async () => {
  await set({ maxTokens: '8', temperature: '0' })
  await addPictures('scene.png')
  await ask('What is this?')
  const figures = await page.locator('.turn:last-child footer').innerText()
  expect(figures).toMatch(/picture encoded in [\d.]+ m?s/)
  expect(figures).toMatch(/first token after [\d.]+ m?s/)
  expect(figures).toMatch(/[\d.]+ tokens\/s/)
  expect(figures).toMatch(/\b8 tokens/)
})

test.each(['Escape', 'the button'])(
  '%s stops an answer; what came of it stays, and is gone on from',
  async (how) => {
    await set({ schema: long, temperature: '0' })
    await page.evaluate((way) => {
      const escape = () =>
        document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))
      const stop = way === 'Escape' ? escape : () => document.querySelector<HTMLElement>('#stop')?.click()
      const observer = new MutationObserver(() => {
        if ((document.querySelector('.text')?.textContent ?? '').length < 20) return
        observer.disconnect()
        stop()
      })
      observer.observe(document.body, { childList: true, subtree: true, characterData: true })
    }, how)
    const stopped = await ask('Count.')
    expect(stopped).toMatch(/^\[/)
    expect(stopped).not.toMatch(/\]$/)
    expect(await page.locator('.error').count()).toBe(0)

    await set({ schema: '', maxTokens: '4' })
    const sent = page.waitForRequest('**/v1/chat/completions')
    await ask('And now?')
    const { messages } = (await sent).postDataJSON() as {
      messages: Array<{ role: string; content: unknown }>
    }
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(String(messages[1]?.content).replaceAll(/\s/g, '')).toBe(stopped.replaceAll(/\s/g, ''))
  },
)

test('pictures are chosen, dropped, pasted and taken with the camera, and removed again', async () => {
  await addPictures('wide.png', 'tall.png')
  const transfer = await page.evaluateHandle(async () => {
    const data = new DataTransfer()
    const bytes = await (await fetch('icon.svg')).arrayBuffer()
    data.items.add(new File([bytes], 'icon.svg', { type: 'image/svg+xml' }))
    return data
  })
  await page.dispatchEvent('main', 'dragenter', { dataTransfer: transfer })
  expect(await page.locator('body.dropping').count()).toBe(1)
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer })
  await page.locator('#media img').nth(2).waitFor()
  expect(await page.locator('body.dropping').count()).toBe(0)

  await page.evaluate((data) => {
    document
      .querySelector('#question')
      ?.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  }, transfer)
  await page.locator('#media img').nth(3).waitFor()

  await page.click('#photograph')
  await page.click('#camera [value=take]')
  await page.locator('#media img').nth(4).waitFor()

  for (const name of ['wide.png', 'icon.svg'])
    await page.locator(`[aria-label="Remove ${name}"]`).first().click()
  const names = await page
    .locator('#media img')
    .evaluateAll((all) => all.map((img) => (img as HTMLImageElement).alt))
  expect(names).toEqual(['tall.png', 'icon.svg', 'photograph'])

  await set({ maxTokens: '4' })
  const sent = page.waitForRequest('**/v1/chat/completions')
  await ask('What differs?')
  const { messages } = (await sent).postDataJSON() as {
    messages: Array<{ content: Array<{ type: string }> }>
  }
  expect(messages[0]?.content.map(({ type }) => type)).toEqual([
    'image_url',
    'image_url',
    'image_url',
    'text',
  ])
  expect(await page.locator('.error').count()).toBe(0)
})

describe('a video', () => {
  const clip = readFileSync(fixture('video/clip.mp4'))
  const add = (name: string, mimeType: string, buffer = clip) =>
    page.setInputFiles('#files', { name, mimeType, buffer })
  const partsOf = (sent: Request) => {
    const { messages } = sent.postDataJSON() as {
      messages: Array<{ content: Array<Record<string, unknown>> }>
    }
    return messages[0]?.content ?? []
  }

  test('is shown, sent beside pictures, and can be played in the conversation', async () => {
    await set({ maxTokens: '4' })
    await add('clip.mp4', 'video/mp4')
    await page.locator('#media video').waitFor()
    await addPictures('wide.png')
    await page.locator('#media li').nth(1).waitFor()
    const sent = page.waitForRequest('**/v1/chat/completions')
    await ask('What happens?')
    expect(partsOf(await sent)).toMatchObject([
      { type: 'video_url', video_url: { url: `data:video/mp4;base64,${clip.toString('base64')}` } },
      { type: 'image_url' },
      { type: 'text' },
    ])
    expect(await page.locator('.turn footer').innerText()).toMatch(/video and picture encoded in [\d.]+ m?s/)
    const played = page.locator('.asked video[controls]')
    expect(
      await played.evaluate((video: HTMLVideoElement) => video.play().then(() => video.videoWidth)),
    ).toBe(128)
  })

  test('of a kind that no browser knows is read by the server', async () => {
    await set({ maxTokens: '4' })
    await add('clip.mkv', '')
    await page.locator('#media video').waitFor()
    await ask('What happens?')
    expect(await page.locator('.error').count()).toBe(0)
  })

  test('that is none is told, and comes back with the question', async () => {
    await add('broken.mp4', 'video/mp4', Buffer.from('no video'))
    await page.locator('#media video').waitFor()
    await page.fill('#question', 'What happens?')
    await page.keyboard.press('Enter')
    await page.locator('.error', { hasText: /video/i }).waitFor()
    expect(await page.locator('#media video').count()).toBe(1)
    expect(await page.inputValue('#question')).toBe('What happens?')
  })
})

test('more than the server takes is told', async () => {
  const other = await startServing(['--threads', '1', '--max-body-bytes', '200000'])
  await context.close()
  await visit(other.url)
  const buffer = Buffer.alloc(3_000_000)
  await page.setInputFiles('#files', { name: 'long.mp4', mimeType: 'video/mp4', buffer })
  await page.locator('#media video').waitFor()
  await page.fill('#question', 'What happens?')
  await page.keyboard.press('Enter')
  await page.locator('.error', { hasText: 'more than 200000 bytes' }).waitFor()
  await other.stop()
})

test('a sample picture is drawn for whoever has none', async () => {
  await page.click('#suggestions li:first-child button')
  await page.locator('#media img').waitFor()
  await set({ maxTokens: '4' })
  await page.focus('#question')
  await page.keyboard.press('Enter')
  await ended()
  expect(await page.locator('.asked').innerText()).toBe('Describe the picture.')
})

describe('an error', () => {
  test('of the server is told in its words, and the question comes back', async () => {
    await set({ schema: { type: 'nonsense' } })
    await page.fill('#question', 'What is this?')
    await page.keyboard.press('Enter')
    const message = await page.locator('.error').innerText()
    expect(message).toMatch(/nonsense/)
    await expect(page.inputValue('#question')).resolves.toBe('What is this?')

    await set({ schema: '', maxTokens: '4' })
    await page.focus('#question')
    await page.keyboard.press('Enter')
    await ended()
    expect(await page.locator('.turn').count()).toBe(1)
    expect(await page.locator('.error').count()).toBe(0)
  })

  test('of a picture that no browser shows names the file', async () => {
    await page.setInputFiles('#files', {
      name: 'broken.png',
      mimeType: 'image/png',
      buffer: Buffer.from('no'),
    })
    await page.locator('#problem', { hasText: 'cannot show broken.png' }).waitFor()
  })

  test('of a schema that is no JSON keeps the settings open', async () => {
    await page.click('#configure')
    await page.fill('#settings [name=schema]', '{')
    await page.click('#settings [type=submit]')
    expect(await page.locator('#settings[open]').count()).toBe(1)
    expect(await page.locator('#settings :invalid').count()).toBeGreaterThan(0)
  })

  test('of a server that is gone is told, in view', async () => {
    const other = await startServing(['--threads', '1'])
    await context.close()
    await visit(other.url)
    await page.setViewportSize({ width: 1000, height: 400 }) // a conversation that does not fit
    await set({ maxTokens: '4' })
    await ask('Hello.')
    await ask('Still there?')
    await other.stop()
    await page.fill('#question', 'Anybody there?')
    await page.keyboard.press('Enter')
    const error = page.locator('.error', { hasText: 'The server does not answer' })
    await error.waitFor()
    await page.waitForFunction(() => {
      const bottom = (query: string) => document.querySelector(query)?.getBoundingClientRect().bottom ?? NaN
      return bottom('.error') <= bottom('#scroller')
    })
  })

  test('of a missing key opens the settings', async () => {
    const other = await startServing(['--threads', '1', '--api-key', 'secret', '--model-name', 'locked'])
    await context.close()
    await visit(other.url)
    await page.locator('#settings[open]').waitFor()
    await page.fill('#settings [name=key]', 'secret')
    await page.keyboard.press('Enter')
    await page.locator('#model', { hasText: 'locked' }).waitFor()
    await set({ maxTokens: '4' })
    await ask('Hello.')
    expect(await page.locator('.error').count()).toBe(0)
    await other.stop()
  })
})

test('everything is reached by the keyboard', async () => {
  const reached: string[] = []
  for (let i = 0; i < 14; i++) {
    await page.keyboard.press('Tab')
    reached.push(await page.evaluate(() => document.activeElement?.id ?? ''))
  }
  for (const id of ['new', 'theme', 'configure', 'sample', 'question', 'attach', 'photograph', 'send']) {
    expect(reached).toContain(id)
  }
  await page.focus('#configure')
  await page.keyboard.press('Enter')
  await page.locator('#settings[open]').waitFor()
  await page.keyboard.press('Escape')
  expect(await page.locator('#settings[open]').count()).toBe(0)
})

test('the keyboard stays in the composer when its button changes', async () => {
  await set({ schema: long, temperature: '0' })
  await page.fill('#question', 'Count.')
  await page.focus('#send')
  await page.keyboard.press('Enter')
  await page.locator('#stop').waitFor()
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('stop')
  await page.keyboard.press('Enter')
  await ended()
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('question')
})

test('is light or dark as the system is, until told otherwise', async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  await page.emulateMedia({ colorScheme: 'light' })
  const light = await ground()
  await page.emulateMedia({ colorScheme: 'dark' })
  const dark = await ground()
  expect(dark).not.toBe(light)
  await page.click('#theme')
  expect(await ground()).toBe(light)
  await page.reload()
  expect(await ground()).toBe(light)
})

test('a new conversation begins with nothing', async () => {
  await set({ maxTokens: '4' })
  await ask('Hello.')
  await page.click('#new')
  expect(await page.locator('.turn').count()).toBe(0)
  expect(await page.locator('#welcome').isVisible()).toBe(true)
})
