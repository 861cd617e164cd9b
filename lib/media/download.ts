/** Fetches a picture over http(s): in time, of limited size, and not from inside the caller's own network. */
import { lookup } from 'node:dns'
import * as http from 'node:http'
import * as https from 'node:https'
import { BlockList, isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { whenAborted } from '../abort'
import { ImageError, QwenVLError, throwIfAborted } from '../errors'
import { collect, tooLarge } from './bytes'

export interface DownloadOptions {
  readonly maxBytes: number
  /** For the whole download, redirects included. */
  readonly timeoutMs: number
  readonly allowPrivateAddresses: boolean
  readonly signal?: AbortSignal | undefined
}

const maxRedirects = 5

/**
 * The body behind `url`. Follows up to 5 redirects; every address is checked on the connection that is really made.
 *
 * @throws {ImageError} IMAGE_DOWNLOAD, IMAGE_ADDRESS_REFUSED, IMAGE_TOO_LARGE
 * @throws {AbortError}
 */
export async function download(url: URL, options: DownloadOptions): Promise<Uint8Array> {
  const { maxBytes, timeoutMs, signal } = options
  throwIfAborted(signal)
  const end = new AbortController()
  const onAbort = () => end.abort()
  const timer = setTimeout(onAbort, timeoutMs)
  const forget = whenAborted(signal, onAbort)
  let response: http.IncomingMessage | undefined
  try {
    response = await follow(url, options.allowPrivateAddresses, end.signal)
    const expectedBytes = Number(response.headers['content-length'] ?? 0)
    if (expectedBytes > maxBytes) throw tooLarge(maxBytes)
    return await collect(response, { maxBytes, expectedBytes })
  } catch (error) {
    throwIfAborted(signal)
    if (end.signal.aborted) {
      throw failed(url, `it took longer than ${timeoutMs} ms. Raise \`imageTimeoutMs\` or pass the bytes`)
    }
    if (QwenVLError.isInstance(error)) throw error
    // Node joins the errors of several addresses into one without a message.
    const { code, message } = error as NodeJS.ErrnoException
    throw failed(url, message || code || String(error), error)
  } finally {
    clearTimeout(timer)
    forget()
    response?.destroy()
  }
}

async function follow(first: URL, anywhere: boolean, signal: AbortSignal): Promise<http.IncomingMessage> {
  let url = first
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const response = await request(url, anywhere, signal)
    const { statusCode = 0, headers } = response
    if (statusCode >= 200 && statusCode < 300) return response
    response.destroy()
    if (statusCode < 300 || statusCode >= 400 || !headers.location) {
      throw failed(
        url,
        `the server answered with status ${statusCode}. Open the address in a browser to check it`,
      )
    }
    if (!URL.canParse(headers.location, url.href))
      throw failed(url, 'it redirects to something that is no URL')
    url = new URL(headers.location, url)
  }
  throw failed(first, `it redirects more than ${maxRedirects} times`)
}

function request(url: URL, anywhere: boolean, signal: AbortSignal): Promise<http.IncomingMessage> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw failed(url, `it redirects to ${url.protocol} where only http: and https: are followed`)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!anywhere && isIP(host) && !isPublicAddress(host)) throw refused(url.hostname, host)
  return new Promise((resolve, reject) => {
    const send: typeof http.request = url.protocol === 'https:' ? https.request : http.request
    send(url, {
      // No agent: a pooled connection would go around the check of its address.
      agent: false,
      signal,
      ...(!anywhere && { lookup: publicLookup }),
      headers: { accept: 'image/*,*/*;q=0.5', 'accept-encoding': 'identity', 'user-agent': 'qwenvl-native' },
    })
      .once('response', resolve)
      .on('error', reject)
      .end()
  })
}

/** Like dns.lookup, but fails for a name with any address that is not public. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? []
    const inside = addresses?.find(({ address }) => !isPublicAddress(address))
    if (error) callback(error, '')
    else if (inside) callback(refused(hostname, inside.address), '')
    else if (options.all || !first) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

/** IPv4 ranges of IANA's special-purpose registry, multicast and the reserved end: nothing public lives there. */
const special4 =
  `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
  192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4`.split(
    /\s+/,
  )

/** IPv4 inside IPv6: mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96). What counts is the address inside. */
const embeddings = ['::ffff:', '64:ff9b::']

/** Where public IPv6 lives; the rest (loopback, local, multicast, discard, …) is refused. */
const public6 = listOf(['2000::/3', ...embeddings.map((prefix) => `${prefix}0.0.0.0/96`)])

const special = listOf([
  ...special4,
  ...embeddings.flatMap((prefix) =>
    special4.map((range) => {
      const [net, bits] = range.split('/')
      return `${prefix}${net}/${96 + Number(bits)}`
    }),
  ),
  '2001::/23', // protocol assignments, Teredo among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: leads to any IPv4 address
  '3fff::/20', // documentation
])

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [net = '', bits] = range.split('/')
    list.addSubnet(net, Number(bits), net.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** True for addresses of the open Internet; false for private, local, shared, multicast and reserved ones. */
export function isPublicAddress(address: string): boolean {
  const [ip = ''] = address.split('%') // fe80::1%eth0
  if (isIP(ip) === 4) return !special.check(ip, 'ipv4')
  return isIP(ip) === 6 && public6.check(ip, 'ipv6') && !special.check(ip, 'ipv6')
}

/** Without query and password: those may be secrets, and messages end up in logs. */
function failed(url: URL, why: string, cause?: unknown): ImageError {
  const address = `${url.protocol}//${url.host}${url.pathname}`
  return new ImageError('IMAGE_DOWNLOAD', `Could not download ${address}: ${why}.`, {
    details: { url: address },
    ...(cause !== undefined && { cause }),
  })
}

function refused(host: string, address: string): ImageError {
  const name = host === address ? host : `${host} (${address})`
  return new ImageError(
    'IMAGE_ADDRESS_REFUSED',
    `Refused to download a picture from ${name}: not a public address. ` +
      'Set `allowPrivateAddresses: true` (`--allow-private-addresses` of a command) if the caller may reach your own network.',
    { details: { host, address } },
  )
}
