/** Downloads from a hub that behaves, and from one that does not: lib/models against two real HTTP servers. */
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  AbortError,
  DownloadError,
  InvalidArgumentError,
  QwenVL,
  listModels,
  removeModel,
} from '../../../lib'
import type { PullProgress } from '../../../lib'
import { expectError, temporaryFolder } from '../../support/errors'
import { gitSha1, mainCommit, sha256, startHub } from '../../support/hub'
import type { FakeHub, Fault } from '../../support/hub'
import { listeners } from '../../support/model'

const model = randomBytes(1_200_000)
const projector = randomBytes(300_000)
const parts = [randomBytes(200_000), randomBytes(100_000)] as const
const files = {
  'README.md': Buffer.from('A model.'),
  'x-Q4_K_M.gguf': model,
  'mmproj-x-F16.gguf': projector,
  'split/x-Q8_0-00001-of-00002.gguf': parts[0],
  'split/x-Q8_0-00002-of-00002.gguf': parts[1],
}

const folder = temporaryFolder()
let hub: FakeHub
let count = 0
beforeEach(async () => {
  hub = await startHub({
    'o/n': { files },
    'o/private': { files, token: 'hf_secret' },
    'o/git': { files: { 'small-F16.gguf': projector }, plain: ['small-F16.gguf'] },
  })
})
afterEach(() => hub[Symbol.asyncDispose]())

/** Options with an empty cache. */
function fresh(rest: Parameters<typeof QwenVL.pull>[1] = {}) {
  const cacheDir = join(folder.path, String(count++))
  mkdirSync(cacheDir)
  return { endpoint: hub.endpoint, cacheDir, token: '', retries: 3, ...rest }
}

const blobsOf = (cacheDir: string, name = 'models--o--n') => join(cacheDir, name, 'blobs')
const ranges = () => hub.transfers().map(({ headers }) => headers.range)

describe('a pull', () => {
  test('brings model and projector, in the layout that Hugging Face programs share', async () => {
    const options = fresh()
    const pulled = await QwenVL.pull('hf:o/n:Q4_K_M', options)

    const root = join(options.cacheDir, 'models--o--n')
    const snapshot = join(root, 'snapshots', mainCommit)
    expect(pulled).toEqual({
      repository: 'o/n',
      commit: mainCommit,
      quantisation: 'Q4_K_M',
      model: join(snapshot, 'x-Q4_K_M.gguf'),
      mmproj: join(snapshot, 'mmproj-x-F16.gguf'),
      files: [
        {
          path: 'x-Q4_K_M.gguf',
          local: join(snapshot, 'x-Q4_K_M.gguf'),
          bytes: model.length,
          cached: false,
        },
        {
          path: 'mmproj-x-F16.gguf',
          local: join(snapshot, 'mmproj-x-F16.gguf'),
          bytes: projector.length,
          cached: false,
        },
      ],
    })
    expect(readFileSync(join(root, 'refs/main'), 'utf8')).toBe(mainCommit)
    expect(readlinkSync(pulled.model)).toBe(join('..', '..', 'blobs', sha256(model)))
    expect(readdirSync(join(root, 'blobs')).sort()).toEqual([sha256(model), sha256(projector)].sort())
    expect(readFileSync(pulled.model).equals(model)).toBe(true)
    expect(readFileSync(pulled.mmproj ?? '').equals(projector)).toBe(true)
  })

  test('finds the second time everything there', async () => {
    const options = fresh()
    await QwenVL.pull('hf:o/n', options)
    const before = hub.transfers().length
    const { files: found } = await QwenVL.pull('hf:o/n', options)
    expect(found.map(({ cached }) => cached)).toEqual([true, true])
    expect(hub.transfers()).toHaveLength(before)
  })

  test('brings all parts of a split model', async () => {
    const { model: first, files: found } = await QwenVL.pull('hf:o/n:q8_0', fresh())
    expect(first).toMatch(/split\/x-Q8_0-00001-of-00002\.gguf$/)
    expect(found.slice(0, 2).map(({ local }) => readFileSync(local).equals(parts[0]))).toEqual([true, false])
    expect(readFileSync(found[1]?.local ?? '').equals(parts[1])).toBe(true)
  })

  test('takes a model without its projector, and a projector alone', async () => {
    const options = fresh()
    const bare = await QwenVL.pull('hf:o/n:Q4_K_M', { ...options, projector: false })
    expect(bare.files.map(({ path }) => path)).toEqual(['x-Q4_K_M.gguf'])
    expect(bare.mmproj).toBeUndefined()
    const alone = await QwenVL.pull('hf:o/n:mmproj-x-F16.gguf', options)
    expect(alone.files.map(({ path }) => path)).toEqual(['mmproj-x-F16.gguf'])
  })

  test('takes another revision, and shares the blobs that are the same', async () => {
    const options = fresh()
    await QwenVL.pull('hf:o/n', options)
    const tagged = 'f'.repeat(40)
    hub.put('o/n', {
      files: { ...files, 'mmproj-x-F16.gguf': parts[1] },
      branches: { main: mainCommit, v2: tagged },
    })
    const before = hub.transfers().length
    const { commit, files: found } = await QwenVL.pull('hf:o/n@v2', options)
    expect(commit).toBe(tagged)
    expect(readFileSync(join(options.cacheDir, 'models--o--n/refs/v2'), 'utf8')).toBe(tagged)
    expect(readFileSync(found[1]?.local ?? '').equals(parts[1])).toBe(true)
    expect(hub.transfers()).toHaveLength(before + 1)
  })

  test('checks files that git keeps by the hash of git', async () => {
    const options = fresh({ projector: false })
    const { model: path } = await QwenVL.pull('hf:o/git', options)
    expect(readFileSync(path).equals(projector)).toBe(true)
    expect(readdirSync(blobsOf(options.cacheDir, 'models--o--git'))).toEqual([gitSha1(projector)])
  })

  test('tells its progress, up to all bytes', async () => {
    const heard: PullProgress[] = []
    await QwenVL.pull('hf:o/n', fresh({ onProgress: (progress) => heard.push(progress) }))
    const totalBytes = model.length + projector.length
    expect(heard.every((entry) => entry.totalBytes === totalBytes && entry.state === 'download')).toBe(true)
    const bytes = heard.map((entry) => entry.bytes)
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b))
    expect(heard.at(-1)).toMatchObject({ file: 'mmproj-x-F16.gguf', bytes: totalBytes })
  })
})

