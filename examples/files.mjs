/**
 * The files that the examples use: a model and its projector from the environment, else the built-in model; a picture as
 * first argument.
 */
import { fileURLToPath } from 'node:url'

export const { QWENVL_MODEL: model, QWENVL_MMPROJ: mmproj } = process.env
export const picture =
  process.argv[2] ?? fileURLToPath(new URL('../test/fixtures/images/scene.png', import.meta.url))
