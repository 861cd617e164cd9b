/**
 * An Electron app with the recipe of docs/recipes.md: a window asks about a picture, then one is closed in the middle of its
 * answer. Prints what was seen as one line of JSON.
 */
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { app, BrowserWindow, ipcMain } = require('electron')

const root = join(__dirname, '../..')
const recipe = /^function serveWindows[\s\S]*?^}$/m.exec(
  readFileSync(join(root, 'docs/recipes.md'), 'utf8'),
)[0]
const picture = join(root, 'test/fixtures/images/scene.png')

app.disableHardwareAcceleration()
app.on('window-all-closed', () => {}) // the app goes on
app
  .whenReady()
  .then(main)
  .then(
    (seen) => {
      console.log(JSON.stringify(seen))
      app.exit(0)
    },
    (error) => {
      console.error(error)
      app.exit(1)
    },
  )

async function main() {
  const { QwenVL, image, user } = require(root)
  const vl = await QwenVL.load({ threads: 1, parallel: 1 })
  const endless = {
    stream: (messages, { signal }) => vl.stream(messages, { signal, ignoreEos: true, maxTokens: 4000 }),
  }
  const handlers = new Map()
  const record = { handle: (channel, handler) => handlers.set(channel, handler) }
  const serve = new Function('vl', 'image', 'user', `${recipe}\nreturn serveWindows`)
  serve(vl, image, user)(ipcMain)
  serve(endless, image, user)(record)

  const answer = await asked({ pictures: [readFileSync(picture)], question: 'What colour is the circle?' })
  const { data, tokens, width } = await vl.embedImage(image(picture))
  const { tokens: ids } = await vl.inspect([user(image(picture), 'What is this?')])
  const { logprobs } = await vl.chat('Hello', { maxTokens: 3, logprobs: 5 })

  const ended = await closedWindow(handlers.get('ask'))
  const after = (await vl.chat([user(image(picture), 'What colour is the circle?')])).text
  await vl.dispose()
  return {
    versions: process.versions,
    answer,
    embedding: data.length === tokens * width && data.every(Number.isFinite),
    ids: ids.length,
    logprobs: logprobs[0].top.length,
    ended,
    after,
  }
}

/** What a window gets: the texts that came one after the other, and the result. */
async function asked(question) {
  const window = await open()
  const result = await window.webContents.executeJavaScript(
    `(async () => {
      const { ipcRenderer } = require('electron')
      const texts = []
      ipcRenderer.on('text', (_, text) => texts.push(text))
      const usage = await ipcRenderer.invoke('ask', { pictures: [Uint8Array.from(${JSON.stringify([...question.pictures[0]])})], question: ${JSON.stringify(question.question)} })
      return { texts, usage }
    })()`,
  )
  window.close()
  return result
}

/** How an answer without end ends when its window is closed. */
async function closedWindow(ask) {
  const window = await open()
  const answering = ask(
    { sender: window.webContents },
    { pictures: [], question: 'Count to a million.' },
  ).then(
    () => 'answered',
    ({ name }) => name,
  )
  setTimeout(() => window.destroy(), 50)
  return answering
}

async function open() {
  const window = new BrowserWindow({
    show: false,
    webPreferences: { nodeIntegration: true, contextIsolation: false },
  })
  await window.loadURL('data:text/html,<title>window</title>')
  return window
}
