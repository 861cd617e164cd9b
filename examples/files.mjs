/** The files that the examples use: a model and its projector from the environment, a picture as first argument. */
import { fileURLToPath } from 'node:url'

const { QWENVL_MODEL, QWENVL_MMPROJ } = process.env

if (!QWENVL_MODEL || !QWENVL_MMPROJ) {
  console.error(
    'Set QWENVL_MODEL and QWENVL_MMPROJ to the GGUF files of a model and its projector, for example from\n' +
      'https://huggingface.co/Qwen/Qwen3-VL-4B-Instruct-GGUF, and run this again.',
  )
  process.exit(1)
}

export const model = QWENVL_MODEL
export const mmproj = QWENVL_MMPROJ
export const picture =
  process.argv[2] ?? fileURLToPath(new URL('../test/fixtures/images/scene.png', import.meta.url))
