/** Whatever the engine is doing, and however the process or its worker ends: cleanly, at once, with the right status. */
import { join } from 'node:path'
import { pooled, runChild } from '../support/child'

// The engine is given five seconds to stop: an end that takes them is a hang.
const hangMs = 4500

const states = ['inspecting', 'loading', 'idle', 'encoding', 'generating', 'parked'] as const

interface Way {
  readonly code: number | null
  readonly signal?: NodeJS.Signals
  readonly stdout?: string
  readonly stderr?: RegExp
}
const ways: Readonly<Record<string, Way>> = {
  'loop-end': { code: 0 },
  exit: { code: 3 },
  throw: { code: 1, stderr: /thrown on purpose/ },
  SIGTERM: { code: null, signal: 'SIGTERM' },
  SIGINT: { code: null, signal: 'SIGINT' },
  disconnect: { code: 0 },
  'worker-end': { code: 0, stdout: 'worker ended with 0\n' },
  'worker-exit': { code: 0, stdout: 'worker ended with 3\n' },
  'worker-throw': { code: 0, stdout: 'thrown on purpose\nworker ended with 1\n' },
  'worker-terminate': { code: 0, stdout: 'worker ended with 1\n' },
  'exit-beside-worker': { code: 3 },
}

const cases = states.flatMap((state) =>
  Object.entries(ways)
    // An unread answer is unfinished work: the loop does not end by itself.
    .filter(([way]) => !(state === 'parked' && (way === 'loop-end' || way === 'worker-end')))
    .map(([way, expected]) => ({ state, way, expected })),
)

const script = join(__dirname, 'children', 'exit.cjs')
const outcomes = pooled(cases, 2, ({ state, way }) =>
  runChild(script, [state, way], {
    limitMs: 30_000,
    onMessage: (_, child) => {
      if (way === 'disconnect') child.disconnect()
    },
  }),
)

test.each(cases.map((entry, index) => [entry.state, entry.way, entry.expected, index] as const))(
  '%s, %s',
  async (_state, _way, expected, index) => {
    const outcome = await outcomes[index]
    expect(outcome).toMatchObject({
      code: expected.code,
      signal: expected.signal ?? null,
      messages: ['reached'],
    })
    expect(outcome?.stdout).toBe(expected.stdout ?? '')
    if (expected.stderr) expect(outcome?.stderr).toMatch(expected.stderr)
    else expect(outcome?.stderr).toBe('')
    expect(outcome?.stderr).not.toMatch(/fatal|abort|assert|terminate called|segmentation|corrupt/i)
    expect(outcome?.sinceMessageMs).toBeLessThan(hangMs)
  },
  300_000,
)
