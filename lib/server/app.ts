/** The routes, and what every request has to pass before it reaches one. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Hono } from 'hono'
import type { Context, MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import { methodNotAllowed } from 'hono/method-not-allowed'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { accessRules } from './access'
import { addChat } from './chat'
import { addEmbeddings } from './embeddings'
import { HttpError, anthropicError, failureOf, openaiError } from './failure'
import type { Failure } from './failure'
import { addFiles } from './files'
import { addMessages } from './messages'
import { addModels } from './models'
import { rateLimit } from './rates'
import { addResponses } from './responses'
import { addTokens } from './tokens'
import type { Service } from './service'

/** Where the web page's files lie, once they are built. */
const page = join(__dirname, 'page')

export function createApp(service: Service, log: (error: unknown) => void): Hono {
  const { settings } = service
  const app = new Hono()
  app.onError((error, c) => {
    const failure = failureOf(error)
    if (failure.status === 500) log(error)
    return told(c, failure)
  })
  app.notFound((c) => told(c, unknownUrl(c)))
  // First, as it is asked most.
  app.get('/health', (c) =>
    c.json({ status: service.closing ? 'closing' : 'ok' }, service.closing ? 503 : 200),
  )
  app.use(service.metrics.countRequests)
  app.use(methodNotAllowed({ app, onMethodNotAllowed: (c, methods) => told(c, wrongMethod(c, methods)) }))
  if (settings.corsOrigin.length > 0) app.use(corsOf(settings.corsOrigin))
  app.use(accessRules(settings))
  if (existsSync(page)) addFiles(app, page)
  app.get('/metrics', async (c) =>
    c.body(await service.metrics.text(), 200, { 'content-type': service.metrics.type }),
  )
  if (settings.rateLimit > 0) app.use(rateLimit(settings.rateLimit))
  addModels(app, service)
  addChat(app, service)
  addResponses(app, service)
  addMessages(app, service)
  addEmbeddings(app, service)
  addTokens(app, service)
  return app
}

/** A failure in the form of the API that was called. */
function told(c: Context, failure: Failure): Response {
  const form = c.req.path.startsWith('/v1/messages') ? anthropicError : openaiError
  return c.json(form(failure), failure.status as ContentfulStatusCode, failure.headers ?? {})
}

function unknownUrl({ req }: Context): HttpError {
  return new HttpError(404, `Unknown request URL: ${req.method} ${req.path}`, { code: 'unknown_url' })
}

function wrongMethod({ req }: Context, methods: readonly string[]): HttpError {
  const allowed = methods.join(', ')
  return new HttpError(405, `${req.path} is asked with ${allowed}, not ${req.method}.`, {
    code: 'method_not_allowed',
    headers: { allow: allowed },
  })
}

function corsOf(origins: readonly string[]): MiddlewareHandler {
  return cors({ origin: origins.includes('*') ? '*' : [...origins], maxAge: 600 })
}
