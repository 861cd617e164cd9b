/** A model behind HTTP: started, and closed without breaking off what can still be finished. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { invalidArgument } from '../errors'
import type { QwenVL } from '../index'
import { createApp } from './app'
import { checkServerOptions } from './options'
import type { ServerOptions } from './options'
import { Service } from './service'

/** A running server. */
export interface RunningServer extends AsyncDisposable {
  /** E.g. "http://127.0.0.1:8080". */
  readonly url: string
  readonly port: number
  /**
   * Takes no more requests, lets answers under way end for `graceMs`, and then ends them. The model is not disposed.
   * Idempotent.
   */
  close(): Promise<void>
}

/** Milliseconds that the headers of a request may take; clients that send none are not waited for longer. */
const headersTimeout = 15_000

/**
 * Serves a model until it is closed.
 * @throws InvalidArgumentError for a wrong option, or an address that would be open to all; the system's error where the
 *   address cannot be had
 */
export async function startServer(model: QwenVL, options: ServerOptions = {}): Promise<RunningServer> {
  const settings = checkServerOptions(options)
  const service = new Service(model, settings)
  const server = createAdaptorServer({
    fetch: createApp(service, (error) => console.error(error)).fetch,
    overrideGlobalObjects: false, // Request and Response of the process are not ours
    serverOptions: {
      headersTimeout,
      requestTimeout: headersTimeout + settings.bodyTimeoutMs, // where nobody reads the body
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: 5000,
    },
  }) as Server
  server.listen(settings.port, settings.host)
  await once(server, 'listening').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw invalidArgument('port', 'one that no other program listens on; 0 takes any', settings.port)
  })
  const { address, family, port } = server.address() as AddressInfo
  const close = onlyOnce(() => closeServer(server, service))
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    port,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function closeServer(server: Server, service: Service): Promise<void> {
  service.close()
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  // A connection that is kept for more requests becomes idle with the end of its answer.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const grace = setTimeout(() => service.cancel(), service.settings.graceMs)
  await closed
  clearInterval(idle)
  clearTimeout(grace)
}

function onlyOnce<T>(run: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => (result ??= run())
}
