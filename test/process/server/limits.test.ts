/** What no client may do to a server: each gets an error in the form of the API, and everything else goes on. */
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import OpenAI from 'openai'
import { fixture, root, withModel } from '../program'
import { post, startServing } from './serving'
import type { Serving } from './serving'

const folder = mkdtempSync(join(tmpdir(), 'qwenvl-files-'))
let server: Serving
let chat: string
beforeAll(async () => {
  cpSync(fixture('images/square.png'), join(folder, 'a b.png'))
  symlinkSync(fixture('images/scene.png'), join(folder, 'link.png'))
  server = await startServing([
    ...['--file-root', folder, '--max-body-bytes', '2000000', '--parallel', '1'],
    ...['--cors-origin', 'https://app.example'],
  ])
  chat = `${server.url}/v1/chat/completions`
})
afterAll(async () => {
  expect(await server.stop()).toMatchObject({ stderr: '' }) // nothing that the server did not expect
  rmSync(folder, { recursive: true })
})

const short = { max_tokens: 2, messages: [{ role: 'user', content: 'Hi.' }] }
const show = (url: string, count = 1) => ({
  ...short,
  messages: [
    { role: 'user', content: Array.from({ length: count }, () => ({ type: 'image_url', image_url: url })) },
  ],
})
const failed = (status: number, code: string) => ({ status, body: { error: { code } } })

/** The server answers others as if nothing was. */
afterEach(async () => {
  expect(await post(chat, short)).toMatchObject({ status: 200 })
})

describe('bodies', () => {
  test.each([
    ['no JSON', '{"messages": [', 'invalid_json'],
    ['a list', '[]', 'invalid_json'],
    ['nothing', '', 'invalid_json'],
    ['a tower', `{"messages": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'invalid_json'],
    [
      'a picture made of fields',
      JSON.stringify(show({ href: 'file:///etc/passwd' } as never)),
      'invalid_value',
    ],
  ])('%s', async (_, body, code) => {
    expect(await post(chat, body)).toMatchObject(failed(400, code))
  })

  test('100 MB are refused while they come', async () => {
    const { port } = new URL(server.url)
    const headers = { 'content-type': 'application/json' }
    const sent = httpRequest({ port, method: 'POST', path: '/v1/chat/completions', headers })
    const part = Buffer.alloc(1_000_000, 'a')
    let bytes = 0
    const write = () => {
      while (bytes < 100e6 && !sent.destroyed) {
        bytes += part.length
        if (!sent.write(part)) return void sent.once('drain', write)
      }
      sent.end()
    }
    sent.on('error', () => undefined) // the server hangs up
    write()
    const [response] = await once(sent, 'response')
    expect(response.statusCode).toBe(413)
    response.resume()
    sent.destroy()

    const declared = httpRequest({
      port,
      method: 'POST',
      path: '/v1/messages',
      headers: { ...headers, 'content-length': 100e6 },
    })
    declared.on('error', () => undefined)
    declared.flushHeaders()
    const [told] = await once(declared, 'response')
    expect(told.statusCode).toBe(413)
    declared.destroy()
  })

  test('one that breaks off is no fault of the server', async () => {
    const headers = { 'content-type': 'application/json', 'content-length': 1000 }
    for (const path of ['/v1/chat/completions', '/health', '/nowhere']) {
      const sent = httpRequest({ port: new URL(server.url).port, method: 'POST', path, headers })
      sent.on('error', () => undefined)
      await new Promise((resolve) => sent.write('{"messages": [', resolve))
      sent.destroy()
    }
    const text = await (await fetch(`${server.url}/metrics`)).text()
    expect(text).not.toMatch(/status="500"/)
  })

  test('1,000 pictures', async () => {
    expect(await post(chat, show('data:,', 1000))).toMatchObject(failed(400, 'too_many_images'))
    const many = <Part>(part: Part) => Array.from({ length: 1000 }, () => part)
    const input = [{ role: 'user', content: many({ type: 'input_image', image_url: 'data:,' }) }]
    expect(await post(`${server.url}/v1/responses`, { input })).toMatchObject(failed(400, 'too_many_images'))
    const source = { type: 'base64', media_type: 'image/png', data: '' }
    const messages = [{ role: 'user', content: many({ type: 'image', source }) }]
    expect(await post(`${server.url}/v1/messages`, { messages, max_tokens: 1 })).toMatchObject({
      status: 400,
      body: { type: 'error', error: { type: 'invalid_request_error' } },
    })
    expect(await post(`${server.url}/v1/embeddings`, { input: many('data:,') })).toMatchObject(
      failed(400, 'too_many_images'),
    )
  })

  test('schemas that are none, or have no end', async () => {
    const form = (schema: unknown) =>
      post(chat, { ...short, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })
    expect(await form({ type: 'nonsense' })).toMatchObject(failed(400, 'invalid_value'))
    expect(await form({ $ref: 'https://example.org/schema.json' })).toMatchObject(
      failed(400, 'invalid_value'),
    )
    const list = {
      type: 'object',
      properties: { next: { $ref: '#' } },
      required: ['next'],
      additionalProperties: false,
    }
    const { status, body } = await form(list) // never ends by itself, and is cut off
    expect({ status, reason: (body['choices'] as { finish_reason: string }[])[0]?.finish_reason }).toEqual({
      status: 200,
      reason: 'length',
    })
  })
})

describe('places', () => {
  test('files of the folder are read, others are not', async () => {
    expect(await post(chat, show(pathToFileURL(join(folder, 'a b.png')).href))).toMatchObject({ status: 200 })
    const elsewhere = [
      join(folder, 'link.png'),
      join(folder, 'none.png'),
      fixture('images/scene.png'),
      `${folder}/../${'x'.repeat(300)}`,
    ].map((path) => pathToFileURL(path).href)
    for (const url of [
      ...elsewhere,
      `file://${folder}%2f..%2f..%2fetc/passwd`,
      'file://host/share',
      'FILE:/etc/passwd',
      'file:',
    ])
      expect(await post(chat, show(url))).toMatchObject(failed(400, 'file_refused'))
    for (const url of [
      '/etc/passwd',
      'C:\\a.png',
      '',
      ' file:///etc/passwd',
      'ftp://example.org/a',
      'qwen:',
      '\0',
    ])
      expect(await post(chat, show(url))).toMatchObject(failed(400, 'invalid_value'))
  })

  test('what is no picture, and addresses of inside, also behind a redirect', async () => {
    expect(await post(chat, show('data:text/html,<h1>hi'))).toMatchObject(failed(400, 'image_corrupt'))
    expect(await post(chat, show('http://localhost/a.png'))).toMatchObject(
      failed(400, 'image_address_refused'),
    )
    expect(await post(chat, show('http://[::ffff:7f00:1]/'))).toMatchObject(
      failed(400, 'image_address_refused'),
    )
    const video = { type: 'video_url', video_url: { url: 'http://169.254.169.254/latest/meta-data' } }
    const asked = await post(chat, { ...short, messages: [{ role: 'user', content: [video] }] })
    expect(asked).toMatchObject(failed(400, 'image_address_refused'))
  })
})

