import { getEventListeners } from 'node:events'
import { whenAborted } from '../../lib/abort'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

test('any number of requests takes one listener, and the last to end takes it away', () => {
  const { signal } = new AbortController()
  const ends = Array.from({ length: 50 }, () => whenAborted(signal, () => undefined))
  expect(listeners(signal)).toBe(1)
  for (const end of ends.slice(1)) end()
  expect(listeners(signal)).toBe(1)
  ends[0]?.()
  ends[0]?.()
  expect(listeners(signal)).toBe(0)
})

test('each is stopped once, in the order of their coming; those that have ended are not', () => {
  const controller = new AbortController()
  const stopped: number[] = []
  const wait = (name: number) => whenAborted(controller.signal, () => stopped.push(name))
  wait(1)
  const end = wait(2)
  wait(3)
  end()
  controller.abort()
  expect(stopped).toEqual([1, 3])
  expect(listeners(controller.signal)).toBe(0)
})

test('what is stopped may end others', () => {
  const controller = new AbortController()
  const stopped: number[] = []
  const ends: Array<() => void> = []
  for (const name of [1, 2]) {
    ends.push(
      whenAborted(controller.signal, () => {
        stopped.push(name)
        for (const end of ends) end()
      }),
    )
  }
  controller.abort()
  expect(stopped).toEqual([1])
})

test('the same function may wait twice', () => {
  const controller = new AbortController()
  const stop = jest.fn()
  const end = whenAborted(controller.signal, stop)
  whenAborted(controller.signal, stop)
  end()
  controller.abort()
  expect(stop).toHaveBeenCalledTimes(1)
})

test('a signal that has fired stops at once, none stops never', () => {
  const stop = jest.fn()
  whenAborted(undefined, stop)()
  expect(stop).not.toHaveBeenCalled()
  whenAborted(AbortSignal.abort(), stop)()
  expect(stop).toHaveBeenCalledTimes(1)
})
