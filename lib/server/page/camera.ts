/** A picture from the camera. */
import { byId } from './dom'

const dialog = byId('camera', HTMLDialogElement)

/**
 * Shows what the camera sees until the user takes it or leaves.
 * @throws Error when there is no camera, or no permission
 */
export async function photograph(): Promise<Blob | undefined> {
  const video = dialog.querySelector('video')
  if (!video) throw new Error('index.html has no video')
  const stream = await openCamera()
  try {
    video.srcObject = stream
    await video.play()
    dialog.returnValue = ''
    dialog.showModal()
    await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }))
    return dialog.returnValue === 'take' ? await frameOf(video) : undefined
  } finally {
    for (const track of stream.getTracks()) track.stop()
    video.srcObject = null
  }
}

async function openCamera(): Promise<MediaStream> {
  // Browsers give the camera only to pages of this machine and to https.
  if (!('mediaDevices' in navigator)) {
    throw new Error('The camera needs https, or the page at http://localhost.')
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { facingMode: 'environment', width: { ideal: 1920 } },
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`The camera cannot be used: ${reason}.`, { cause: error })
  }
}

function frameOf(video: HTMLVideoElement): Promise<Blob> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight)
  canvas.getContext('2d')?.drawImage(video, 0, 0)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 })
}
