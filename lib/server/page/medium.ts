/** Pictures and videos of the user: read as they are, sent as they are. */
import { element } from './dom'

export interface Picture {
  readonly kind: 'picture'
  readonly name: string
  /** Data URI of the file. */
  readonly url: string
  /** In pixels, upright: as the browser shows it, and as the model counts. */
  readonly width: number
  readonly height: number
}

/** The server reads it: the browser need not know its form. */
export interface Video {
  readonly kind: 'video'
  readonly name: string
  /** Data URI of the file. */
  readonly url: string
  /** The same for this page's own player. */
  readonly preview: string
}

export type Medium = Picture | Video

/** @throws Error that says what to do instead */
export async function readMedium(file: Blob, name: string): Promise<Medium> {
  const url = await dataUrl(file)
  if (isVideo(file, name)) return { kind: 'video', name, url, preview: URL.createObjectURL(file) }
  const shown = new Image()
  shown.src = url
  try {
    await shown.decode()
  } catch {
    throw new Error(`This browser cannot show ${name}. Use a PNG, JPEG or WebP picture, or a video.`)
  }
  const { naturalWidth: width, naturalHeight: height } = shown
  return { kind: 'picture', name, url, width, height }
}

/** By its name where the system does not know the kind of file. */
function isVideo({ type }: Blob, name: string): boolean {
  return type === ''
    ? /\.(avi|flv|m4v|mkv|mov|mp4|mpe?g|ogv|webm|wmv)$/i.test(name)
    : type.startsWith('video/')
}

/** @param controls Whether a video can be played. */
export function shownMedium(medium: Medium, controls: boolean): HTMLElement {
  const { name } = medium
  if (medium.kind === 'picture') return element('img', { src: medium.url, alt: name })
  return element('video', {
    src: medium.preview,
    title: name,
    ariaLabel: name,
    controls,
    muted: true,
    playsInline: true,
    preload: 'metadata',
  })
}

function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result as string)
    reader.onerror = () =>
      reject(new Error(`The file cannot be read: ${reader.error?.message ?? 'no reason'}`))
    reader.readAsDataURL(file)
  })
}
