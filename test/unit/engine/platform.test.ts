import { ModelLoadError } from '../../../lib/errors'
import { folderOf, loadAddon, type Host } from '../../../lib/engine/platform'
import type { NativeAddon } from '../../../lib/engine/binding'

const addonOf = (version: string) =>
  ({
    buildInfo: () => ({ version, llamaCpp: 'v0.5.0', edits: '', napi: 9, dynamicBackends: false }),
  }) as NativeAddon

function host(changes: Partial<Host> = {}): Host {
  return {
    root: '/app/node_modules/qwenvl-native',
    version: '1.2.3',
    platform: 'linux',
    arch: 'x64',
    libc: 'glibc',
    override: undefined,
    exists: () => true,
    carried: () => ['linux-x64'],
    find: (root) => `${root}/prebuilds/linux-x64/qwenvl-native.glibc.node`,
    load: () => addonOf('1.2.3'),
    ...changes,
  }
}

/** The path that was handed to `require`. */
function loadedPath(changes: Partial<Host>): string {
  let path = ''
  loadAddon(host({ ...changes, load: (given) => ((path = given), addonOf('1.2.3')) }))
  return path
}

function failure(changes: Partial<Host>): ModelLoadError {
  try {
    loadAddon(host(changes))
  } catch (error) {
    if (error instanceof ModelLoadError) return error
    throw error
  }
  throw new Error('loadAddon did not throw')
}

describe('which binary is loaded', () => {
  test('the one that node-gyp-build finds', () => {
    expect(loadedPath({})).toBe(
      '/app/node_modules/qwenvl-native/prebuilds/linux-x64/qwenvl-native.glibc.node',
    )
  })

  test('the musl one on a musl system that node-gyp-build takes for glibc', () => {
    expect(loadedPath({ libc: 'musl' })).toMatch(/qwenvl-native\.musl\.node$/)
  })

  test('a local build as it is, whatever the C library', () => {
    const find = () => '/app/build/Release/qwenvl-native.node'
    expect(loadedPath({ libc: 'musl', find })).toBe('/app/build/Release/qwenvl-native.node')
  })

  test('QWENVL_NATIVE_PATH before everything else', () => {
    expect(loadedPath({ override: '/else/where.node' })).toBe('/else/where.node')
  })

  test('the unpacked copy inside an Electron application', () => {
    const find = () =>
      '/app/resources/app.asar/node_modules/qwenvl-native/prebuilds/darwin-arm64/qwenvl-native.node'
    expect(loadedPath({ platform: 'darwin', libc: undefined, find })).toBe(
      '/app/resources/app.asar.unpacked/node_modules/qwenvl-native/prebuilds/darwin-arm64/qwenvl-native.node',
    )
  })
})

describe('where its backends lie', () => {
  test('beside a local build', () =>
    expect(folderOf('/app/build/Release/qwenvl-native.node')).toBe('/app/build/Release'))
  test('in a folder per C library in a prebuild', () =>
    expect(folderOf('/p/prebuilds/linux-x64/qwenvl-native.musl.node')).toBe('/p/prebuilds/linux-x64/musl'))
})

describe('without a usable binary the error is a repair manual', () => {
  const nothing = () => {
    throw new Error('No native build was found')
  }

  test('it names the platform, what the package carries, and the command', () => {
    const error = failure({ platform: 'freebsd', arch: 'riscv64', libc: undefined, find: nothing })
    expect(error.code).toBe('BINDING_NOT_FOUND')
    expect(error.message).toContain('freebsd-riscv64')
    expect(error.message).toContain('linux-x64')
    expect(error.message).toContain('`npx qwenvl-native build`')
  })

  test('it says so when the package carries nothing at all', () => {
    expect(failure({ find: nothing, carried: () => [] }).message).toContain('carries: none')
  })

  test('it refuses a glibc binary on musl instead of loading it', () => {
    const error = failure({ libc: 'musl', exists: (path) => !path.includes('musl.node') })
    expect(error.message).toContain('linux-x64 (musl)')
  })

  test('it carries the reason of the dynamic loader', () => {
    const cause = new Error("libstdc++.so.6: version `GLIBCXX_3.4.30' not found")
    const error = failure({
      load: () => {
        throw cause
      },
    })
    expect(error.message).toContain(cause.message)
    expect(error.cause).toBe(cause)
  })

  test('it refuses a binary of another version', () => {
    expect(failure({ load: () => addonOf('1.2.2') }).message).toContain(
      'belongs to version 1.2.2, this is version 1.2.3',
    )
  })

  test('it names a wrong QWENVL_NATIVE_PATH', () => {
    expect(failure({ override: '/no.node', exists: () => false }).message).toContain(
      'QWENVL_NATIVE_PATH: there is no file /no.node',
    )
  })
})

test('a bundle without our package.json skips the version check', () => {
  expect(loadAddon(host({ version: undefined, load: () => addonOf('9.9.9') })).buildInfo().version).toBe(
    '9.9.9',
  )
})
