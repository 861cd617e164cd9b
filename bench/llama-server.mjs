/** llama-server of the pinned source as a peer: started on a free port, asked over HTTP as its users do, stopped. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { peer } from './peers.mjs'

/** "a" in Qwen's vocabulary. */
const letter = 64

export class LlamaServer {
  #child
  #url
  #log = ''

  /** Resolves when the model is loaded. `args` are llama-server's own. */
  static async start(args, { gpu = false, peers } = {}) {
    const server = new LlamaServer()
    const port = await freePort()
    const fixed = ['--host', '127.0.0.1', '--port', port, '--no-webui', '-ngl', layersOf(gpu)]
    server.#url = `http://127.0.0.1:${port}`
    server.#child = spawn(peer('llama-server', peers), [...fixed, ...args].map(String), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [server.#child.stdout, server.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (server.#log = (server.#log + text).slice(-4000)))
    }
    while (!(await server.#isReady())) {
      if (server.#child.exitCode !== null) throw new Error(`llama-server ended:\n${server.#log}`)
      await pause(100)
    }
    return server
  }

  get url() {
    return this.#url
  }

  get pid() {
    return this.#child.pid
  }

  async #isReady() {
    try {
      return (await fetch(`${this.#url}/health`)).ok
    } catch {
      return false
    }
  }

  /**
   * Streams an answer; yields for every token. Random weights write halves of characters, which the server holds back
   * until they are whole: it is told to write one and the same letter, which costs it nothing.
   * @param content Text, or OpenAI's array of parts.
   */
  async *stream(content, { maxTokens, signal }) {
    const response = await fetch(`${this.#url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        messages: [{ role: 'user', content }],
        stream: true,
        max_tokens: maxTokens,
        temperature: 0,
        ignore_eos: true,
        logit_bias: { [letter]: 100 },
      }),
      signal,
    })
    if (!response.ok) throw new Error(`llama-server answered ${response.status}: ${await response.text()}`)
    let rest = ''
    for await (const text of Readable.fromWeb(response.body).setEncoding('utf8')) {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) {
        if (!line.startsWith('data: {')) continue
        const { content } = JSON.parse(line.slice('data: '.length)).choices?.[0]?.delta ?? {}
        if (content) yield content
      }
    }
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}

/** Layers on the GPU, as llama.cpp's programs take them. */
export function layersOf(gpu) {
  return gpu ? 999 : 0
}

/** A picture as OpenAI's API takes it. */
export function imageUrl(png) {
  return { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
