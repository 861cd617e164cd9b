/**
 * A Hugging Face hub on 127.0.0.1: the API of repositories and, as the real one, a second server that has the bytes and to
 * which it redirects. It can be told to misbehave.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Repository {
  /** Path → content. */
  readonly files: Readonly<Record<string, Buffer>>
  /** Files that git keeps itself. Default: none, all are LFS files. */
  readonly plain?: readonly string[]
  /** Sizes that the listing tells, where they are not those of the files. */
  readonly sizes?: Readonly<Record<string, number>>
  /** Access only with this token. */
  readonly token?: string
  /** Branch → commit. Default: `main`. */
  readonly branches?: Readonly<Record<string, string>>
}

/** What goes wrong with a request; used up by the first that it fits. */
export interface Fault {
  /** Part of the path; default: any file's bytes. */
  readonly at?: string
  /** How often; default once. */
  times?: number
  /** Answer with this status, and these headers. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Cut the connection after so many bytes of the body. */
  readonly breakAfter?: number
  /** Fall silent after so many bytes. */
  readonly silentAfter?: number
  /** Send other bytes of the same length. */
  readonly wrongBytes?: true
  /** Send this instead of the file, as a captive portal does; in chunks without telling its length. */
  readonly instead?: string
  readonly chunked?: true
  /** Send the whole file although a part was asked for. */
  readonly ignoreRange?: true
  /** Before the answer, in ms. */
  readonly delay?: number
  /** Called when the request comes. */
  readonly onMeet?: () => void
}

export interface Served {
  readonly path: string
  readonly store: boolean
  readonly headers: IncomingHttpHeaders
}

export interface FakeHub extends AsyncDisposable {
  readonly endpoint: string
  readonly requests: readonly Served[]
  readonly faults: Fault[]
  /** Requests for the bytes of files. */
  transfers(): readonly Served[]
  /** Changes what is served. */
  put(name: string, repository: Repository): void
}

export const mainCommit = '0123456789abcdef0123456789abcdef01234567'

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
export const gitSha1 = (bytes: Buffer) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

/** Starts the two servers. */
export async function startHub(repositories: Readonly<Record<string, Repository>>): Promise<FakeHub> {
  const known = new Map(Object.entries(repositories))
  const requests: Served[] = []
  const faults: Fault[] = []
  const store = await listen(async (request, response) => {
    const path = note(request, true)
    const fault = await meet(path, response, faults)
    if (fault === 'answered') return
    const [, , owner, name, ...rest] = path.split('/')
    const content = known.get(`${owner}/${name}`)?.files[decodeURIComponent(rest.join('/'))]
    if (content) sendBytes(request, response, content, fault)
    else answer(response, 404)
  })
  const api = await listen(async (request, response) => {
    const path = note(request, false)
    const fault = await meet(path, response, faults)
    if (fault === 'answered') return
    const { name, commit, action, rest } = parse(path)
    const repository = known.get(name)
    if (!repository || (repository.token && request.headers.authorization !== `Bearer ${repository.token}`)) {
      answer(response, 401, { error: 'Invalid username or password.' }, { 'x-error-code': 'RepoNotFound' })
      return
    }
    const branches = repository.branches ?? { main: mainCommit }
    const found = branches[commit] ?? (Object.values(branches).includes(commit) ? commit : undefined)
    if (!found) {
      answer(response, 404, { error: `Invalid rev id: ${commit}` }, { 'x-error-code': 'RevisionNotFound' })
    } else if (action === 'revision') {
      answer(response, 200, {
        _id: '1',
        id: name,
        sha: found,
        lastModified: '2026-01-01T00:00:00.000Z',
      })
    } else if (action === 'tree') {
      sendTree(request, response, repository, `${api.address}${path}`)
    } else if (action === 'resolve' && repository.files[rest]) {
      const encoded = rest.split('/').map(encodeURIComponent).join('/')
      answer(response, 302, '', { location: `${store.address}/store/${name}/${encoded}?signature=secret` })
    } else {
      answer(response, 404, { error: 'Entry not found' }, { 'x-error-code': 'EntryNotFound' })
    }
  })

  function note({ url = '', headers }: IncomingMessage, isStore: boolean): string {
    const path = new URL(url, 'http://x').pathname
    requests.push({ path, store: isStore, headers })
    return path
  }

  return {
    endpoint: api.address,
    requests,
    faults,
    transfers: () => requests.filter((request) => request.store),
    put: (name, repository) => known.set(name, repository),
    async [Symbol.asyncDispose]() {
      await Promise.all([api.close(), store.close()])
    },
  }
}

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>) {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The fault that is due for a path; 'answered' where it was the whole answer. */
async function meet(
  path: string,
  response: ServerResponse,
  faults: Fault[],
): Promise<Fault | 'answered' | undefined> {
  const fault = faults.find(({ at = '/store/', times = 1 }) => times > 0 && path.includes(at))
  if (!fault) return undefined
  fault.times = (fault.times ?? 1) - 1
  fault.onMeet?.()
  if (fault.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay))
  if (fault.status === undefined) return fault
  answer(response, fault.status, { error: `status ${fault.status}` }, fault.headers)
  return 'answered'
}

