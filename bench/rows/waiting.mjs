/** How long people wait: for the first token about a picture, in a running stream, for the end of what they cancelled. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { image, user } from 'qwenvl-native'
import { imageUrl } from '../llama-server.mjs'
import { greedy, ourChild, withOurs, withServer } from '../sides.mjs'

const side = 448
const question = 'Describe this picture.'
const other = 'What is its colour?'

export const rows = [
  { id: 'new', name: 'first token, new picture', unit: 'ms', goal: '<= 0.75', measure: newPicture },
  { id: 'same', name: 'first token, same picture', unit: 'ms', goal: '<= 1.0', measure: samePicture },
  {
    id: 'restart',
    name: 'first token, after a restart',
    unit: 'ms',
    goal: '<= 0.1',
    measure: (bench) => afterRestart(bench, cachedPrompt),
  },
  {
    id: 'restartchat',
    name: 'first token, after a restart: saved chat',
    unit: 'ms',
    goal: '<= 0.1',
    measure: (bench) => afterRestart(bench, savedChat),
  },
  { id: 'gap', name: 'longest gap while a picture is encoded', unit: 'ms', goal: '<= 0.05', measure: gap },
  {
    id: 'cancel',
    name: 'free again after a cancelled encode',
    unit: 'ms',
    goal: '1 layer',
    measure: cancelled,
  },
]

/** What an earlier process left of a picture, and what the next one does with it. */
const savedChat = {
  first: (folder) => ({ save: join(folder, 'picture.chat') }),
  then: (folder) => ({ chat: join(folder, 'picture.chat') }),
}
const cachedPrompt = {
  load: (folder) => ({ cacheDir: join(folder, 'cache'), cachePrompts: true }),
  first: () => ({}),
  then: () => ({ question: other }),
}

/** Both sides as functions that ask about a picture or say a word. */
function withBoth(bench, use) {
  return withOurs(bench, {}, (vl) =>
    withServer(bench, ['-np', 4], (server) =>
      use(
        {
          see: (png, text, options) => vl.stream([user(image(png), text)], { ...greedy, ...options }),
          say: (text, options) => vl.stream(text, { ...greedy, ...options }),
        },
        {
          see: (png, text, options) => server.stream([imageUrl(png), { type: 'text', text }], options),
          say: (text, options) => server.stream(text, options),
        },
      ),
    ),
  )
}

/** Lets both sides take turns, after one turn that does not count. */
async function inTurns(bench, ours, theirs, measure) {
  const values = { ours: [], theirs: [] }
  for (let round = -1; round < bench.rounds; round++) {
    const pair = [await measure(ours), await measure(theirs)]
    if (round < 0) continue
    values.ours.push(pair[0])
    values.theirs.push(pair[1])
  }
  return values
}

function newPicture(bench) {
  return withBoth(bench, (ours, theirs) =>
    inTurns(bench, ours, theirs, async ({ see }) =>
      firstToken(see(await bench.noise(side, side), question, { maxTokens: 1 })),
    ),
  )
}

function samePicture(bench) {
  return withBoth(bench, (ours, theirs) =>
    inTurns(bench, ours, theirs, async ({ see }) => {
      const png = await bench.noise(side, side)
      await firstToken(see(png, question, { maxTokens: 8 }))
      return firstToken(see(png, other, { maxTokens: 1 }))
    }),
  )
}

/**
 * The clock starts when the model is loaded, and then asks about a picture that an earlier process saw; they keep none. Of
 * ours the process before left the prompt's KV memory (`cachePrompts`), or a chat with it.
 */
async function afterRestart(bench, way) {
  const folder = await mkdtemp(join(tmpdir(), 'qwenvl-bench-'))
  try {
    const picture = join(folder, 'picture.png')
    await writeFile(picture, await bench.noise(side, side))
    const ask = (task) =>
      ourChild(bench, { picture, question, maxTokens: 1, ...task(folder) }, way.load?.(folder))
    await ask(way.first)
    const values = { ours: [], theirs: [] }
    for (let round = 0; round < bench.rounds; round++) {
      values.ours.push((await ask(way.then)).firstTokenMs)
      values.theirs.push(
        await withServer(bench, ['-np', 1], async (server) =>
          firstToken(
            server.stream([imageUrl(await bench.noise(side, side)), { type: 'text', text: question }], {
              maxTokens: 1,
            }),
          ),
        ),
      )
    }
    return values
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The longest time without a token in a running stream, from the question about a picture to its first token. */
function gap(bench) {
  return withBoth(bench, (ours, theirs) =>
    inTurns(bench, ours, theirs, async ({ see, say }) => {
      const png = await bench.noise(side, side)
      const stop = new AbortController()
      const times = []
      const reading = read(say('Count.', { maxTokens: 2048, signal: stop.signal }), () =>
        times.push(performance.now()),
      )
      while (times.length < 8) await pause(10)
      const asked = performance.now()
      await firstToken(see(png, question, { maxTokens: 1 }))
      const answered = performance.now()
      stop.abort()
      await reading.catch(() => undefined)
      const seen = [...times.filter((time) => time < answered), answered]
      const gaps = seen.slice(1).map((time, i) => (time > asked ? time - seen[i] : 0))
      return Math.max(...gaps)
    }),
  )
}

/** From the signal in the middle of an encode to the first token of the next question, less what that takes alone. */
function cancelled(bench) {
  return withBoth(bench, (ours, theirs) =>
    inTurns(bench, ours, theirs, async ({ see, say }) => {
      await firstToken(say('Ready?', { maxTokens: 1 }))
      const alone = await firstToken(say('Ready?!', { maxTokens: 1 }))
      const stop = new AbortController()
      const png = await bench.noise(side, side)
      const picture = firstToken(see(png, question, { maxTokens: 1, signal: stop.signal }))
      await pause(1000)
      const ended = picture.then(
        () => true,
        () => false,
      )
      const fired = performance.now()
      stop.abort()
      await firstToken(say('Ready?', { maxTokens: 1 }))
      const free = performance.now() - fired - alone
      if (await ended) throw new Error('The picture was encoded before it could be cancelled.')
      return Math.max(free, 0)
    }),
  )
}

async function firstToken(stream) {
  const started = performance.now()
  let first
  await read(stream, () => (first ??= performance.now() - started))
  return first
}

async function read(stream, onToken) {
  for await (const part of stream) {
    if (typeof part === 'string' || part.type === 'text') onToken()
  }
}
