/** Pictures of the user: read as they are, sent as they are. */

export interface Picture {
  readonly name: string
  /** Data URI of the file. */
  readonly url: string
  /** In pixels, upright: as the browser shows it, and as the model counts. */
  readonly width: number
  readonly height: number
}

/** @throws Error that says what to do instead */
export async function readPicture(file: Blob, name: string): Promise<Picture> {
  const url = await dataUrl(file)
  const shown = new Image()
  shown.src = url
  try {
    await shown.decode()
  } catch {
    throw new Error(`This browser cannot show ${name}. Use a PNG, JPEG or WebP picture.`)
  }
  const { naturalWidth: width, naturalHeight: height } = shown
  return { name, url, width, height }
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
