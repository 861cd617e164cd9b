/** Draws an answer onto the latest picture of its conversation, as the helper of the first Qwen-VL does. */
import { invalidArgument } from '../errors'
import type { MessagesInput } from '../prompt/messages'
import { normaliseMessages } from '../prompt/normalise'
import { drawGrounding } from './draw'
import type { DrawOptions } from './draw'
import { parseGrounding } from './parse'
import type { GroundedAnswer, GroundingOptions } from './parse'

/**
 * The latest picture of a conversation with everything that the answer points at in it.
 *
 * @param messages What was asked; at least the message with the picture.
 * @param grounding As for `parseGrounding`: `vl.info`.
 * @returns The file; undefined if there is no picture or nothing to draw.
 * @throws InvalidArgumentError, also for a picture that was given as an embedding; ImageError; AbortError
 */
export async function drawOnLatestPicture(
  messages: MessagesInput,
  answer: GroundedAnswer,
  grounding: GroundingOptions,
  options: DrawOptions = {},
): Promise<Buffer | undefined> {
  const picture = normaliseMessages(messages)
    .flatMap(({ parts }) => parts)
    .findLast((part) => part.type === 'image' || part.type === 'embedding')
  const latest = answer.images.length - 1
  const items = parseGrounding(answer, grounding).filter(({ imageIndex }) => imageIndex === latest)
  if (!picture || items.length === 0) return undefined
  if (picture.type === 'embedding') {
    throw invalidArgument(
      'messages',
      'with pixels to draw on: the picture itself, not its embedding',
      messages,
    )
  }
  return drawGrounding(picture.source, items, { page: picture.options.page, ...options })
}
