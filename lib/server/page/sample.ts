/** A picture for people who have none at hand: coloured shapes, others each time. */

const side = 448
const colours = {
  red: '#d62226',
  green: '#249a3c',
  blue: '#2050d6',
  yellow: '#f6de28',
  purple: '#7c2ea8',
  orange: '#fa8a10',
}

/** Also tells of one thing in it: "blue circle". */
export async function samplePicture(): Promise<{ readonly file: Blob; readonly thing: string }> {
  const canvas = new OffscreenCanvas(side, side)
  const context = canvas.getContext('2d')
  if (!context) throw new Error('This browser cannot draw.')
  context.fillStyle = '#f4f1ea'
  context.fillRect(0, 0, side, side)
  const places = shuffled([
    [0.27, 0.27],
    [0.73, 0.3],
    [0.3, 0.73],
    [0.7, 0.72],
  ])
  const chosen = shuffled(Object.entries(colours))
  let thing = ''
  for (const [index, [shape, draw]] of shuffled(Object.entries({ circle, square, triangle })).entries()) {
    const [x = 0.5, y = 0.5] = places[index] ?? []
    const [name = '', colour = ''] = chosen[index] ?? []
    thing = `${name} ${shape}`
    context.fillStyle = colour
    context.beginPath()
    draw(context, x * side, y * side, side * (0.11 + 0.06 * Math.random()))
    context.fill()
  }
  return { file: await canvas.convertToBlob({ type: 'image/png' }), thing }
}

type Draw = (context: OffscreenCanvasRenderingContext2D, x: number, y: number, radius: number) => void

const circle: Draw = (context, x, y, radius) => context.arc(x, y, radius, 0, 2 * Math.PI)

const square: Draw = (context, x, y, radius) => context.rect(x - radius, y - radius, 2 * radius, 2 * radius)

const triangle: Draw = (context, x, y, radius) => {
  context.moveTo(x, y - radius)
  context.lineTo(x + radius, y + radius * 0.8)
  context.lineTo(x - radius, y + radius * 0.8)
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}
