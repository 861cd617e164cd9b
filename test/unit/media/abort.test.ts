import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { mapTogether } from '../../../lib/media/abort'

const slowly = (_: unknown, signal: AbortSignal) => sleep(60_000, undefined, { signal })

test('results keep the order of the items, whoever is first', async () => {
  const results = await mapTogether([30, 1, 10], 3, undefined, async (ms) => {
    await sleep(ms)
    return ms
  })
  expect(results).toEqual([30, 1, 10])
})

test('no more than so many run at a time', async () => {
  let [running, most] = [0, 0]
  await mapTogether([1, 2, 3, 4, 5], 2, undefined, async () => {
    most = Math.max(most, ++running)
    await sleep(1)
    running--
  })
  expect(most).toBe(2)
})

test('the first failure stops the others, which have ended when it is thrown; nothing new begins', async () => {
  const ended: number[] = []
  const begun: number[] = []
  const work = mapTogether([0, 1, 2, 3], 2, undefined, async (item, signal) => {
    begun.push(item)
    try {
      if (item === 1) throw new Error('broken')
      await slowly(item, signal)
    } finally {
      ended.push(item)
    }
  })
  await expect(work).rejects.toThrow('broken')
  expect(ended.sort()).toEqual([0, 1])
  expect(begun.sort()).toEqual([0, 1])
})

test("the caller's signal stops all of them, and keeps no listener", async () => {
  const caller = new AbortController()
  const work = mapTogether([0, 1, 2], 2, caller.signal, slowly)
  caller.abort('enough')
  await expect(work).rejects.toMatchObject({ name: 'AbortError' })
  await expect(mapTogether([0], 1, caller.signal, slowly)).rejects.toMatchObject({ cause: 'enough' })
  const { signal } = new AbortController()
  await mapTogether([0, 1], 1, signal, async () => undefined)
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