/** `/api/models/o/n/tree/main`, `/api/models/o/n/revision/main`, `/o/n/resolve/<commit>/<path>`. */
function parse(path: string) {
  const parts = path.replace(/^\/api\/models/, '').split('/')
  const [, owner = '', name = '', action = '', commit = '', ...rest] = parts.map(decodeURIComponent)
  return { name: `${owner}/${name}`, action, commit, rest: rest.join('/') }
}

/** Two entries a page: the real hub has a thousand. */
function sendTree(
  request: IncomingMessage,
  response: ServerResponse,
  { files, plain = [], sizes = {} }: Repository,
  url: string,
) {
  const entries = Object.entries(files).map(([path, bytes]) =>
    plain.includes(path)
      ? { type: 'file', path, size: bytes.length, oid: gitSha1(bytes) }
      : {
          type: 'file',
          path,
          size: bytes.length,
          oid: gitSha1(Buffer.from(`pointer to ${path}`)),
          lfs: { oid: sha256(bytes), size: sizes[path] ?? bytes.length, pointerSize: 134 },
        },
  )
  const from = Number(new URL(request.url ?? '', 'http://x').searchParams.get('cursor') ?? 0)
  const more = from + 2 < entries.length
  const next = `<${url}?recursive=true&cursor=${from + 2}>; rel="next"`
  answer(response, 200, entries.slice(from, from + 2), more ? { link: next } : {})
}

function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  fault: Fault | undefined,
) {
  const { wrongBytes, instead, ignoreRange, breakAfter, silentAfter } = fault ?? {}
  if (instead !== undefined) {
    response.writeHead(200, { ...(!fault?.chunked && { 'content-length': instead.length }) })
    response.end(instead)
    return
  }
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const isPart = start !== undefined && !ignoreRange
  const from = isPart ? Number(start) : 0
  const to = isPart && end ? Math.min(Number(end) + 1, content.length) : content.length
  if (from >= content.length) {
    answer(response, 416, '', { 'content-range': `bytes */${content.length}` })
    return
  }
  const bytes = content.subarray(from, to)
  response.writeHead(isPart ? 206 : 200, {
    'content-length': bytes.length,
    ...(isPart && { 'content-range': `bytes ${from}-${to - 1}/${content.length}` }),
  })
  const sent = wrongBytes ? bytes.map((value) => value ^ 1) : bytes
  if (breakAfter !== undefined) response.write(sent.subarray(0, breakAfter), () => response.destroy())
  else if (silentAfter !== undefined) response.write(sent.subarray(0, silentAfter))
  else response.end(sent)
}

function answer(
  response: ServerResponse,
  status: number,
  body: unknown = '',
  headers: Readonly<Record<string, string>> = {},
) {
  const type = typeof body === 'string' ? 'text/plain' : 'application/json'
  response.writeHead(status, { 'content-type': type, ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
