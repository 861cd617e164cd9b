/**
 * Finds and loads the native addon: QWENVL_NATIVE_PATH, the local build (build/Release), or the binary that the package
 * carries for this platform (prebuilds/<platform>-<arch>). Its error is a repair manual.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { resolve as resolveLocal } from 'node-gyp-build'
import { ModelLoadError } from '../errors'
import type { NativeAddon } from './binding'

/** What loading depends on; tests pass a pretended one. */
export interface Host {
  /** Folder of the installed package, with package.json. */
  readonly root: string
  /** Version in package.json; undefined where a bundler moved this file away from it. */
  readonly version: string | undefined
  readonly platform: string
  readonly arch: string
  /** C library of a Linux machine. */
  readonly libc: 'glibc' | 'musl' | undefined
  readonly override: string | undefined
  exists(path: string): boolean
  /** Platforms that the package carries binaries for, e.g. `['linux-x64']`. */
  carried(): readonly string[]
  /** node-gyp-build's search; throws when it finds nothing. */
  find(root: string): string
  load(path: string): NativeAddon
}

let loadedFrom: string | undefined

/** Loads the addon. Throws ModelLoadError BINDING_NOT_FOUND: what was tried, why it failed, what to run. */
export function loadAddon(host: Host = thisHost()): NativeAddon {
  const path = locate(host)
  let addon: NativeAddon
  try {
    addon = host.load(path)
  } catch (cause) {
    throw notFound(host, [`${path}: ${messageOf(cause)}`], cause)
  }
  const built = addon.buildInfo().version
  if (host.version !== undefined && built !== host.version) {
    throw notFound(host, [`${path}: it belongs to version ${built}, this is version ${host.version}`])
  }
  loadedFrom = path
  return addon
}

/** Absolute path of the loaded addon. */
export function binaryPath(): string {
  if (loadedFrom === undefined) loadAddon()
  return loadedFrom ?? ''
}

/** Absolute folder with the ggml backends of the loaded addon. */
export function backendFolder(): string {
  return folderOf(binaryPath())
}

/** Prebuilt Linux binaries keep their libraries in a folder named after the C library. */
export function folderOf(binary: string): string {
  const libc = /\.(glibc|musl)\.node$/.exec(basename(binary))?.[1]
  return libc ? join(dirname(binary), libc) : dirname(binary)
}

function locate(host: Host): string {
  if (host.override !== undefined) {
    const path = resolve(host.override)
    if (host.exists(path)) return path
    throw notFound(host, [`QWENVL_NATIVE_PATH: there is no file ${path}`])
  }
  let found: string
  try {
    found = host.find(host.root)
  } catch (cause) {
    throw notFound(
      host,
      [`no local build in ${join(host.root, 'build', 'Release')}`, prebuildReason(host)],
      cause,
    )
  }
  // node-gyp-build knows musl only on Alpine, and a glibc binary would load there until its first missing symbol.
  const path = outsideArchive(found.replace(/\.(glibc|musl)\.node$/, `.${host.libc ?? '$1'}.node`))
  if (!host.exists(path)) throw notFound(host, [`${path}: no such file`, prebuildReason(host)])
  return path
}

/** Electron cannot load libraries out of an asar archive; the packager puts them beside it. */
function outsideArchive(path: string): string {
  return path.replace(/\.asar(?=[\\/])/, '.asar.unpacked')
}

function prebuildReason(host: Host): string {
  const carried = host.carried()
  return `no prebuilt binary for ${platformName(host)} (the package carries: ${carried.join(', ') || 'none'})`
}

function notFound(host: Host, tried: readonly string[], cause?: unknown): ModelLoadError {
  const message = [
    `The native part of qwenvl-native cannot be loaded on ${platformName(host)}.`,
    ...tried.map((reason) => `  - ${reason}`),
    'Compile it once with `npx qwenvl-native build` (a few minutes; needs a C++17 compiler, CMake and git),',
    'or set QWENVL_NATIVE_PATH to the path of a qwenvl-native.node of this version.',
  ].join('\n')
  return new ModelLoadError('BINDING_NOT_FOUND', message, {
    cause,
    details: { platform: platformName(host), tried },
  })
}

function platformName({ platform, arch, libc }: Host): string {
  return `${platform}-${arch}${libc ? ` (${libc})` : ''}`
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function thisHost(): Host {
  const root = join(__dirname, '..', '..')
  return {
    root,
    version: versionIn(root),
    platform: process.platform,
    arch: process.arch,
    libc: process.platform === 'linux' ? libcOfProcess() : undefined,
    override: process.env['QWENVL_NATIVE_PATH'] || undefined,
    exists: existsSync,
    carried: () => foldersIn(join(root, 'prebuilds')),
    find: resolveLocal,
    load: (path) => createRequire(__filename)(path) as NativeAddon,
  }
}

function versionIn(root: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      name?: string
      version?: string
    }
    return manifest.name === 'qwenvl-native' ? manifest.version : undefined
  } catch {
    return undefined
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    )
  } catch {
    return []
  }
}

function libcOfProcess(): 'glibc' | 'musl' {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined
  if (!report) return 'glibc'
  // Without this the report resolves the names of all open sockets.
  const before = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
  report.excludeNetwork = before ?? false
  return header?.glibcVersionRuntime ? 'glibc' : 'musl'
}
