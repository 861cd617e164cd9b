/** A real Chromium, and where two of its pictures differ. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import sharp from 'sharp'
import { root } from './fixtures'

/** @throws Error that says how to install one */
export async function startBrowser(): Promise<Browser> {
  const script = join(root, 'scripts/chromium.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  const camera = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
  return chromium.launch({ executablePath: stdout.trim(), args: [...sandbox, ...camera] })
}

/** Where two screenshots differ: the edges of the smallest rectangle around it, and whether a pixel does. */
export async function compare(one: Buffer, other: Buffer) {
  const [first, second] = await Promise.all([one, other].map(rawPixels))
  if (!first || !second) throw new Error('no pictures')
  const { width, height } = first.info
  const differs = (x: number, y: number) => {
    const at = (Math.round(y) * width + Math.round(x)) * 3
    return [0, 1, 2].some(
      (channel) => Math.abs((first.data[at + channel] ?? 0) - (second.data[at + channel] ?? 0)) > 8,
    )
  }
  const all = Array.from({ length: width * height }, (_, at) => [at % width, Math.floor(at / width)] as const)
  const places = all.filter(([x, y]) => differs(x, y))
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)]
  const edges = [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1] as const
  return { edges, differs }
}

function rawPixels(png: Buffer) {
  return sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
}
