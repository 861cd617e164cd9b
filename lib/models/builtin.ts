/** The small model that comes with the package: where its two files lie. */
import { join } from 'node:path'

/** Electron cannot map files inside an asar archive; its packagers put them beside it. */
const folder = join(__dirname, '..', '..', 'models', 'builtin').replace(/\.asar(?=[\\/])/, '.asar.unpacked')

/** Model and projector, as load options. */
export const builtinModel = {
  model: join(folder, 'model.gguf'),
  mmproj: join(folder, 'mmproj.gguf'),
} as const
