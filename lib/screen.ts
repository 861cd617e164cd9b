/**
 * The tools of Qwen's cookbooks that operate a computer or a phone by its screenshots. The model is told of the screen as
 * it was trained on; `run` gets coordinates in pixels of the caller's screen.
 */
import { z } from 'zod'
import { invalidArgument } from './errors'
import { generations } from './generations'
import type { GenerationId, ScreenRules } from './generations'
import { toPixels } from './grounding/coordinates'
import type { Point } from './grounding/item'
import { smartResize } from './media/geometry'
import type { Size } from './media/geometry'
import type { JsonSchema } from './output/schema'
import { tool } from './tools'
import type { Tool, ToolContext, ToolOutput } from './tools'

/** What is needed of a model: `vl.info`. */
export interface ScreenModel {
  readonly generation: GenerationId
  readonly image: { readonly factor: number; readonly minPixels: number; readonly maxPixels: number }
}

/** The screen as the screenshots show it, in pixels; and the options that the screenshots are passed with. */
export interface Screen extends Size {
  readonly minPixels?: number | undefined
  readonly maxPixels?: number | undefined
}

const computerActions = [
  'key',
  'type',
  'mouse_move',
  'left_click',
  'left_click_drag',
  'right_click',
  'middle_click',
  'double_click',
  'triple_click',
  'scroll',
  'hscroll',
  'wait',
  'terminate',
  'answer',
] as const
const phoneActions = {
  'key-open': ['key', 'click', 'long_press', 'swipe', 'type', 'system_button', 'open', 'wait', 'terminate'],
  answer: ['click', 'long_press', 'swipe', 'type', 'answer', 'system_button', 'wait', 'terminate'],
} as const
const buttons = ['Back', 'Home', 'Menu', 'Enter'] as const
const statuses = ['success', 'failure'] as const

/** What the model wants to be done with a computer. */
export interface ComputerAction {
  readonly action: (typeof computerActions)[number]
  /** Of `key`: pressed in this order, released in the reverse one. */
  readonly keys?: readonly string[] | undefined
  /** Of `type` and `answer`. */
  readonly text?: string | undefined
  /** A pixel of the screen. Missing where a click is meant at the place of the cursor. */
  readonly coordinate?: Point | undefined
  /** Of `scroll` and `hscroll`: up and left above 0, down and right below. */
  readonly pixels?: number | undefined
  /** Of `wait`, in seconds. */
  readonly time?: number | undefined
  /** Of `terminate`. */
  readonly status?: (typeof statuses)[number] | undefined
}

/** What the model wants to be done with a phone. */
export interface MobileAction {
  readonly action: (typeof phoneActions)['key-open' | 'answer'][number]
  /** A pixel of the screen; of `swipe` where it begins. */
  readonly coordinate?: Point | undefined
  /** Of `swipe`: where it ends. */
  readonly coordinate2?: Point | undefined
  /** Of `type`, `answer`, `key` (adb's name) and `open` (the app). */
  readonly text?: string | undefined
  /** Of `long_press` and `wait`, in seconds. */
  readonly time?: number | undefined
  /** Of `system_button`. */
  readonly button?: (typeof buttons)[number] | undefined
  /** Of `terminate`. */
  readonly status?: (typeof statuses)[number] | undefined
}

type Fields = Readonly<Record<string, unknown>>

const pair = z.array(z.number()).min(2).max(2).optional()

/**
 * The tool `computer_use`. A call that lacks what its action needs, or points outside of the screen, is a wrong one.
 * @param model `vl.info`
 * @param run Does it. Give back the next screenshot: `image(…)`.
 * @throws InvalidArgumentError, ImageError for a screen of no possible shape
 */
export function computerUse(
  model: ScreenModel,
  screen: Screen,
  run?: (action: ComputerAction, context: ToolContext) => ToolOutput,
): Tool {
  const { computer } = rulesOf(model)
  const span = spanOf(computer, model, screen)
  return tool({
    name: 'computer_use',
    description: computerDescription(span),
    parameters: z.object({
      action: z.enum(computerActions),
      keys: z.array(z.string()).optional(),
      text: z.string().optional(),
      coordinate: pair,
      pixels: z.number().optional(),
      time: z.number().optional(),
      status: z.enum(statuses).optional(),
    }),
    shown: computerParameters,
    convert: (args) => placed(args, computerNeeds, span, screen) as unknown as ComputerAction,
    ...(run && { run }),
  })
}

