/** GET /v1/models: the one model, under all its names. */
import type { Hono } from 'hono'
import { adaptersOf } from './adapters'
import type { Service } from './service'

export function addModels(app: Hono, service: Service): void {
  const { modelName: names } = service.settings
  app.get('/v1/models', (c) =>
    c.json({
      object: 'list',
      data: names.map((name) => modelOf(service, name)),
      has_more: false,
      first_id: names[0],
      last_id: names.at(-1),
    }),
  )
  app.get('/v1/models/:name{.+}', (c) => {
    const name = c.req.param('name')
    service.checkName(name)
    return c.json(modelOf(service, name))
  })
}

/** The fields of OpenAI and of Anthropic, then those that a client needs to show pictures and boxes. */
function modelOf({ model, created }: Service, id: string) {
  const { generation, generationName, contextSize, parameters, encoder, image } = model.info
  return {
    id,
    object: 'model',
    created,
    owned_by: 'qwenvl-native',
    type: 'model',
    display_name: id,
    created_at: new Date(created * 1000).toISOString(),
    generation,
    generation_name: generationName,
    context_size: contextSize,
    parameters,
    vision: encoder !== undefined,
    image: { factor: image.factor, min_pixels: image.minPixels, max_pixels: image.maxPixels },
    lora: adaptersOf(model),
  }
}