describe('the token', () => {
  test('opens a private repository, and stays with the hub when it redirects', async () => {
    await QwenVL.pull('hf:o/private', fresh({ token: 'hf_secret' }))
    const withToken = hub.requests.filter(({ headers }) => headers.authorization !== undefined)
    expect(withToken.length).toBeGreaterThan(2)
    expect(withToken.filter(({ store }) => store)).toEqual([])
  })

  test.each(['', 'hf_other'])('%p does not', async (token) => {
    await expectError(() => QwenVL.pull('hf:o/private', fresh({ token })), {
      type: DownloadError,
      code: 'HUB_ACCESS_DENIED',
      says: ['o/private', token === '' ? 'HF_TOKEN' : 'accept its terms'],
    })
  })
})

describe('a connection that breaks', () => {
  test('is made again, and goes on where it stopped', async () => {
    hub.faults.push({ breakAfter: 500_000 }, { breakAfter: 400_000 })
    const { model: path } = await QwenVL.pull('hf:o/n', fresh({ projector: false }))
    expect(readFileSync(path).equals(model)).toBe(true)
    const [first, second, third] = ranges()
    expect(first).toBeUndefined()
    expect(startOf(second)).toBeGreaterThan(0)
    expect(startOf(third)).toBeGreaterThan(startOf(second))
  })

  test('any number of times, as long as each brings something', async () => {
    hub.faults.push({ breakAfter: 150_000, times: 6 })
    const { model: path } = await QwenVL.pull('hf:o/n', fresh({ projector: false, retries: 1 }))
    expect(readFileSync(path).equals(model)).toBe(true)
  })

  test('leaves what came for the next pull', async () => {
    const options = fresh({ projector: false, retries: 0 })
    hub.faults.push({ breakAfter: 500_000 })
    await expectError(() => QwenVL.pull('hf:o/n', options), {
      type: DownloadError,
      code: 'HUB_UNREACHABLE',
      says: ['x-Q4_K_M.gguf'],
    })
    const states: string[] = []
    const { model: path } = await QwenVL.pull('hf:o/n', {
      ...options,
      onProgress: ({ state }) => states.push(state),
    })
    expect(readFileSync(path).equals(model)).toBe(true)
    expect(startOf(ranges()[1])).toBeGreaterThan(0)
    expect(states[0]).toBe('check')
    expect(readdirSync(blobsOf(options.cacheDir))).toEqual([sha256(model)])
  })

  test('and one that falls silent', async () => {
    hub.faults.push({ silentAfter: 500_000 })
    const { model: path } = await QwenVL.pull('hf:o/n', fresh({ projector: false, timeoutMs: 300 }))
    expect(readFileSync(path).equals(model)).toBe(true)
    expect(startOf(ranges()[1])).toBeGreaterThan(0)
  })

  test('before anything came, often enough, is the end', async () => {
    hub.faults.push({ breakAfter: 0, times: 99 })
    const waits: (string | undefined)[] = []
    const onProgress = ({ state, reason }: PullProgress) => state === 'wait' && waits.push(reason)
    await expectError(() => QwenVL.pull('hf:o/n', fresh({ retries: 2, onProgress })), {
      type: DownloadError,
      code: 'HUB_UNREACHABLE',
      says: ['HF_ENDPOINT'],
    })
    expect(hub.transfers()).toHaveLength(3)
    expect(waits).toHaveLength(2)
  })

  test('of a server that knows no ranges begins anew', async () => {
    hub.faults.push({ breakAfter: 500_000 }, { ignoreRange: true })
    const { model: path } = await QwenVL.pull('hf:o/n', fresh({ projector: false }))
    expect(readFileSync(path).equals(model)).toBe(true)
  })

  test('does not do so for ever', async () => {
    hub.faults.push({ ignoreRange: true, breakAfter: 300_000, times: 99 })
    await expectError(() => QwenVL.pull('hf:o/n', fresh({ retries: 1 })), {
      type: DownloadError,
      code: 'HUB_UNREACHABLE',
      says: [],
    })
    expect(hub.transfers().length).toBeLessThan(10)
  })
})