/**
 * The tool `mobile_use`. A call that lacks what its action needs, or points outside of the screen, is a wrong one.
 * @param model `vl.info`
 * @param run Does it. Give back the next screenshot: `image(…)`.
 * @throws InvalidArgumentError, ImageError for a screen of no possible shape
 */
export function mobileUse(
  model: ScreenModel,
  screen: Screen,
  run?: (action: MobileAction, context: ToolContext) => ToolOutput,
): Tool {
  const { mobile, mobileActions } = rulesOf(model)
  const span = spanOf(mobile, model, screen)
  return tool({
    name: 'mobile_use',
    description: phoneDescription(span),
    parameters: z.object({
      action: z.enum(phoneActions[mobileActions]),
      coordinate: pair,
      coordinate2: pair,
      text: z.string().optional(),
      time: z.number().optional(),
      button: z.enum(buttons).optional(),
      status: z.enum(statuses).optional(),
    }),
    shown: phoneParameters(mobileActions),
    convert: (args) => placed(args, phoneNeeds, span, screen) as unknown as MobileAction,
    ...(run && { run }),
  })
}

function rulesOf({ generation }: ScreenModel): ScreenRules {
  const known = generations.find(({ id }) => id === generation)
  if (known) return known.screen
  throw invalidArgument('model', '`vl.info`', generation)
}

/** What the model counts the screen as. */
function spanOf(rule: ScreenRules['computer'], { image }: ScreenModel, screen: Screen): Size {
  const { width, height, minPixels = image.minPixels, maxPixels = image.maxPixels } = screen
  const processed = smartResize(height, width, { factor: image.factor, minPixels, maxPixels })
  return rule === 'processedPixels' ? processed : { width: rule, height: rule }
}

/** What each action cannot do without. */
type Needs = Readonly<Record<string, readonly string[]>>

const computerNeeds: Needs = {
  key: ['keys'],
  type: ['text'],
  mouse_move: ['coordinate'],
  left_click_drag: ['coordinate'],
  scroll: ['pixels'],
  hscroll: ['pixels'],
  wait: ['time'],
  terminate: ['status'],
  answer: ['text'],
}
const phoneNeeds: Needs = {
  key: ['text'],
  click: ['coordinate'],
  long_press: ['coordinate', 'time'],
  swipe: ['coordinate', 'coordinate2'],
  type: ['text'],
  answer: ['text'],
  system_button: ['button'],
  open: ['text'],
  wait: ['time'],
  terminate: ['status'],
}

/** Checked arguments with pixels of the screen. Its errors are read by the model. */
function placed(args: Fields & { readonly action: string }, needs: Needs, span: Size, screen: Size): Fields {
  const missing = needs[args.action]?.filter((name) => args[name] === undefined) ?? []
  if (missing.length > 0) throw new Error(`action=${args.action} needs ${missing.join(' and ')}.`)
  const points = ['coordinate', 'coordinate2'].flatMap((name): Array<[string, Point]> => {
    const numbers = args[name] as readonly number[] | undefined
    if (!numbers) return []
    const shape = toPixels(numbers, span, screen)
    if (shape?.kind === 'point') return [[name, shape.point]]
    throw new Error(`${name} [${numbers.join(', ')}] is outside of the screen, ${span.width}x${span.height}.`)
  })
  return { ...args, ...Object.fromEntries(points) }
}

function computerDescription({ width, height }: Size): string {
  return `Use a mouse and keyboard to interact with a computer, and take screenshots.
* This is an interface to a desktop GUI. You do not have access to a terminal or applications menu. You must click on desktop icons to start applications.
* Some applications may take time to start or process actions, so you may need to wait and take successive screenshots to see the results of your actions. E.g. if you click on Firefox and a window doesn't open, try wait and taking another screenshot.
* The screen's resolution is ${width}x${height}.
* Whenever you intend to move the cursor to click on an element like an icon, you should consult a screenshot to determine the coordinates of the element before moving the cursor.
* If you tried clicking on a program or link but it failed to load, even after waiting, try adjusting your cursor position so that the tip of the cursor visually falls on the element that you want to click.
* Make sure to click any buttons, links, icons, etc with the cursor tip in the center of the element. Don't click boxes on their edges.`
}

const where =
  '(x, y): The x (pixels from the left edge) and y (pixels from the top edge) coordinates to move the mouse to.'

