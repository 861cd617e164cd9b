/** A prompt of the AI SDK as messages of this package. */
import type {
  JSONValue,
  LanguageModelV3DataContent,
  LanguageModelV3FilePart,
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV3ToolResultOutput,
  LanguageModelV3ToolResultPart,
  SharedV3ProviderOptions,
} from '@ai-sdk/provider'
import { invalidArgument } from '../errors'
import type { ContentPart, Message } from '../index'

/** @throws InvalidArgumentError for a file that is neither picture nor video */
export function messagesOf(prompt: LanguageModelV3Prompt): Message[] {
  return prompt.flatMap(messageOf)
}

/** What is meant for this package; the AI SDK hands on the options of all providers. */
export function ownOptions(
  options: SharedV3ProviderOptions | undefined,
): Record<string, JSONValue | undefined> {
  return options?.['qwenvl'] ?? {}
}

function messageOf(message: LanguageModelV3Message): Message[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }]
    case 'user':
      return [
        {
          role: 'user',
          content: message.content.map((part) =>
            part.type === 'text' ? textPart(part.text) : filePart(part),
          ),
        },
      ]
    case 'assistant':
      return [answerOf(message)]
    case 'tool':
      return message.content.flatMap((part) => (part.type === 'tool-result' ? [resultOf(part)] : []))
  }
}

function answerOf({ content }: Extract<LanguageModelV3Message, { role: 'assistant' }>): Message {
  const calls = content.flatMap((part) =>
    part.type === 'tool-call'
      ? [
          {
            id: part.toolCallId,
            function: { name: part.toolName, arguments: JSON.stringify(part.input ?? {}) },
          },
        ]
      : [],
  )
  const thought = content.flatMap((part) => (part.type === 'reasoning' ? [part.text] : [])).join('')
  return {
    role: 'assistant',
    content: content.flatMap((part) =>
      part.type === 'text' ? [textPart(part.text)] : part.type === 'file' ? [filePart(part)] : [],
    ),
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(thought !== '' && { reasoning_content: thought }),
  }
}

function resultOf({ toolCallId, toolName, output }: LanguageModelV3ToolResultPart): Message {
  return { role: 'tool', tool_call_id: toolCallId, name: toolName, content: contentOf(output) }
}

function contentOf(output: LanguageModelV3ToolResultOutput): string | ContentPart[] {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value)
    case 'execution-denied':
      return output.reason ?? 'The user did not allow the call.'
    case 'content':
      return output.value.map((part) => {
        switch (part.type) {
          case 'text':
            return textPart(part.text)
          case 'image-data':
          case 'file-data':
            return mediaPart(part.mediaType, part.data, part.providerOptions)
          case 'image-url':
            return mediaPart('image/*', new URL(part.url), part.providerOptions)
          case 'file-url':
            return mediaPart(part.mediaType ?? 'image/*', new URL(part.url), part.providerOptions)
          default:
            throw invalidArgument('output', 'texts, pictures or videos', part.type)
        }
      })
  }
}

function textPart(text: string): ContentPart {
  return { type: 'text', text }
}

function filePart({ mediaType, data, providerOptions }: LanguageModelV3FilePart): ContentPart {
  return mediaPart(mediaType, data, providerOptions)
}

function mediaPart(
  mediaType: string,
  data: LanguageModelV3DataContent,
  options: SharedV3ProviderOptions | undefined,
): ContentPart {
  // A text is base64 here, never a path.
  const source = typeof data === 'string' ? Buffer.from(data, 'base64') : data
  const own = ownOptions(options)
  if (mediaType.startsWith('image/')) return { ...own, type: 'image', image: source }
  if (mediaType.startsWith('video/')) return { ...own, type: 'video', video: source }
  throw invalidArgument('mediaType', 'of a picture or video (image/…, video/…)', mediaType)
}
