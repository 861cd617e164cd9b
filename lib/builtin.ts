/** The small model that comes with the package: see docs/builtin-model.md. */
import { join } from 'node:path'

const folder = join(__dirname, '../builtin')

/** A Qwen3-VL trained on drawn shapes and printed words; what `QwenVL.load()` loads where no model is named. */
export const builtinModel = {
  model: join(folder, 'model.gguf'),
  mmproj: join(folder, 'mmproj.gguf'),
} as const
