/** `serve`: a model behind HTTP, until it is stopped. */
import { once } from 'node:events'
import { basename } from 'node:path'
import { withModel } from './model'
import type { ModelFlags } from './model'
import { json, print } from './output'

export interface ServeFlags extends ModelFlags {
  readonly host: string
  readonly port: number
  readonly apiKey: readonly string[]
  readonly withoutKey: boolean
  readonly modelName: readonly string[]
  readonly corsOrigin: readonly string[]
  readonly fileRoot?: string
  readonly maxBodyBytes?: number
  readonly bodyTimeoutMs?: number
  readonly maxMedia?: number
  readonly rateLimit?: number
  readonly timeoutMs?: number
  readonly graceMs?: number
  readonly parallel?: number
  readonly maxQueue?: number
  readonly cacheDir?: string
}

export async function serve(flags: ServeFlags, signal: AbortSignal): Promise<void> {
  const { host, port, apiKey, withoutKey, corsOrigin } = flags
  const limits = pick(flags, [
    'fileRoot',
    'maxBodyBytes',
    'bodyTimeoutMs',
    'maxMedia',
    'rateLimit',
    'timeoutMs',
    'graceMs',
  ])
  const loading = pick(flags, ['parallel', 'maxQueue', 'cacheDir'])
  await withModel(
    flags,
    signal,
    async (model) => {
      const modelNames = flags.modelName.length > 0 ? flags.modelName : [nameOf(flags.model)]
      // Here, so that the other commands start without the packages of HTTP.
      const { startServer } = await import('../server/server.js')
      await using server = await startServer(model, {
        host,
        port,
        apiKey,
        withoutKey,
        modelName: modelNames,
        corsOrigin,
        ...limits,
      })
      const { url } = server
      const words = `${modelNames.join(', ')} at ${url}, the API at ${url}/v1; Ctrl-C ends it\n`
      await print(flags.json ? json({ url, port: server.port, models: modelNames }) : words, signal)
      if (!signal.aborted) await once(signal, 'abort')
    },
    loading,
  )
}

/** The flags that were given. */
function pick<K extends keyof ServeFlags>(flags: ServeFlags, names: readonly K[]): Pick<ServeFlags, K> {
  const given = names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]])
  return Object.fromEntries(given) as Pick<ServeFlags, K>
}

/** `Qwen3VL-4B-Q4_K_M.gguf` is Qwen3VL-4B-Q4_K_M; a model of Hugging Face keeps its reference. */
function nameOf(model = 'built-in'): string {
  return model.startsWith('hf:') ? model.slice(3) : basename(model).replace(/(-00001-of-\d+)?\.gguf$/i, '')
}
