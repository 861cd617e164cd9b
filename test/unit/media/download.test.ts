import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { BlockList } from 'node:net'
import type { AddressInfo } from 'node:net'
import { download, isPublicAddress } from '../../../lib/media/download'

/** Answers by path; what a test hears is what a real server got. */
const heard: IncomingMessage[] = []
const pages: Record<string, (response: ServerResponse, request: IncomingMessage) => void> = {
  '/picture': (response) => response.end('the bytes'),
  '/missing': (response) => response.writeHead(404).end('no'),
  '/nowhere': (response) => response.writeHead(302).end(),
  '/hop': (response) => response.writeHead(307, { location: '/picture' }).end(),
  '/circle': (response) => response.writeHead(301, { location: '/circle' }).end(),
  '/to-file': (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/to-nonsense': (response) => response.writeHead(302, { location: 'http://[' }).end(),
  '/to-metadata': (response) => response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
  '/announced': (response) => response.writeHead(200, { 'content-length': '101' }).end('x'.repeat(101)),
  '/endless': (response) => {
    const timer = setInterval(() => response.write('x'.repeat(1000)), 1)
    response.once('close', () => clearInterval(timer))
  },
  '/silent': () => undefined,
  '/stalls': (response) => response.write('a first byte'),
  '/cut': (response) => {
    response.writeHead(200, { 'content-length': '50' }).write('half')
    setTimeout(() => response.destroy(), 20)
  },
}

let server: Server
let origin: string

beforeAll(async () => {
  server = createServer((request, response) => {
    heard.push(request)
    pages[new URL(request.url ?? '/', 'http://x').pathname]?.(response, request)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

beforeEach(() => heard.splice(0))
afterEach(() => jest.restoreAllMocks())

const options = { maxBytes: 100, timeoutMs: 10_000, allowPrivateAddresses: true }
const get = (path: string, more: Partial<Parameters<typeof download>[1]> = {}) =>
  download(new URL(path, origin), { ...options, ...more })

/** As if 127.0.0.1, and nothing else of the private ranges, were a public address. */
function makeServerPublic() {
  const check = Reflect.get(BlockList.prototype, 'check') as (this: BlockList, ...of: unknown[]) => boolean
  jest.spyOn(BlockList.prototype, 'check').mockImplementation(function (this: BlockList, ...of: unknown[]) {
    return of[0] === '127.0.0.1' ? false : check.apply(this, of)
  })
}

describe('download', () => {
  it('gets the body, and says who asks for what', async () => {
    expect(Buffer.from(await get('/picture')).toString()).toBe('the bytes')
    expect(heard[0]?.headers).toMatchObject({ 'user-agent': 'qwenvl-native', 'accept-encoding': 'identity' })
  })

  it('follows redirects', async () => {
    expect(Buffer.from(await get('/hop')).toString()).toBe('the bytes')
  })

  it.each([
    ['/missing', /status 404/],
    ['/nowhere', /status 302/],
    ['/circle', /redirects more than 5 times/],
    ['/to-file', /redirects to file:/],
    ['/to-nonsense', /no URL/],
    ['/cut', /aborted/],
  ])('fails for %s', async (path, message) => {
    await expect(get(path)).rejects.toMatchObject({
      name: 'ImageError',
      code: 'IMAGE_DOWNLOAD',
      message: expect.stringMatching(message),
    })
  })

  it('fails where nobody listens, and where no host is', async () => {
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const { port } = closed.address() as AddressInfo
    await new Promise((resolve) => closed.close(resolve))
    for (const url of [`http://127.0.0.1:${port}/`, 'http://no-such-host.invalid/']) {
      await expect(download(new URL(url), options)).rejects.toMatchObject({
        code: 'IMAGE_DOWNLOAD',
        message: expect.stringMatching(/ECONNREFUSED|ENOTFOUND|EAI_AGAIN/),
      })
    }
  })

  it('keeps secrets of the URL out of the message', async () => {
    const url = new URL('/missing?signature=secret', origin)
    url.username = 'me'
    url.password = 'secret'
    await expect(download(url, options)).rejects.toMatchObject({
      message: expect.not.stringContaining('secret'),
    })
  })

  it.each(['/announced', '/endless'])('stops at the size limit: %s', async (path) => {
    await expect(get(path)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE', details: { maxBytes: 100 } })
  })

  it.each(['/silent', '/stalls'])('gives up after the time limit: %s', async (path) => {
    await expect(get(path, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'IMAGE_DOWNLOAD',
      message: expect.stringContaining('longer than 50 ms'),
    })
  })

  it.each(['/silent', '/stalls'])('can be aborted: %s', async (path) => {
    const caller = new AbortController()
    const reason = new Error('changed my mind')
    setTimeout(() => caller.abort(reason), 50)
    await expect(get(path, { signal: caller.signal })).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORTED',
      cause: reason,
    })
    expect(getEventListeners(caller.signal, 'abort')).toEqual([])
  })

  it('asks nobody when it is aborted already', async () => {
    await expect(get('/picture', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(heard).toEqual([])
  })
})

describe('without allowPrivateAddresses', () => {
  const refused = { name: 'ImageError', code: 'IMAGE_ADDRESS_REFUSED' }
  const strict = { allowPrivateAddresses: false }

  it('refuses private addresses and names that lead to them', async () => {
    await expect(get('/picture', strict)).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/127\.0\.0\.1.*allowPrivateAddresses: true/),
    })
    const named = new URL(origin.replace('127.0.0.1', 'localhost'))
    await expect(download(named, { ...options, ...strict })).rejects.toMatchObject({
      ...refused,
      details: { host: 'localhost', address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/) },
    })
    expect(heard).toEqual([])
  })

  it.each([
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://[64:ff9b::a00:1]/',
  ])('sees through %s', async (url) => {
    await expect(download(new URL(url), { ...options, ...strict })).rejects.toMatchObject(refused)
  })

  it('checks again after a redirect', async () => {
    makeServerPublic()
    expect(Buffer.from(await get('/hop', strict)).toString()).toBe('the bytes')
    await expect(get('/to-metadata', strict)).rejects.toMatchObject({
      ...refused,
      details: { host: '169.254.169.254' },
    })
  })
})

describe('isPublicAddress', () => {
  it.each(['8.8.8.8', '100.63.255.255', '172.32.0.1', '198.20.0.1', '223.255.255.255'])(
    '%s is',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  it.each(['2606:4700:4700::1111', '2a00:1450:4001::200e', '64:ff9b::8.8.8.8', '::ffff:8.8.8.8'])(
    '%s is',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.9.9.9', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
    ...['192.0.0.8', '192.0.2.1', '192.168.1.1', '198.18.0.1', '198.51.100.1', '203.0.113.9', '224.0.0.1'],
    ...['240.0.0.1', '255.255.255.255'],
  ])('%s is not, nor inside an IPv6 address', (address) => {
    expect(isPublicAddress(address)).toBe(false)
    expect(isPublicAddress(`::ffff:${address}`)).toBe(false)
    expect(isPublicAddress(`64:ff9b::${address}`)).toBe(false)
  })

  it.each([
    ...['::', '::1', '::7f00:1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12:3456::1', 'ff02::1', '100::1'],
    ...[
      '2001::1',
      '2001:db8::1',
      '2002:7f00:1::',
      '3fff::1',
      '64:ff9b:1::1',
      'fec0::1',
      '4000::1',
      'no address',
    ],
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})