function startOf(range: string | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? NaN)
}

describe('wrong bytes', () => {
  test('are refused and thrown away', async () => {
    const options = fresh({ projector: false })
    hub.faults.push({ wrongBytes: true })
    await expectError(() => QwenVL.pull('hf:o/n', options), {
      type: DownloadError,
      code: 'DOWNLOAD_CORRUPT',
      says: ['x-Q4_K_M.gguf', sha256(model).slice(0, 12), 'thrown away'],
    })
    expect(readdirSync(blobsOf(options.cacheDir))).toEqual([])
    expect(existsSync(join(options.cacheDir, 'models--o--n/snapshots'))).toBe(false)
    const { model: path } = await QwenVL.pull('hf:o/n', options)
    expect(readFileSync(path).equals(model)).toBe(true)
  })

  test('that an earlier pull left are replaced', async () => {
    const options = fresh({ projector: false, retries: 0 })
    hub.faults.push({ wrongBytes: true, breakAfter: 500_000 })
    await expect(QwenVL.pull('hf:o/n', options)).rejects.toThrow()
    const { model: path } = await QwenVL.pull('hf:o/n', options)
    expect(readFileSync(path).equals(model)).toBe(true)
  })

  test('between right ones are noticed, and the whole is fetched again', async () => {
    hub.faults.push({ instead: '<html>One moment</html>', chunked: true })
    const { model: path } = await QwenVL.pull('hf:o/n', fresh({ projector: false }))
    expect(readFileSync(path).equals(model)).toBe(true)
    expect(ranges()).toEqual([undefined, 'bytes=23-', undefined])
  })

  test.each<[string, Fault]>([
    ['an error page', { instead: '<html>Please log in to this hotel</html>' }],
    ['a longer file', { instead: 'x'.repeat(1_200_001) }],
  ])('of another length: %s', async (_, fault) => {
    hub.faults.push(fault)
    await expectError(() => QwenVL.pull('hf:o/n', fresh()), {
      type: DownloadError,
      code: 'DOWNLOAD_CORRUPT',
      says: ['x-Q4_K_M.gguf', '1200000'],
    })
  })
})

