/** Models as people name them: what to write where a name leads nowhere. */
import type { GgufFile } from './engine/binding'
import { inspectGguf } from './engine/engine'
import { ModelLoadError, QwenVLError } from './errors'

/**
 * The header of the file that `name` names.
 * @throws like `inspectGguf`; FILE_NOT_FOUND says how the other models are named
 */
export async function inspectNamed(name: string): Promise<GgufFile> {
  try {
    return await inspectGguf(name)
  } catch (error) {
    if (!QwenVLError.isInstance(error) || error.code !== 'FILE_NOT_FOUND') throw error
    const message = [error.message, ...otherNames(name)].join(' ')
    throw new ModelLoadError('FILE_NOT_FOUND', message, { cause: error, details: error.details })
  }
}

/** Nothing for what can only be a path. */
function otherNames(name: string): string[] {
  if (/\.gguf$/i.test(name)) return []
  const isRepository = /^[\w-][\w.-]*\/[\w.-]+(:[\w.-]+)?$/.test(name)
  const written = isRepository ? `hf:${name}` : 'hf:owner/name or hf:owner/name:Q4_K_M'
  return [
    `A model of Hugging Face is written ${written}; \`qwenvl-native list\` shows those that are downloaded.`,
  ]
}
