/** Who may call a server, from where, and how it ends. */
import { once } from 'node:events'
import { request } from 'node:http'
import OpenAI from 'openai'
import { cli, run } from '../program'
import { post, startServing } from './serving'
import type { Serving } from './serving'

const messages = [{ role: 'user', content: 'Say something.' }] as const
const endless = { model: 'model-f16', messages: [...messages], ignore_eos: true, max_completion_tokens: 4000 }

function clientOf({ url }: Serving, apiKey = 'none'): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
}

describe('without a key', () => {
  let server: Serving
  beforeAll(async () => {
    server = await startServing(['--cors-origin', 'https://app.example'])
  })
  afterAll(() => server.stop())

  test('another address than loopback is refused, unless it is meant', async () => {
    const { code, stderr } = await run([cli, 'serve', '--port', '0', '--host', '0.0.0.0'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^error: Everybody who reaches 0\.0\.0\.0 .* --api-key, or --without-key/,
      ),
    })
    const open = await startServing(['--host', '0.0.0.0', '--without-key'])
    expect((await fetch(`${open.url}/health`)).status).toBe(200)
    await open.stop()
  })

  test('a port that is taken is told', async () => {
    const { code, stderr } = await run([cli, 'serve', '--port', new URL(server.url).port])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: Expected --port to be one that no other program listens on/),
    })
  })

  test('a folder for files that is not there is told', async () => {
    const { code, stderr } = await run([cli, 'serve', '--port', '0', '--file-root', 'no-such-folder'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "error: Expected --file-root to be a folder that is there, got 'no-such-folder' (string).\n",
    })
  })

  test('a name of another machine is refused: a web page could have taken it', async () => {
    const { port } = new URL(server.url)
    const status = async (host: string) => {
      const sent = request({ host: '127.0.0.1', port, path: '/v1/models', headers: { host } }).end()
      const [response] = await once(sent, 'response')
      response.resume()
      return response.statusCode
    }
    expect(await status(`evil.example:${port}`)).toBe(403)
    expect(await status(`localhost:${port}`)).toBe(200)
  })

  test('only JSON is taken, which web pages of other origins may not send', async () => {
    const url = `${server.url}/v1/chat/completions`
    expect(await post(url, { messages }, { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
      body: {
        error: { type: 'invalid_request_error', message: expect.stringContaining('application/json') },
      },
    })
    const preflight = async (origin: string) => {
      const headers = { origin, 'access-control-request-method': 'POST' }
      const { headers: answered } = await fetch(url, { method: 'OPTIONS', headers })
      return answered.get('access-control-allow-origin')
    }
    expect(await preflight('https://app.example')).toBe('https://app.example')
    expect(await preflight('https://evil.example')).toBeNull()
  })

  test('a wrong method is told which one it is', async () => {
    for (const [method, path, allowed] of [
      ['GET', '/v1/chat/completions', 'POST'],
      ['DELETE', '/v1/models/some', 'GET, HEAD'],
      ['POST', '/health', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(`${server.url}${path}`, { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, allowed])
      expect(await response.json()).toEqual({
        error: {
          message: `${path} is asked with ${allowed}, not ${method}.`,
          type: 'invalid_request_error',
          param: null,
          code: 'method_not_allowed',
        },
      })
    }
    expect(await (await fetch(`${server.url}/v1/messages`)).json()).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: '/v1/messages is asked with POST, not GET.' },
    })
  })

  test('an unknown address is told as an error of the API', async () => {
    expect(await post(`${server.url}/v1/audio/speech`, {})).toEqual({
      status: 404,
      body: {
        error: {
          message: 'Unknown request URL: POST /v1/audio/speech',
          type: 'invalid_request_error',
          param: null,
          code: 'unknown_url',
        },
      },
    })
  })
})

test('a program that serves keeps its own Request and Response', async () => {
  const program = `
    const { QwenVL } = require('./dist/index.js')
    const { startServer } = require('./dist/server/index.js')
    const before = [Request, Response]
    void (async () => {
      const model = await QwenVL.load({ threads: 1 })
      const server = await startServer(model, { port: 0 })
      const { status } = await fetch(server.url + '/health')
      await server.close()
      await model.dispose()
      console.log(status, before[0] === Request && before[1] === Response)
    })()`
  expect(await run(['-e', program])).toMatchObject({ code: 0, stdout: '200 true\n', stderr: '' })
})

test('with keys, one of them has to be shown', async () => {
  const server = await startServing(['--api-key', 'one', '--api-key', 'two', '--host', '0.0.0.0'])
  const models = async (apiKey: string) => (await clientOf(server, apiKey).models.list()).data.length
  expect([await models('one'), await models('two')]).toEqual([1, 1])
  await expect(models('three')).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  expect((await fetch(`${server.url}/v1/models`)).status).toBe(401)
  expect((await fetch(`${server.url}/v1/models`, { headers: { 'x-api-key': 'two' } })).status).toBe(200)
  expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok' })
  await server.stop()
})

describe('stopping', () => {
  test('lets an answer under way end', async () => {
    const server = await startServing()
    const stream = await clientOf(server).chat.completions.create({
      ...endless,
      max_completion_tokens: 300,
      stream: true,
    })
    const ends: unknown[] = []
    let ended: Promise<unknown> | undefined
    for await (const { choices } of stream) {
      ended ??= server.stop()
      ends.push(choices[0]?.finish_reason)
    }
    expect(ends.at(-1)).toBe('length')
    expect(await ended).toMatchObject({ code: 143, stderr: '' })
  })

  test('breaks off an answer that takes too long, and says so', async () => {
    const server = await startServing(['--grace-ms', '200'])
    const stream = await clientOf(server).chat.completions.create({ ...endless, stream: true })
    let ended: Promise<unknown> | undefined
    const read = async () => {
      for await (const _ of stream) ended ??= server.stop()
    }
    await expect(read()).rejects.toMatchObject({ code: 'shutting_down' })
    expect(await ended).toMatchObject({ code: 143, stderr: '' })
  })
})