describe('a busy hub', () => {
  const onWait = (reasons: string[]) => ({
    onProgress: ({ reason }: PullProgress) => {
      if (reason) reasons.push(reason)
    },
  })

  test('is waited for as long as it asks: seconds', async () => {
    const reasons: string[] = []
    hub.faults.push({ status: 429, headers: { 'retry-after': '1' } })
    const before = performance.now()
    await QwenVL.pull('hf:o/n', fresh(onWait(reasons)))
    expect(performance.now() - before).toBeGreaterThan(990)
    expect(reasons).toEqual([expect.stringContaining('try again in 1 s')])
  })

  test.each([
    ['a date', { 'retry-after': new Date(0).toUTCString() }],
    ['the rest of a window', { ratelimit: '"resolvers";r=0;t=0' }],
  ])('%s', async (_, headers) => {
    hub.faults.push({ status: 429, headers })
    await QwenVL.pull('hf:o/n', fresh())
    expect(hub.transfers()).toHaveLength(3)
  })

  test('also while its files are listed', async () => {
    hub.faults.push(
      { at: '/tree/', status: 429, headers: { 'retry-after': '0' } },
      { at: '/revision/', status: 503 },
    )
    await QwenVL.pull('hf:o/n', fresh())
  })

  test('but not for hours', async () => {
    hub.faults.push({ at: '/revision/', status: 429, headers: { 'retry-after': '7200' } })
    await expectError(() => QwenVL.pull('hf:o/n', fresh()), {
      type: DownloadError,
      code: 'HUB_RATE_LIMITED',
      says: ['try again in 7200 s', 'HF_TOKEN'],
    })
  })

  test('whose store refuses an address that has grown old is asked for a new one', async () => {
    hub.faults.push({ status: 403 })
    await QwenVL.pull('hf:o/n', fresh({ projector: false }))
    expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(2)
  })
})

describe('without a hub', () => {
  const nowhere = { endpoint: '', retries: 0 }
  beforeAll(async () => {
    const closed = await startHub({})
    nowhere.endpoint = closed.endpoint
    await closed[Symbol.asyncDispose]()
  })

  test('what is in the cache is used', async () => {
    const options = fresh()
    const online = await QwenVL.pull('hf:o/n', options)
    for (const away of [nowhere, { offline: true }]) {
      const found = await QwenVL.pull('hf:o/n', { ...options, ...away })
      expect(found).toMatchObject({ model: online.model, mmproj: online.mmproj, commit: mainCommit })
      expect(found.files.every(({ cached }) => cached)).toBe(true)
    }
  })

  test('nothing else is', async () => {
    const options = fresh()
    await QwenVL.pull('hf:o/n:Q4_K_M', { ...options, projector: false })
    await expectError(() => QwenVL.pull('hf:o/n:Q4_K_M', { ...options, offline: true }), {
      type: DownloadError,
      code: 'NOT_CACHED',
      says: ['hf:o/n:Q4_K_M', options.cacheDir, 'qwenvl-native pull'],
    })
    await expectError(() => QwenVL.pull('hf:o/n:Q8_0', { ...options, ...nowhere }), {
      type: DownloadError,
      code: 'HUB_UNREACHABLE',
      says: [nowhere.endpoint, 'ECONNREFUSED', 'HF_HUB_OFFLINE'],
    })
  })

  test('a split model that is not whole counts as absent', async () => {
    const options = fresh()
    const { files: found } = await QwenVL.pull('hf:o/n:Q8_0', options)
    await QwenVL.pull('hf:o/n:Q8_0', { ...options, offline: true })
    const second = found[1]?.local ?? ''
    await removeModel(`hf:o/n:Q8_0`, options)
    expect(existsSync(second)).toBe(false)
    await expect(QwenVL.pull('hf:o/n:Q8_0', { ...options, offline: true })).rejects.toThrow('not complete')
  })

  test.each([
    ['HF_HUB_OFFLINE', { HF_HUB_OFFLINE: '1' }, 'NOT_CACHED'],
    ['HF_ENDPOINT', { HF_ENDPOINT: 'http://127.0.0.1:1/' }, 'HUB_UNREACHABLE'],
  ])('%s is heard', async (_, env, code) => {
    const before = { ...process.env }
    Object.assign(process.env, env)
    try {
      const { cacheDir } = fresh()
      await expectError(() => QwenVL.pull('hf:o/n', { cacheDir, retries: 0 }), {
        type: DownloadError,
        code,
        says: [],
      })
    } finally {
      process.env = before
    }
  })
})

