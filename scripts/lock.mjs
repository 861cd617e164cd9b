/** One builder at a time in a folder: a file with the owner's process id. A killed owner's lock is taken over. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Runs `work` while holding `file`; waits for another live holder, telling so once through `onWait(pid)`. */
export async function withLock(file, onWait, work) {
  mkdirSync(dirname(file), { recursive: true })
  for (let told = false; !take(file); await sleep(300)) {
    const owner = ownerOf(file)
    if (owner !== undefined && !alive(owner)) rmSync(file, { force: true })
    else if (owner !== undefined && !told) {
      told = true
      onWait(owner)
    }
  }
  try {
    return await work()
  } finally {
    if (ownerOf(file) === process.pid) rmSync(file, { force: true })
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

/** Process id in the lock; undefined where the lock is gone; 0 (never alive) where it cannot be read. */
function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || 0
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function alive(pid) {
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
