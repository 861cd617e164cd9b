/**
 * Thousands of requests that no client would send, to a running server: each is answered, none with a fault of the
 * server, and it does not grow. `npm run fuzz:server` sends ten thousand; `FUZZ_SEED` chooses others.
 */
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import sharp from 'sharp'
import { fuzzRequests } from '../../support/httpfuzz'
import type { FuzzRequest } from '../../support/httpfuzz'
import { post, startServing } from './serving'
import type { Serving } from './serving'

const isLong = process.env['npm_lifecycle_event'] === 'fuzz:server'
const count = isLong ? 10_000 : 1500
const seed = Number(process.env['FUZZ_SEED'] ?? 1)
const width = 8
/** Of a request that computes; the machine may be busy. */
const answerMs = 30_000

let server: Serving
beforeAll(async () => {
  server = await startServing(['--context-size', '256'])
})
afterAll(() => server.stop())

function send(
  agent: Agent,
  { method, path, headers, body }: FuzzRequest,
): Promise<{ status: number; text: string }> {
  const { port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      agent,
      port,
      host: '127.0.0.1',
      method,
      path,
      headers: { ...headers, 'content-length': body.length },
      timeout: answerMs,
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerMs} ms`)))
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    })
    sent.end(body)
  })
}

async function residentMegabytes(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(/^qwenvl_resident_memory_bytes (\S+)$/m.exec(text)?.[1]) / 1e6
}

test(`${count} requests: no fault, no hang, no growth`, async () => {
  const noise = sharp({ create: { width: 40, height: 40, channels: 3, background: 'red' } })
  const picture = `data:image/png;base64,${(await noise.png().toBuffer()).toString('base64')}`
  const requests = fuzzRequests(seed, count, picture)
  const agent = new Agent({ keepAlive: true, maxSockets: width })
  const statuses: Record<number, number> = {}
  const faults: object[] = []
  let [done, before] = [0, 0]
  const work = async () => {
    for (const request of requests) {
      const asked = { ...request, body: request.body.toString('latin1').slice(0, 3000) }
      try {
        const { status, text } = await send(agent, request)
        statuses[status] = (statuses[status] ?? 0) + 1
        if (status >= 500 || /"(server_error|api_error)"/.test(text))
          faults.push({ status, text: text.slice(0, 500), asked })
      } catch (error) {
        faults.push({ error: String(error), asked })
      }
      if (++done === Math.floor(count / 3)) before = await residentMegabytes()
    }
  }
  await Promise.all(Array.from({ length: width }, work))
  agent.destroy()

  if (isLong) console.log(JSON.stringify({ statuses, before, after: await residentMegabytes() }))
  expect(faults.slice(0, 3)).toEqual([])
  expect(statuses[200]).toBeGreaterThan(count / 50) // some still make sense
  expect(statuses[400]).toBeGreaterThan(count / 3)
  expect((await residentMegabytes()) - before).toBeLessThan(100) // what waits for the collector included
}, 3_600_000)

test('noise instead of HTTP', async () => {
  const { port } = new URL(server.url)
  const noises = [
    'GET\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
    'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n',
    'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n',
    'POST /v1/messages HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n',
    'GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n',
    `\x16\x03\x01${'\0'.repeat(500)}`,
  ]
  for (const noise of noises) {
    const socket = connect(Number(port), '127.0.0.1')
    let answered = ''
    socket.setEncoding('latin1').on('data', (text: string) => (answered += text))
    socket.on('error', () => undefined) // the server may cut the connection while we still write
    const closed = new Promise((resolve) => socket.once('close', resolve)) // `once` would fail with the error
    socket.end(noise, 'latin1')
    await closed
    expect(answered).toMatch(/^(HTTP\/1\.1 4\d\d |$)/)
  }
  const body = { messages: [{ role: 'user', content: 'Hi.' }], max_tokens: 2 }
  expect(await post(`${server.url}/v1/chat/completions`, body)).toMatchObject({ status: 200 })
})
