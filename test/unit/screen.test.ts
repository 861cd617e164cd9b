/** Tools for screens: worded as in the cookbooks, with coordinates in pixels of the caller's screen. */
import { createHash } from 'node:crypto'
import { generations } from '../../lib/generations'
import type { GenerationId } from '../../lib/generations'
import { computerUse, mobileUse } from '../../lib/screen'
import type { Screen } from '../../lib/screen'
import { checkCall, readTools } from '../../lib/tools'
import type { Tool } from '../../lib/tools'

function model(generation: GenerationId) {
  const known = generations.find(({ id }) => id === generation)
  if (!known) throw new Error(generation)
  return { generation, image: known }
}
const screen = { width: 1920, height: 1080 }

function shown(tool: Tool): { description: string; parameters: unknown; resolution: string } {
  const { description = '', parameters } = readTools([tool])[0]?.definition.function ?? { name: '' }
  const [, resolution = ''] = /The screen's resolution is (\d+x\d+)\./.exec(description) ?? []
  return { description: description.replace(resolution, 'WxH'), parameters, resolution }
}

async function called(tool: Tool, args: Record<string, unknown>): Promise<unknown> {
  const { input, problem } = await checkCall({ id: 'x', name: tool.name, arguments: args }, readTools([tool]))
  return problem ?? input
}

describe('the model is told', () => {
  // Hashes of [description, parameters] in QwenLM/Qwen3-VL: cookbooks/utils/agent_function_call.py, mobile_agent.ipynb.
  test.each([
    [
      'computer_use',
      'qwen2.5vl',
      computerUse,
      '2f670121bcbcee3fd3961a72aa1cd70b7c59cb5460ea89ae13cefb272a7da6bd',
    ],
    [
      'computer_use',
      'qwen3vl',
      computerUse,
      '2f670121bcbcee3fd3961a72aa1cd70b7c59cb5460ea89ae13cefb272a7da6bd',
    ],
    [
      'mobile_use',
      'qwen2.5vl',
      mobileUse,
      '6676d071673e0a31ffd5e0da770e4ca251f3a7e1350525f0439cd7fa46eff488',
    ],
    ['mobile_use', 'qwen3vl', mobileUse, '63f0159ff515190327fe7d223d0e366bf4dc54252e07a891f56a02c4cbb2fbe2'],
    ['mobile_use', 'qwen3.5', mobileUse, '63f0159ff515190327fe7d223d0e366bf4dc54252e07a891f56a02c4cbb2fbe2'],
  ] as const)('of %s what the cookbook of %s says', (name, generation, make, hash) => {
    const tool = make(model(generation), screen)
    const { description, parameters } = shown(tool)
    expect(tool.name).toBe(name)
    expect(
      createHash('sha256')
        .update(JSON.stringify([description, parameters]))
        .digest('hex'),
    ).toBe(hash)
  })

  test.each<[GenerationId, Screen, string, string]>([
    ['qwen2vl', screen, '1000x1000', '1000x1000'],
    ['qwen2.5vl', screen, '1932x1092', '1932x1092'],
    ['qwen2.5vl', { ...screen, maxPixels: 1280 * 28 * 28 }, '1316x728', '1316x728'],
    ['qwen3vl', screen, '1000x1000', '999x999'],
    ['qwen3.5moe', screen, '1000x1000', '999x999'],
  ])('of the screen what %s sees of %j', (generation, size, computer, mobile) => {
    expect(shown(computerUse(model(generation), size)).resolution).toBe(computer)
    expect(shown(mobileUse(model(generation), size)).resolution).toBe(mobile)
  })
})

describe('run gets', () => {
  test.each<[GenerationId, number[], { x: number; y: number }]>([
    ['qwen3vl', [0, 0], { x: 0, y: 0 }],
    ['qwen3vl', [500, 500], { x: 960, y: 540 }],
    ['qwen3vl', [1000, 1000], { x: 1919, y: 1079 }],
    ['qwen2.5vl', [966, 546], { x: 960, y: 540 }],
    ['qwen2.5vl', [1932, 1092], { x: 1919, y: 1079 }],
  ])('of %s at %j a pixel of the screen', async (generation, coordinate, expected) => {
    const tool = computerUse(model(generation), screen)
    expect(await called(tool, { action: 'left_click', coordinate })).toEqual({
      action: 'left_click',
      coordinate: expected,
    })
  })

  test('both ends of a swipe, and all else as it is', async () => {
    const tool = mobileUse(model('qwen3vl'), { width: 1440, height: 3120 })
    expect(
      await called(tool, { action: 'swipe', coordinate: [447, 81], coordinate2: [447, 999], time: 2 }),
    ).toEqual({ action: 'swipe', coordinate: { x: 644, y: 252 }, coordinate2: { x: 644, y: 3119 }, time: 2 })
    expect(await called(tool, { action: 'system_button', button: 'Back' })).toEqual({
      action: 'system_button',
      button: 'Back',
    })
  })

  test('a click without a place, where the cursor is', async () => {
    expect(await called(computerUse(model('qwen3vl'), screen), { action: 'left_click' })).toEqual({
      action: 'left_click',
    })
  })
})

describe('a wrong call is told:', () => {
  const computer = computerUse(model('qwen3vl'), screen)
  const mobile = mobileUse(model('qwen3vl'), screen)
  test.each([
    [
      'outside',
      computer,
      { action: 'mouse_move', coordinate: [1001, 5] },
      /\[1001, 5\] is outside.*1000x1000/,
    ],
    ['below zero', mobile, { action: 'click', coordinate: [-1, 5] }, /outside.*999x999/],
    ['one number', computer, { action: 'left_click', coordinate: [5] }, /coordinate/],
    ['no place', mobile, { action: 'click' }, /action=click needs coordinate/],
    ['half a swipe', mobile, { action: 'swipe', coordinate: [1, 1] }, /needs coordinate2/],
    ['no text', computer, { action: 'type' }, /needs text/],
    ['an unknown action', computer, { action: 'dance' }, /action/],
    ['an action of another generation', mobile, { action: 'open', text: 'X' }, /action/],
  ])('%s', async (_, tool, args, problem) => {
    expect(await called(tool, args)).toMatch(problem)
  })
})

test('a screen of no shape, a model of no generation', () => {
  expect(() => computerUse(model('qwen3vl'), { width: 0, height: 5 })).toThrow(/`width`/)
  expect(() => mobileUse({ ...model('qwen3vl'), generation: 'x' as GenerationId }, screen)).toThrow(
    /vl\.info/,
  )
})
