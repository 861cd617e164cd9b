import sharp from 'sharp'
import { drawOnLatestPicture } from '../../../lib/grounding/latest'
import { image, imageEmbedding, user } from '../../../lib/prompt/messages'

const picture = async (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#888888' } })
    .png()
    .toBuffer()
const sizeOf = (width: number, height: number) => ({
  original: { width, height },
  processed: { width: 64, height: 64 },
})
const model = { generation: 'qwen3vl' } as const

async function conversation() {
  const [first, second] = [await picture(100, 80), await picture(60, 50)]
  return [user(image(first), 'What is this?'), user('And here?', image(second), 'Point at it.')]
}
const images = [sizeOf(100, 80), sizeOf(60, 50)]

describe('drawOnLatestPicture', () => {
  it('draws all boxes of an answer on the latest picture', async () => {
    const text = '<ref>it</ref><box>(100,100),(900,900)</box>'
    const file = await drawOnLatestPicture(await conversation(), { text, images }, model, { format: 'webp' })
    const { width, height, format } = await sharp(file).metadata()
    expect({ width, height, format }).toEqual({ width: 60, height: 50, format: 'webp' })
    const { data } = await sharp(file).raw().toBuffer({ resolveWithObject: true })
    expect(data.some((value) => Math.abs(value - 0x88) > 20)).toBe(true)
  })

  it('has nothing to draw without a box, without a picture, or with boxes of another picture', async () => {
    const messages = await conversation()
    const boxed = '{"bbox_2d": [1, 2, 30, 40], "img_idx": 0}'
    expect(await drawOnLatestPicture(messages, { text: 'Nothing.', images }, model)).toBeUndefined()
    expect(await drawOnLatestPicture(messages, { text: boxed, images }, model)).toBeUndefined()
    expect(await drawOnLatestPicture('Hello', { text: boxed, images: [] }, model)).toBeUndefined()
  })

  it('needs the pixels of the picture', async () => {
    const embedding = imageEmbedding({
      data: new Float32Array(4),
      grid: { t: 1, h: 2, w: 2 },
      tokens: 1,
      width: 4,
      hash: 'x',
      processed: { width: 64, height: 64 },
    })
    const answer = { text: '{"bbox_2d": [1, 2, 30, 40]}', images: [sizeOf(64, 64)] }
    await expect(drawOnLatestPicture([user(embedding)], answer, model)).rejects.toMatchObject({
      name: 'InvalidArgumentError',
      message: expect.stringContaining('not its embedding'),
    })
  })
})
