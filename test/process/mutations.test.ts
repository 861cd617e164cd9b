/** Damaged files in great number: each pair loads or is refused with a typed error; the process lives. */
import { join } from 'node:path'
import { runChild } from '../support/child'
import { fixtureIds, pair } from '../support/fixtures'

const script = join(__dirname, 'children', 'mutations.cjs')
const count = 150

test.each(fixtureIds)('%s: 150 mutated pairs', async (id) => {
  const { model, mmproj } = pair(id)
  const outcome = await runChild(script, [model, mmproj, String(count), '1'])
  const { code, signal, stderr, messages } = outcome
  const lastSeed = messages.filter((message) => typeof message === 'number').at(-1)
  expect({ code, signal, stderr, lastSeed }).toEqual({ code: 0, signal: null, stderr: '', lastSeed: count })
  const outcomes = messages.at(-1) as Record<string, number>
  expect(Object.values(outcomes).reduce((sum, n) => sum + n)).toBe(count)
  // Some must pass the checks, else the mutations show nothing; most must not.
  expect(outcomes.answered).toBeGreaterThan(5)
  expect(outcomes.GGUF_CORRUPT).toBeGreaterThan(50)
})
