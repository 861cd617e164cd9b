/** A picture of coloured shapes as the built-in model knows them: drawn anew from a seed, with what is in it. */
import sharp from 'sharp'

const colours = {
  red: '#d62226',
  orange: '#fa8a10',
  yellow: '#f6de28',
  green: '#249a3c',
  blue: '#2050d6',
  purple: '#7c2ea8',
  pink: '#fa86ba',
  black: '#101012',
}

/** Outlines around the origin, in a circle of radius 1. */
const outlines = {
  circle: '<circle r="1"/>',
  square: '<rect x="-0.82" y="-0.82" width="1.64" height="1.64"/>',
  triangle: polygon(3),
  star: polygon(10, 0.42),
  cross: '<path d="M-.34-1H.34V-.34H1V.34H.34V1H-.34V.34H-1V-.34H-.34z"/>',
  ring: '<circle r="0.78" fill="none" stroke="currentColor" stroke-width="0.44"/>',
}

/**
 * Two to four shapes of different kinds and colours on a light ground.
 * @param {number} seed same seed, same picture
 * @returns {Promise<{ png: Buffer, things: { name: string, x: number, y: number, radius: number }[] }>}
 */
export async function drawScene(seed, width = 320, height = 240) {
  const random = generator(seed)
  const kinds = shuffled(Object.keys(outlines), random)
  const tints = shuffled(Object.keys(colours), random)
  const things = []
  for (let tries = 0; things.length < 2 + (seed % 3) && tries < 200; tries++) {
    const radius = 24 + 20 * random()
    const x = radius + (width - 2 * radius) * random()
    const y = radius + (height - 2 * radius) * random()
    if (things.every((other) => Math.hypot(other.x - x, other.y - y) > other.radius + radius + 10)) {
      const [kind, tint] = [kinds[things.length], tints[things.length]]
      things.push({ name: `${tint} ${kind}`, kind, tint, x, y, radius })
    }
  }
  const shapes = things.map(
    ({ kind, tint, x, y, radius }) =>
      `<g transform="translate(${x} ${y}) scale(${radius})" fill="${colours[tint]}" color="${colours[tint]}">${outlines[kind]}</g>`,
  )
  const ground = `<rect width="${width}" height="${height}" fill="#e6ebee"/>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${ground}${shapes.join('')}</svg>`
  return { png: await sharp(Buffer.from(svg)).png().toBuffer(), things }
}

function polygon(count, inner = 1) {
  const points = Array.from({ length: count }, (_, index) => {
    const angle = (2 * Math.PI * index) / count - Math.PI / 2
    const radius = index % 2 ? inner : 1
    return `${radius * Math.cos(angle)},${radius * Math.sin(angle)}`
  })
  return `<polygon points="${points.join(' ')}"/>`
}

/** Numbers from 0 to 1 (mulberry32). */
function generator(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffled(items, random) {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}