test('a public address may not lead inside', async () => {
  const asked: string[] = []
  const site = createServer(({ url = '' }, response) => {
    asked.push(url)
    const { port } = site.address() as AddressInfo
    const places: Record<string, string> = {
      '/moved': '/picture',
      '/to-loopback': `http://127.0.0.1:${port}/secret`,
      '/to-metadata': 'http://169.254.169.254/latest/meta-data',
      '/to-name': 'http://inside.example/secret',
      '/to-file': 'file:///etc/passwd',
    }
    const location = places[url]
    if (location !== undefined) response.writeHead(302, { location }).end()
    else response.end(readFileSync(fixture('images/square.png')))
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  const { port } = site.address() as AddressInfo
  const NODE_OPTIONS = `--require=${join(root, 'test/process/internet.cjs')}`
  const careful = await startServing([], { ...withModel, NODE_OPTIONS, INTERNET_PORT: String(port) })
  const ask = (path: string) =>
    post(`${careful.url}/v1/chat/completions`, show(`http://public.example${path}`))

  expect(await ask('/picture')).toMatchObject({ status: 200 })
  expect(await ask('/moved')).toMatchObject({ status: 200 })
  for (const path of ['/to-loopback', '/to-metadata', '/to-name'])
    expect(await ask(path)).toMatchObject(failed(400, 'image_address_refused'))
  expect(await ask('/to-file')).toMatchObject(failed(400, 'image_download'))
  expect(asked).toEqual([
    '/picture',
    '/moved',
    '/picture',
    '/to-loopback',
    '/to-metadata',
    '/to-name',
    '/to-file',
  ])
  await careful.stop()
  site.close()
})

test('a refusal names the flag that allows', async () => {
  const plain = await startServing()
  const message = async (url: string) => {
    const { body } = await post(`${plain.url}/v1/chat/completions`, show(url))
    return (body['error'] as { message: string }).message
  }
  expect(await message('file:///etc/hostname')).toMatch(/--file-root <folder>/)
  expect(await message('http://localhost/a.png')).toMatch(/--allow-private-addresses/)
  await plain.stop()
})

test('a server that may fetch from inside follows redirects there, and tells what it got', async () => {
  const site = createServer(({ url }, response) => {
    if (url === '/moved') response.writeHead(302, { location: '/page' }).end()
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<html></html>')
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  const { port } = site.address() as AddressInfo
  const open = await startServing(['--allow-private-addresses'])
  const asked = await post(`${open.url}/v1/chat/completions`, show(`http://127.0.0.1:${port}/moved`))
  expect(asked).toMatchObject(failed(400, 'image_corrupt'))
  await open.stop()
  site.close()
})

test('a client that leaves ends its answer: the next one has its place', async () => {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const endless = {
    model: 'model-f16',
    messages: [{ role: 'user' as const, content: 'Hi.' }],
    ignore_eos: true,
  }
  const running = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    return Number(/^qwenvl_requests_running (\d+)$/m.exec(text)?.[1])
  }
  for await (const _ of await client.chat.completions.create({ ...endless, stream: true })) break
  const leave = new AbortController()
  const whole = client.chat.completions.create(endless, { signal: leave.signal })
  while ((await running()) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  leave.abort()
  await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
  while ((await running()) > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('a client that does not read holds back only itself; one that sends nothing is cut off', async () => {
  const { port } = new URL(server.url)
  const body = JSON.stringify({ ...short, max_tokens: 4000, ignore_eos: true, stream: true })
  const deaf = connect(Number(port), '127.0.0.1').pause()
  deaf.on('error', () => undefined)
  deaf.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const slow = connect(Number(port), '127.0.0.1')
  slow.write('POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le')
  await once(slow.resume(), 'close') // after headersTimeout
  deaf.destroy()
}, 40_000)

describe('a body that comes byte by byte', () => {
  let impatient: Serving
  beforeAll(async () => {
    impatient = await startServing(['--body-timeout-ms', '200'])
  })
  afterAll(() => impatient.stop())

  test.each([
    ['/v1/chat/completions', { error: { code: 'request_timeout', type: 'invalid_request_error' } }],
    ['/v1/messages', { type: 'error', error: { type: 'timeout_error' } }],
  ])('is answered in the form of %s and cut off; a whole one is not', async (path, expected) => {
    const loris = connect(Number(new URL(impatient.url).port), '127.0.0.1').setEncoding('utf8')
    loris.on('error', () => undefined)
    let answer = ''
    loris.on('data', (text: string) => (answer += text))
    loris.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`,
    )
    const drip = setInterval(() => loris.write(' '), 20)
    await once(loris, 'close')
    clearInterval(drip)
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject(expected)
    expect(await post(`${impatient.url}/v1/chat/completions`, short)).toMatchObject({ status: 200 })
  })
})

test('too many requests in a minute are told to wait', async () => {
  const strict = await startServing(['--rate-limit', '2', '--timeout-ms', '1000'])
  const url = `${strict.url}/v1/chat/completions`
  const endless = { ...short, max_tokens: 100_000, ignore_eos: true }
  expect(await post(url, endless, { 'x-api-key': 'b' })).toMatchObject(failed(504, 'timeout'))
  const statuses = []
  for (let count = 0; count < 3; count++) statuses.push((await post(url, short)).status)
  expect(statuses).toEqual([200, 200, 429])
  const client = new OpenAI({ baseURL: `${strict.url}/v1`, apiKey: 'another', maxRetries: 0 })
  await client.chat.completions.create({
    model: 'model-f16',
    messages: [{ role: 'user', content: 'Hi.' }],
    max_completion_tokens: 2,
  })
  expect((await fetch(`${strict.url}/health`)).status).toBe(200)
  await strict.stop()
})

test('more requests than may wait are told to come again', async () => {
  const busy = await startServing(['--parallel', '1', '--max-queue', '0'])
  const client = new OpenAI({ baseURL: `${busy.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'Hi.' }]
  const endless = { model: 'model-f16', messages, ignore_eos: true, stream: true } as const
  for await (const _ of await client.chat.completions.create(endless)) {
    for (const stream of [false, true]) {
      const refused = client.chat.completions.create({ model: 'model-f16', messages, stream })
      await expect(refused).rejects.toMatchObject({ status: 503, code: 'queue_full' })
    }
    break
  }
  await busy.stop()
})
