import { generations } from '../../../lib/generations'
import { groundingPreset } from '../../../lib/grounding/generation'
import { imageLayout } from '../../../lib/media/geometry'
import { image } from '../../../lib/prompt/messages'

describe('groundingPreset', () => {
  it.each(generations)('gives a small picture of $name at least 1024 tokens', (generation) => {
    const { minPixels = 0 } = groundingPreset({ generation: generation.id })
    const layout = imageLayout({ width: 320, height: 200 }, { ...generation, minPixels })
    expect(layout.tokens).toBeGreaterThanOrEqual(1024)
    expect(layout.tokens).toBeLessThan(1200)
    const large = { width: 3000, height: 2000 }
    expect(imageLayout(large, { ...generation, minPixels })).toEqual(imageLayout(large, generation))
  })

  it('is options of a picture', () => {
    expect(image('a.png', groundingPreset({ generation: 'qwen3vl' }))).toEqual({
      type: 'image',
      image: 'a.png',
      minPixels: 1024 * 32 * 32,
    })
  })

  it('asks for no more than the largest picture of the model', () => {
    const model = { generation: 'qwen3vl', image: { maxPixels: 38 * 32 * 32 } } as const
    expect(groundingPreset(model)).toEqual({ minPixels: 38 * 32 * 32 })
  })

  it('names the generations where it knows none', () => {
    expect(() => groundingPreset({ generation: 'gpt' as never })).toThrow(
      /`generation` to be one of 'qwen2vl'/,
    )
  })
})
