/** Names of models on a Hugging Face hub: `hf:owner/name`, `hf:owner/name:Q4_K_M`, `hf:owner/name@revision:file.gguf`. Pure. */
import { InvalidArgumentError } from '../errors'

export interface ModelReference {
  /** E.g. `Qwen/Qwen3-VL-4B-Instruct-GGUF`. */
  readonly repository: string
  /** Branch, tag or commit. */
  readonly revision: string
  /** A quantisation such as `Q4_K_M`, or the path of a `.gguf` file inside the repository. */
  readonly choice: string | undefined
}

/** True for what `parseReference` is for; everything else is a path. */
export function isReference(model: string): boolean {
  return model.startsWith('hf:')
}

/** @throws InvalidArgumentError naming the form */
export function parseReference(model: string): ModelReference {
  const match = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::([^:]+))?$/.exec(model)
  const [, repository = '', revision = 'main', choice] = match ?? []
  // The hub forbids these two in names; in a cache they would lead to other folders.
  if (!match || /\.\.|--/.test(repository) || !isInside(revision) || (choice && !isInside(choice))) {
    const form = 'of the form hf:owner/name, hf:owner/name:Q4_K_M or hf:owner/name:file.gguf'
    throw new InvalidArgumentError(
      'INVALID_ARGUMENT',
      `Expected the name of a model ${form}, got '${model}'.`,
      {
        details: { argument: 'model' },
      },
    )
  }
  return { repository, revision, choice }
}

/** True for a relative path that stays below its folder, on any system. */
export function isInside(path: string): boolean {
  return !/^[/\\]|^[a-zA-Z]:|\\/.test(path) && !path.split('/').some((part) => part === '..' || part === '')
}
