/** The golden cases of test/fixtures, of pictures and of videos, as tools/fixtures writes them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Every generation that has golden data: `{ id, folder, reference, cases }`, the committed order of its cases kept. */
export function readGenerations(root) {
  return readdirSync(root)
    .filter((id) => existsSync(join(root, id, 'golden.json')))
    .map((id) => {
      const folder = join(root, id)
      const { reference, cases, large } = read(join(folder, 'golden.json'))
      const videos = existsSync(join(folder, 'video.json')) ? read(join(folder, 'video.json')).cases : []
      return {
        id,
        folder,
        reference,
        cases: [
          ...cases.map((golden) => ({ ...golden, label: golden.name })),
          ...large.map((golden) => ({ ...golden, label: golden.name, isLarge: true })),
          ...videos.map((golden) => ({ ...golden, label: `video ${golden.name}` })),
        ],
      }
    })
}

/** Messages of a case as the package takes them: Qwen's spelling, with the paths of their files. */
export function messagesOf(golden, root) {
  const { minPixels, maxPixels } = golden
  const bounds = {
    ...(minPixels !== undefined && { min_pixels: minPixels }),
    ...(maxPixels !== undefined && { max_pixels: maxPixels }),
  }
  const locate = (part) => {
    if (part.type === 'image') return { ...bounds, ...part, image: join(root, 'images', part.image) }
    if (part.type !== 'video') return part
    const located = [part.video].flat().map((name) => join(root, 'video', name))
    return { ...bounds, ...part, video: Array.isArray(part.video) ? located : located[0] }
  }
  return golden.messages.map(({ content, ...message }) => ({
    ...message,
    content: Array.isArray(content) ? content.map(locate) : content,
  }))
}

/** What a case asks of the chat template. */
export function renderingOf({ addVisionId = false, tools, templateVariables }) {
  return { addVisionId, ...(tools && { tools }), ...(templateVariables && { templateVariables }) }
}

/** Options of a part, in the spelling of prepareImage and prepareVideo. */
export function optionsOf(part) {
  const name = (key) => key.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
  const options = Object.entries(part).filter(([key]) => !['type', 'image', 'video'].includes(key))
  return Object.fromEntries(options.map(([key, value]) => [name(key), value]))
}

/** Pictures, or videos, of a conversation. */
export function partsOf(messages, type) {
  return messages
    .flatMap(({ content }) => (Array.isArray(content) ? content : []))
    .filter((part) => part.type === type)
}

/** Values of a stored array. */
export function readArray(folder, { file }) {
  const bytes = readFileSync(join(folder, file))
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}

function read(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}
