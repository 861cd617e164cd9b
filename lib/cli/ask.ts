/** `ask`: a question about pictures and videos, the answer as it is generated. */
import { system, user } from '../index'
import type { GenerationResult, GenerationStream } from '../index'
import { generateOptions } from './generation'
import type { GenerationFlags } from './generation'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { json, print } from './output'
import { clip, picture, pictureSizes, videoSizes } from './picture'
import type { VideoFlags } from './picture'

export interface AskFlags extends ModelFlags, GenerationFlags, VideoFlags {
  readonly question: string
  readonly video: readonly string[]
}

export async function ask(images: readonly string[], flags: AskFlags, signal: AbortSignal): Promise<void> {
  const messages = [
    ...(flags.system === undefined ? [] : [system(flags.system)]),
    user(...images.map(picture), ...flags.video.map((source) => clip(source, flags)), flags.question),
  ]
  await withModel(flags, signal, async (model) => {
    const stream = model.stream(messages, { ...generateOptions(flags), signal })
    if (flags.json) await print(json(await stream.result), signal)
    else await printText(stream, signal)
    if (flags.verbose) process.stderr.write(report(await stream.result))
  })
}

/** The text as it comes; ends with a line feed. */
export async function printText(stream: GenerationStream, signal: AbortSignal): Promise<void> {
  let last = ''
  for await (const part of stream) {
    if (part.type !== 'text' || part.text === '') continue
    last = part.text
    await print(part.text, signal)
  }
  if (!last.endsWith('\n')) await print('\n', signal)
}

/** What happened, for people; `--json` has all of it. */
export function report({ images, videos, usage, timings, finishReason }: GenerationResult): string {
  const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`
  const rate = usage.completionTokens / (timings.generateMs / 1000)
  const pictures = images.map((entry, index) => `picture ${index + 1}: ${pictureSizes(entry)}\n`)
  const clips = videos.map((entry, index) => `video ${index + 1}: ${videoSizes(entry)}\n`)
  return [
    ...pictures,
    ...clips,
    `read pictures ${ms(timings.decodeImageMs)}, encode ${ms(timings.encodeMs)}, `,
    `prefill ${usage.promptTokens} tokens (${usage.cachedTokens} kept) ${ms(timings.prefillMs)}, `,
    `generate ${usage.completionTokens} tokens ${ms(timings.generateMs)} (${rate.toFixed(1)}/s), ended by ${finishReason}\n`,
  ].join('')
}
