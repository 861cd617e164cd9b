/**
 * A differential fuzz: many requests at once, in a model of a random configuration, each compared with the same request
 * alone in a fresh one. `npm run fuzz:engine` takes a hundred configurations; `FUZZ_SEED` chooses others, and a failure
 * names its seed.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { QwenVL, user } from '../../lib'
import type { ContentPart, GenerationResult } from '../../lib'
import { configurationOf, partsOf, plansOf } from '../support/enginefuzz'
import type { Configuration, Plan } from '../support/enginefuzz'
import { scoreDifference, scoresOf } from '../support/numbers'
import { randomOf } from '../support/random'

const isLong = process.env['npm_lifecycle_event'] === 'fuzz:engine'
const first = Number(process.env['FUZZ_SEED'] ?? 1)
const seeds = Array.from({ length: isLong ? 100 : 4 }, (_, n) => first + n)
const requests = isLong ? 24 : 12
/** Of log-probabilities: what is computed together is rounded otherwise, by some 1e-4. */
const tolerance = 0.003

interface Answered {
  readonly got: GenerationResult
  /** The same request of another model. */
  readonly again: (fresh: QwenVL) => Promise<GenerationResult>
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qwenvl-fuzz-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** One question. */
async function ask(vl: QwenVL, plan: Plan, content: Array<string | ContentPart>, signal: AbortSignal) {
  const { speculate: _, ...quiet } = plan.options
  const messages = [user(...content)]
  const stream = vl.stream(messages, { ...plan.options, signal })
  if (plan.fate === 'unread') await sleep(plan.fateMs)
  if (plan.fate === 'left') {
    let parts = 0
    for await (const _ of stream) if (parts++ >= plan.fateMs % 6) break
    return []
  }
  return [{ got: await stream.result, again: (fresh: QwenVL) => fresh.chat(messages, quiet) }]
}

/** A conversation; what was answered before it failed is told by `answered`. */
async function converse(vl: QwenVL, plan: Plan, signal: AbortSignal, answered: Answered[]): Promise<void> {
  const { speculate: _, ...quiet } = plan.options
  let chat = vl.createChat(plan.options)
  const take = async (from: typeof chat, content: Array<string | ContentPart>) => {
    const file = join(folder, `${randomUUID()}.chat`)
    await from.save(file)
    const got = await from.stream(content, { signal }).result
    answered.push({ got, again: async (fresh) => (await fresh.loadChat(file, quiet)).send(...content) })
  }
  for (const { content, before } of plan.turns) {
    const parts = await partsOf(content, (part) => vl.embedImage(part))
    if (before === 'fork') await Promise.all([take(chat, parts), take(chat.fork(), ['Fork?'])])
    else {
      if (before !== 'nothing') {
        const file = join(folder, `${randomUUID()}.chat`)
        await chat.save(file, { kv: before === 'save kv', signal })
        chat = await vl.loadChat(file, plan.options)
      }
      await take(chat, parts)
    }
  }
}

async function perform(vl: QwenVL, plan: Plan): Promise<Answered[]> {
  const controller = new AbortController()
  const answered: Answered[] = []
  await sleep(plan.startMs)
  if (plan.fate === 'aborted') setTimeout(() => controller.abort(), plan.fateMs)
  try {
    if (plan.turns.length > 1) await converse(vl, plan, controller.signal, answered)
    else {
      const content = await partsOf(plan.turns[0].content, (part) => vl.embedImage(part))
      answered.push(...(await ask(vl, plan, content, controller.signal)))
    }
  } catch (error) {
    const { code } = error as { code?: string }
    // A conversation may become too long.
    if (code !== (plan.turns.length > 1 && !controller.signal.aborted ? 'CONTEXT_OVERFLOW' : 'ABORTED'))
      throw error
  }
  return answered
}

/** To the bit, or as far as they go together. */
function isSame(got: GenerationResult, alone: GenerationResult, deterministic: boolean): boolean {
  const [ours, theirs] = [scoresOf(got), scoresOf(alone)]
  const difference = scoreDifference(ours, theirs)
  const near = deterministic ? difference === 0 && isDeepStrictEqual(ours, theirs) : difference < tolerance
  return near && got.usage.promptTokens === alone.usage.promptTokens
}

async function wrongAnswers({ load, disk }: Configuration, plans: readonly Plan[]) {
  const kept = { cacheDir: join(folder, 'cache'), cachePrompts: disk === 'prompts' }
  const wrong: unknown[] = []
  let compared = 0
  // With a folder once more, as if it were another process.
  for (const run of disk === 'nothing' ? ['only'] : ['first', 'second']) {
    await using vl = await QwenVL.load({ ...load, ...(disk !== 'nothing' && kept) })
    const answered = await Promise.all(plans.map((plan) => perform(vl, plan)))
    const { requests } = vl.stats()
    expect(requests).toMatchObject({ active: 0, running: 0, waiting: 0 })
    for (const [n, answers] of answered.entries()) {
      for (const { got, again } of answers) {
        await using fresh = await QwenVL.load(load)
        const alone = await again(fresh)
        compared++
        if (!isSame(got, alone, load.deterministic ?? false))
          wrong.push({
            run,
            plan: plans[n],
            scores: [got, alone].map(scoresOf),
            usage: [got.usage, alone.usage],
          })
      }
    }
  }
  return { wrong, compared }
}

test.each(seeds)(
  'each answer is that of a quiet run, seed %i',
  async (seed) => {
    const random = randomOf(seed)
    const configuration = configurationOf(random)
    const { wrong, compared } = await wrongAnswers(configuration, plansOf(random, configuration, requests))
    expect({ wrong, ...(wrong.length > 0 && { configuration }) }).toEqual({ wrong: [] })
    expect(compared).toBeGreaterThan(requests / 3)
  },
  120_000,
)