const computerParameters: JsonSchema = {
  properties: {
    action: {
      description: `The action to perform. The available actions are:
* \`key\`: Performs key down presses on the arguments passed in order, then performs key releases in reverse order.
* \`type\`: Type a string of text on the keyboard.
* \`mouse_move\`: Move the cursor to a specified (x, y) pixel coordinate on the screen.
* \`left_click\`: Click the left mouse button at a specified (x, y) pixel coordinate on the screen.
* \`left_click_drag\`: Click and drag the cursor to a specified (x, y) pixel coordinate on the screen.
* \`right_click\`: Click the right mouse button at a specified (x, y) pixel coordinate on the screen.
* \`middle_click\`: Click the middle mouse button at a specified (x, y) pixel coordinate on the screen.
* \`double_click\`: Double-click the left mouse button at a specified (x, y) pixel coordinate on the screen.
* \`triple_click\`: Triple-click the left mouse button at a specified (x, y) pixel coordinate on the screen (simulated as double-click since it's the closest action).
* \`scroll\`: Performs a scroll of the mouse scroll wheel.
* \`hscroll\`: Performs a horizontal scroll (mapped to regular scroll).
* \`wait\`: Wait specified seconds for the change to happen.
* \`terminate\`: Terminate the current task and report its completion status.
* \`answer\`: Answer a question.`,
      enum: computerActions,
      type: 'string',
    },
    keys: { description: 'Required only by `action=key`.', type: 'array' },
    text: { description: 'Required only by `action=type` and `action=answer`.', type: 'string' },
    coordinate: { description: where, type: 'array' },
    pixels: {
      description:
        'The amount of scrolling to perform. Positive values scroll up, negative values scroll down. Required only by `action=scroll` and `action=hscroll`.',
      type: 'number',
    },
    time: { description: 'The seconds to wait. Required only by `action=wait`.', type: 'number' },
    status: {
      description: 'The status of the task. Required only by `action=terminate`.',
      type: 'string',
      enum: statuses,
    },
  },
  required: ['action'],
  type: 'object',
}

function phoneDescription({ width, height }: Size): string {
  return `Use a touchscreen to interact with a mobile device, and take screenshots.
* This is an interface to a mobile device with touchscreen. You can perform actions like clicking, typing, swiping, etc.
* Some applications may take time to start or process actions, so you may need to wait and take successive screenshots to see the results of your actions.
* The screen's resolution is ${width}x${height}.
* Make sure to click any buttons, links, icons, etc with the cursor tip in the center of the element. Don't click boxes on their edges unless asked.`
}

const phoneActionTexts: Readonly<Record<string, string>> = {
  key: `Perform a key event on the mobile device.
    - This supports adb's \`keyevent\` syntax.
    - Examples: "volume_up", "volume_down", "power", "camera", "clear".`,
  click: 'Click the point on the screen with coordinate (x, y).',
  long_press: 'Press the point on the screen with coordinate (x, y) for specified seconds.',
  swipe: 'Swipe from the starting point with coordinate (x, y) to the end point with coordinates2 (x2, y2).',
  type: 'Input the specified text into the activated input box.',
  answer: 'Output the answer.',
  system_button: 'Press the system button.',
  open: 'Open an app on the device.',
  wait: 'Wait specified seconds for the change to happen.',
  terminate: 'Terminate the current task and report its completion status.',
}

function phoneParameters(actions: ScreenRules['mobileActions']): JsonSchema {
  const list = phoneActions[actions].map((name) => `* \`${name}\`: ${phoneActionTexts[name] ?? ''}`)
  const needText =
    actions === 'answer'
      ? '`action=type` and `action=answer`'
      : '`action=key`, `action=type`, and `action=open`'
  return {
    properties: {
      action: {
        description: ['The action to perform. The available actions are:', ...list].join('\n'),
        enum: phoneActions[actions],
        type: 'string',
      },
      coordinate: {
        description: `${where} Required only by \`action=click\`, \`action=long_press\`, and \`action=swipe\`.`,
        type: 'array',
      },
      coordinate2: { description: `${where} Required only by \`action=swipe\`.`, type: 'array' },
      text: { description: `Required only by ${needText}.`, type: 'string' },
      time: {
        description: 'The seconds to wait. Required only by `action=long_press` and `action=wait`.',
        type: 'number',
      },
      button: {
        description:
          'Back means returning to the previous interface, Home means returning to the desktop, Menu means opening the application background menu, and Enter means pressing the enter. Required only by `action=system_button`',
        enum: buttons,
        type: 'string',
      },
      status: {
        description: 'The status of the task. Required only by `action=terminate`.',
        type: 'string',
        enum: statuses,
      },
    },
    required: ['action'],
    type: 'object',
  }
}