describe('what cannot be had:', () => {
  test.each([
    ['no such repository', 'hf:o/absent', 'HUB_ACCESS_DENIED', ['o/absent', 'absent']],
    ['no such revision', 'hf:o/n@v9', 'HUB_NOT_FOUND', ['/revision/v9']],
    ['no such quantisation', 'hf:o/n:Q2_K', 'HUB_NOT_FOUND', ['Q8_0, Q4_K_M']],
  ])('%s', async (_, reference, code, says) => {
    await expectError(() => QwenVL.pull(reference, fresh()), { type: DownloadError, code, says })
  })

  test('an address that is none', async () => {
    await expectError(() => QwenVL.pull('hf:o/n', fresh({ endpoint: 'huggingface' })), {
      type: InvalidArgumentError,
      code: 'INVALID_ARGUMENT',
      says: ['HF_ENDPOINT'],
    })
  })

  test('a hub that lists paths outside of the cache', async () => {
    hub.put('o/n', { files: { '../../../outside-Q8_0.gguf': model } })
    await expectError(() => QwenVL.pull('hf:o/n', fresh()), {
      type: DownloadError,
      code: 'DOWNLOAD_CORRUPT',
      says: ['cannot be right'],
    })
  })
})

describe('the disk', () => {
  test('without room is told before anything is fetched', async () => {
    hub.put('o/n', { files, sizes: { 'x-Q4_K_M.gguf': 2 ** 50 } })
    await expectError(() => QwenVL.pull('hf:o/n', fresh()), {
      type: DownloadError,
      code: 'DISK_FULL',
      says: ['1125899.9 GB are missing', 'HF_HUB_CACHE'],
    })
    expect(hub.transfers()).toHaveLength(0)
  })

  test('that becomes full while writing keeps what came', async () => {
    const options = fresh({ projector: false })
    const blobs = blobsOf(options.cacheDir)
    mkdirSync(blobs, { recursive: true })
    // The system's own full disk.
    symlinkSync('/dev/full', join(blobs, `${sha256(model)}.qwenvl-part`))
    await expectError(() => QwenVL.pull('hf:o/n', options), {
      type: DownloadError,
      code: 'DISK_FULL',
      says: ['HF_HUB_CACHE', 'is kept'],
    })
  })

  test('that cannot be written', async () => {
    const options = fresh()
    writeFileSync(join(options.cacheDir, 'models--o--n'), 'not a folder')
    await expectError(() => QwenVL.pull('hf:o/n', options), {
      type: DownloadError,
      code: 'CACHE_NOT_WRITABLE',
      says: ['ENOTDIR', 'HF_HUB_CACHE'],
    })
  })
})

describe('two pulls at once', () => {
  test('download once', async () => {
    const options = fresh()
    hub.faults.push({ delay: 200 })
    const states: string[] = []
    const onProgress = ({ state }: PullProgress) => states.push(state)
    const both = await Promise.all([
      QwenVL.pull('hf:o/n', options),
      QwenVL.pull('hf:o/n', { ...options, onProgress }),
    ])
    expect(both[0]).toEqual({ ...both[1], files: both[0].files })
    expect(readFileSync(both[1].model).equals(model)).toBe(true)
    expect(hub.transfers()).toHaveLength(2)
  })

  test('a lock whose process is dead holds nobody up', async () => {
    const options = fresh({ projector: false })
    const blobs = blobsOf(options.cacheDir)
    mkdirSync(blobs, { recursive: true })
    writeFileSync(join(blobs, `${sha256(model)}.qwenvl-lock`), `${hostname()} 999999999`)
    await QwenVL.pull('hf:o/n', options)
    expect(readdirSync(blobs)).toEqual([sha256(model)])
  })
})

