/** LoRA adapters of a request, as llama-server has them: by their place among those of the model. Or by name. */
import { basename } from 'node:path'
import { z } from 'zod'
import type { LoraAdapter, QwenVL } from '../index'
import { badValue } from './failure'

export const adapterList = z
  .array(
    z.strictObject(
      {
        id: z.union([z.int(), z.string()], { error: 'the place or the name of an adapter' }),
        scale: z.number({ error: 'a number' }).min(-1000).max(1000).optional(),
      },
      { error: 'an adapter: { id, scale }' },
    ),
    { error: 'an array of adapters { id, scale }' },
  )
  .optional()

/** What the model was loaded with, as clients name it: `styles/terse.gguf` is "terse". */
export function adaptersOf({ info }: QwenVL) {
  return info.lora.map(({ path, scale = 1 }, id) => ({
    id,
    name: basename(path).replace(/\.gguf$/i, ''),
    scale,
  }))
}

/** @throws HttpError for one that the model was not loaded with */
export function chosenAdapters(
  model: QwenVL,
  wanted: NonNullable<z.infer<typeof adapterList>>,
): LoraAdapter[] {
  const known = adaptersOf(model)
  return wanted.map(({ id, scale }, index) => {
    const place = known.findIndex((adapter) => adapter.id === id || adapter.name === id)
    const adapter = model.info.lora[place]
    if (adapter) return { path: adapter.path, scale }
    const names = known.map(({ id, name }) => `${id} (${name})`).join(', ') || 'none'
    throw badValue(
      `lora[${index}].id`,
      `There is no adapter ${JSON.stringify(id).slice(0, 100)}; there are: ${names}.`,
    )
  })
}
