/** What this package found on the machine: for bug reports, and to see why something is slow or missing. */
import { totalmem } from 'node:os'
import { addon } from './engine/binding'
import type { Backend, BackendLibrary, Device } from './engine/binding'
import { initializedAddon } from './engine/engine'
import { backendFolder, binaryPath } from './engine/platform'

export interface SystemReport {
  /** Version of this package; the native binary has the same, else it would have been refused. */
  readonly version: string
  /** Tag of the llama.cpp inside. */
  readonly llamaCpp: string
  /** Path of the native binary in use. */
  readonly binary: string
  /** 'native': compiled for this machine alone; 'variants': the best of several for the processor at hand. */
  readonly build: 'native' | 'variants'
  readonly node: string
  readonly platform: string
  /** Compute devices, with memory in bytes. A GPU that is missing here has no backend in this build, or no driver. */
  readonly devices: readonly Device[]
  /** Kinds of devices that it can compute on, with the features of the processor that it uses. */
  readonly backends: readonly Backend[]
  /** Libraries of backends beside the binary, the unused ones too; a build for one machine has none. */
  readonly libraries: readonly BackendLibrary[]
  /** Bytes that this process may use, less than the machine has where a container limits it. */
  readonly memory: number
}

/** @throws ModelLoadError BINDING_NOT_FOUND when there is no native binary for this machine */
export function systemReport(): SystemReport {
  const { version, llamaCpp, dynamicBackends } = addon().buildInfo()
  const native = initializedAddon()
  return {
    version,
    llamaCpp,
    binary: binaryPath(),
    build: dynamicBackends ? 'variants' : 'native',
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    devices: native.devices(),
    backends: native.backends(),
    libraries: native.backendLibraries(backendFolder()),
    memory: Math.min(process.constrainedMemory() || Infinity, totalmem()),
  }
}