describe('a signal', () => {
  test.each<[string, Fault]>([
    ['while files are listed', { at: '/tree/', delay: 5000 }],
    ['before the first byte', { delay: 5000 }],
    ['in the middle of a file', { silentAfter: 500_000 }],
    ['while waiting for another try', { status: 429, headers: { 'retry-after': '60' } }],
  ])('%s ends the pull, and what came is kept', async (_, fault) => {
    const stop = new AbortController()
    const onMeet = () => setTimeout(() => stop.abort(new Error('enough')), 50)
    hub.faults.push({ ...fault, onMeet })
    const options = fresh({ projector: false })
    const pulling = QwenVL.pull('hf:o/n', { ...options, signal: stop.signal })
    await expectError(() => pulling, { type: AbortError, code: 'ABORTED', says: [] })
    expect(listeners(stop.signal)).toBe(0)
    const { model: path } = await QwenVL.pull('hf:o/n', options)
    expect(readFileSync(path).equals(model)).toBe(true)
  })

  test('that fired before', async () => {
    await expect(QwenVL.pull('hf:o/n', fresh({ signal: AbortSignal.abort() }))).rejects.toThrow(AbortError)
    expect(hub.requests).toHaveLength(0)
  })
})

describe('the models in the cache', () => {
  test('are listed under names that load them', async () => {
    const options = fresh()
    await QwenVL.pull('hf:o/n:Q4_K_M', options)
    await QwenVL.pull('hf:o/n:Q8_0', options)
    const listed = await listModels(options)
    expect(
      listed.map(({ reference, quantisation, bytes, complete }) => ({
        reference,
        quantisation,
        bytes,
        complete,
      })),
    ).toEqual([
      { reference: 'hf:o/n:Q8_0', quantisation: 'Q8_0', bytes: 300_000, complete: true },
      { reference: 'hf:o/n:Q4_K_M', quantisation: 'Q4_K_M', bytes: 1_200_000, complete: true },
    ])
    expect(listed[0]?.projectors).toHaveLength(1)
    for (const { reference } of listed) await QwenVL.pull(reference, { ...options, offline: true })
    expect(await listModels({ cacheDir: join(folder.path, 'absent') })).toEqual([])
  })

  test('go one by one, the projector with the last', async () => {
    const options = fresh()
    const first = await QwenVL.pull('hf:o/n:Q4_K_M', options)
    const second = await QwenVL.pull('hf:o/n:Q8_0', options)
    const { freedBytes } = await removeModel('hf:o/n:Q4_K_M', options)
    expect(freedBytes).toBe(model.length)
    expect(existsSync(first.model)).toBe(false)
    await QwenVL.pull('hf:o/n:Q8_0', { ...options, offline: true })
    expect(await removeModel('hf:o/n:Q8_0', options)).toMatchObject({ freedBytes: 600_000 })
    expect(existsSync(second.mmproj ?? '')).toBe(false)
    expect(readdirSync(options.cacheDir)).toEqual([])
    await expectError(() => removeModel('hf:o/n:Q8_0', options), {
      type: DownloadError,
      code: 'NOT_CACHED',
      says: ['hf:o/n:Q8_0', 'qwenvl-native list'],
    })
  })

  test('go without what other programs keep beside them', async () => {
    const options = fresh()
    const { model: path } = await QwenVL.pull('hf:o/n', options)
    const other = join(path, '..', 'config.json')
    writeFileSync(other, '{}')
    await removeModel('hf:o/n', options)
    expect(existsSync(other)).toBe(true)
    expect(await listModels(options)).toEqual([])
  })

  test('go with what a broken download left', async () => {
    const options = fresh({ projector: false, retries: 0 })
    hub.faults.push({ breakAfter: 500_000 })
    await expect(QwenVL.pull('hf:o/n', options)).rejects.toThrow()
    const { freedBytes } = await removeModel('hf:o/n', options)
    expect(freedBytes).toBeGreaterThan(0)
    expect(readdirSync(options.cacheDir)).toEqual([])
  })

  test('keep a blob that another revision has too', async () => {
    const options = fresh({ projector: false })
    await QwenVL.pull('hf:o/n', options)
    hub.put('o/n', { files, branches: { main: mainCommit, v2: 'e'.repeat(40) } })
    const { model: path } = await QwenVL.pull('hf:o/n@v2', options)
    expect(await removeModel(`hf:o/n@${mainCommit}`, options)).toMatchObject({ freedBytes: 0 })
    expect(statSync(path).size).toBe(model.length)
    expect(lstatSync(path).isSymbolicLink()).toBe(true)
  })
})
