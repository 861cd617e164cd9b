/** The page: a conversation with the server's model. */
import { AnswerView, problemView } from './answer'
import { ApiError, ask, loadModel } from './api'
import type { Model, Turn } from './api'
import { Composer } from './composer'
import type { Question } from './composer'
import { byId, element } from './dom'
import { followEnd } from './follow'
import { shownMedium } from './medium'
import { samplePicture } from './sample'
import { installSettings, installTheme, openSettings, readSettings } from './settings'

const welcome = byId('welcome', HTMLElement)
const conversation = byId('conversation', HTMLDivElement)
const status = byId('model', HTMLParagraphElement)

const goToEnd = followEnd(byId('scroller', HTMLElement), conversation)

let model: Model | undefined
let turns: readonly Turn[] = []
let running: AbortController | undefined
/** On the page, but not part of the conversation: it got no answer. */
let failed: HTMLElement | undefined

const composer = new Composer((question) => void answer(question), stop)

installTheme()
installSettings(() => void connect())
byId('new', HTMLButtonElement).onclick = startAnew
byId('sample', HTMLButtonElement).onclick = () => {
  void addSample().then((thing) => (composer.text = `Find the ${thing}.`))
}
for (const button of document.querySelectorAll<HTMLButtonElement>('#suggestions button')) {
  button.onclick = () => {
    composer.text = button.textContent
    if (!composer.hasMedia) void addSample()
  }
}
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) stop()
})
void connect()

/** Asks the server which model it has, and says so. */
async function connect(): Promise<void> {
  try {
    model = await loadModel(readSettings())
    status.textContent = model.vision ? model.id : `${model.id}, which sees no pictures`
  } catch (error) {
    model = undefined
    status.textContent = messageOf(error)
    if (error instanceof ApiError && error.status === 401) openSettings()
  }
}

async function answer(question: Question): Promise<void> {
  const abort = new AbortController()
  running = abort
  composer.busy = true
  failed?.remove()
  failed = undefined
  welcome.hidden = true
  const turn = element('article', { className: 'turn' }, asked(question))
  conversation.append(turn)
  goToEnd()

  const text = await answerIn(turn, question, abort.signal)
  if (running !== abort) return // a new conversation has begun
  running = undefined
  composer.busy = false
  if (text === '') {
    failed = turn
    composer.restore(question)
  } else {
    turns = [...turns, { ...question, answer: text }]
  }
}

/** Shows the answer, or what went wrong, below the question. Gives its text; none for an error. */
async function answerIn(turn: HTMLElement, question: Question, signal: AbortSignal): Promise<string> {
  if (!model) await connect()
  if (!model) {
    turn.append(problemView(status.textContent))
    return ''
  }
  const settings = readSettings()
  const view = new AnswerView(
    model,
    [...turns, question].flatMap((one) => one.media),
  )
  turn.append(view.element)
  try {
    for await (const news of ask(model, [...turns, { ...question, answer: '' }], settings, signal)) {
      view.push(news)
    }
  } catch (error) {
    if (!signal.aborted) {
      view.end(messageOf(error))
      return ''
    }
  }
  view.end()
  return view.text
}

function asked({ text, media }: Question): HTMLElement {
  const shown = media.map((medium) => shownMedium(medium, true))
  return element(
    'div',
    { className: 'asked' },
    ...(shown.length > 0 ? [element('div', { className: 'shown' }, ...shown)] : []),
    ...(text === '' ? [] : [element('p', {}, text)]),
  )
}

function stop(): void {
  running?.abort()
}

function startAnew(): void {
  stop()
  running = undefined
  composer.busy = false
  turns = []
  failed = undefined
  conversation.replaceChildren()
  welcome.hidden = false
}

/** Gives the name of a thing in it. */
async function addSample(): Promise<string> {
  const { file, thing } = await samplePicture()
  await composer.add([{ file, name: 'sample picture' }])
  return thing
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
