/** Where models come from and where they are kept: options, else the variables of Hugging Face's own programs. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { getHFHubCachePath } from '@huggingface/hub'
import { invalidArgument } from '../errors'

/** Where models come from and where they are kept. */
export interface HubOptions {
  /** Address of the hub or of a mirror. Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string
  /** Access token; an empty one sends none. Default: `HF_TOKEN`, else the one that `hf auth login` stored. */
  readonly token?: string
  /** Folder of the cache. Default: `HF_HUB_CACHE`, `HF_HOME`/hub, else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string
  /** Use only what is in the cache. Default: `HF_HUB_OFFLINE`. */
  readonly offline?: boolean
  /** How often in a row a request may fail before it is given up. Default 5. */
  readonly retries?: number
  /** A connection that brings nothing for so long, in ms, has failed. Default 30 000. */
  readonly timeoutMs?: number
}

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string
  readonly token: string | undefined
  readonly cacheDir: string
  readonly offline: boolean
  readonly retries: number
  readonly timeoutMs: number
}

const defaultRetries = 5
const defaultTimeoutMs = 30_000

/** @throws InvalidArgumentError for an address that is none */
export async function hubSettings(options: HubOptions = {}): Promise<HubSettings> {
  const { env } = process
  const endpoint = options.endpoint ?? (env['HF_ENDPOINT'] || 'https://huggingface.co')
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw invalidArgument('hub.endpoint', 'an http(s) address (or HF_ENDPOINT)', endpoint)
  }
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    token: options.token ?? (await storedToken()),
    cacheDir: options.cacheDir ?? getHFHubCachePath(),
    offline: options.offline ?? (isOn(env['HF_HUB_OFFLINE']) || isOn(env['TRANSFORMERS_OFFLINE'])),
    retries: options.retries ?? defaultRetries,
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
  }
}

async function storedToken(): Promise<string | undefined> {
  const { env } = process
  const given = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN']
  if (given) return given.trim()
  if (isOn(env['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return undefined
  const home = env['HF_HOME'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'huggingface')
  const text = await readFile(env['HF_TOKEN_PATH'] ?? join(home, 'token'), 'utf8').catch(() => '')
  return text.trim() || undefined
}

function isOn(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? '')
}
