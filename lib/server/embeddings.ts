/** POST /v1/embeddings: pictures as vectors, in OpenAI's form. */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { ContentPart, ImageEmbedding } from '../index'
import { badValue } from './failure'
import type { Service } from './service'
import { given, ignored, unsupported } from './wire'

const item = z.union([z.string(), z.record(z.string(), z.unknown())], {
  error: 'a URL of a picture, or a part with image_url',
})
const schema = z.strictObject({
  model: given.text,
  input: z.union([item, z.array(item).min(1)], { error: 'URLs of pictures, or parts with image_url' }),
  encoding_format: z.enum(['float', 'base64'], { error: "'float' or 'base64'" }).optional(),
  pooling: z.enum(['mean', 'none'], { error: "'mean' or 'none'" }).optional(),
  ...unsupported('dimensions'),
  ...ignored('user'),
})

export function addEmbeddings(app: Hono, service: Service): void {
  app.post('/v1/embeddings', async (c) => {
    const {
      model,
      input,
      encoding_format: format = 'float',
      pooling = 'mean',
    } = await service.readBody(c, schema)
    service.checkName(model)
    if (format === 'base64' && pooling === 'none')
      throw badValue('encoding_format', "Rows (`pooling: 'none'`) are given as 'float' only.")
    const pictures = await picturesOf(service, Array.isArray(input) ? input : [input])
    const embeddings = await service.during(c, async (signal) => {
      const made: ImageEmbedding[] = []
      for (const picture of pictures) made.push(await service.model.embedImage(picture, { signal }))
      return made
    })
    const tokens = embeddings.reduce((sum, embedding) => sum + embedding.tokens, 0)
    return c.json({
      object: 'list',
      data: embeddings.map((embedding, index) => ({
        object: 'embedding',
        index,
        embedding: pooling === 'none' ? rowsOf(embedding) : written(meanOf(embedding), format),
      })),
      model: service.name,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  })
}

async function picturesOf(service: Service, items: readonly z.infer<typeof item>[]): Promise<ContentPart[]> {
  const gate = service.gate()
  const pictures: ContentPart[] = []
  for (const [index, each] of items.entries()) {
    const path = `input[${index}]`
    const picture =
      typeof each === 'string'
        ? { type: 'image_url', image_url: await gate.url(each, path) }
        : await gate.part(each, path)
    pictures.push(picture as ContentPart) // the library checks it
  }
  return pictures
}

/** One vector for a picture: the mean of its rows, of length 1, so that a dot product is their likeness. */
function meanOf({ data, tokens, width }: ImageEmbedding): Float32Array {
  const mean = new Float64Array(width)
  for (let row = 0; row < tokens; row++) {
    const values = data.subarray(row * width, (row + 1) * width)
    for (const [column, value] of values.entries()) mean[column] = (mean[column] ?? 0) + value
  }
  const length = Math.sqrt(mean.reduce((sum, value) => sum + value * value, 0)) || 1
  return Float32Array.from(mean, (value) => value / length)
}

function written(vector: Float32Array, format: 'float' | 'base64'): number[] | string {
  return format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector]
}

function rowsOf({ data, tokens, width }: ImageEmbedding): number[][] {
  return Array.from({ length: tokens }, (_, row) => [...data.subarray(row * width, (row + 1) * width)])
}
