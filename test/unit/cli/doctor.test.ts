/** What `doctor` makes of machines that are not this one. */
import type { SystemReport } from '../../../lib'
import { findingsOf } from '../../../lib/cli/doctor'

const cpu = { name: 'CPU', description: 'Ryzen', kind: 'cpu', memoryFree: 1e9, memoryTotal: 2e9 } as const
const gpu = { name: 'CUDA0', description: 'RTX', kind: 'gpu', memoryFree: 7.5e9, memoryTotal: 8e9 } as const
const report: SystemReport = {
  version: '1.2.3',
  llamaCpp: 'v1',
  binary: '/x/qwenvl-native.glibc.node',
  build: 'variants',
  node: 'v20.9.0',
  platform: 'linux-x64',
  devices: [cpu],
  backends: [{ name: 'CPU', features: ['AVX2', 'FMA'] }],
  libraries: [
    { file: 'libggml-cpu-alderlake.so', score: 0 },
    { file: 'libggml-cpu-haswell.so', score: 64 },
    { file: 'libggml-cpu-sse42.so', score: 5 },
    { file: 'libggml-cpu-zen4.so', problem: 'cannot open shared object file' },
  ],
  memory: 2e9,
}

const told = (changes: Partial<SystemReport>, check: string) =>
  findingsOf({ ...report, ...changes })
    .filter((finding) => finding.check === check)
    .map(({ state, text }) => `${state}: ${text}`)

test('which library computes, and why the others do not', () => {
  expect(told({}, 'variants')).toEqual([
    'ok: libggml-cpu-haswell.so is used (64 points); of the others 1 suit less, 1 need another processor, ' +
      'libggml-cpu-zen4.so cannot be loaded: cannot open shared object file',
  ])
  expect(told({ libraries: [] }, 'variants')).toEqual([])
  expect(told({}, 'processor')[0]).toMatch(/^ok: Ryzen, \d+ threads at once; used: AVX2, FMA$/)
})

test('a GPU that is used', () => {
  expect(told({ devices: [gpu, cpu] }, 'GPU')).toEqual(['ok: CUDA0: RTX, 7.5 GB of 8.0 GB free'])
})

test('a backend whose driver is missing', () => {
  const cuda = { file: 'libggml-cuda.so', problem: 'libcuda.so.1: cannot open shared object file' }
  expect(told({ libraries: [...report.libraries, cuda] }, 'GPU')).toEqual([
    'note: libggml-cuda.so cannot be loaded: libcuda.so.1: cannot open shared object file. It needs the driver of NVIDIA ' +
      'and the libraries of CUDA (cudart, cuBLAS), where the linker finds them (LD_LIBRARY_PATH)',
  ])
})

test('a backend that finds no device', () => {
  const backends = [...report.backends, { name: 'Vulkan', features: [] }]
  expect(told({ backends }, 'GPU')).toEqual([
    'note: none found by Vulkan: a driver is missing, or there is none',
  ])
})
