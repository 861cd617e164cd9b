/** The files that loading would use, with their headers, without downloading them. */
import { builtinModel } from './builtin'
import type { GgufHeader } from '../engine/binding'
import { RepositoryCache, sizeOf } from './cache'
import { remoteHeader } from './header'
import type { ModelSource } from './local'
import { missingFiles } from './pull'
import { isReference, parseReference } from './reference'
import { resolveModel } from './resolve'
import type { ModelFile } from './resolve'
import { hubSettings } from './settings'

export interface CandidateFile {
  readonly kind: 'model' | 'projector'
  readonly path: string
  readonly bytes: number
  /** True where it need not be downloaded. */
  readonly cached: boolean
}

export interface Candidates {
  readonly files: readonly CandidateFile[]
  /** Of a split model that of the first file. */
  readonly model: GgufHeader
  readonly projector: GgufHeader | undefined
}

interface Group {
  readonly files: readonly CandidateFile[]
  readonly header: GgufHeader
}

/**
 * @param inspect reads the header of a file on this machine
 * @throws like `pull`, and like `inspect`
 */
export async function candidateFiles(
  source: ModelSource,
  inspect: (path: string) => Promise<GgufHeader>,
): Promise<Candidates> {
  const { model, mmproj } = source.model === undefined ? builtinModel : { ...source, model: source.model }
  const own = await groupsOf(model, mmproj === undefined, source, inspect)
  const given = mmproj ? await groupsOf(mmproj, false, source, inspect) : undefined
  const projector = given?.model ?? own.projector
  return {
    files: [
      ...own.model.files,
      ...(projector?.files ?? []).map((file) => ({ ...file, kind: 'projector' as const })),
    ],
    model: own.model.header,
    projector: projector?.header,
  }
}

async function groupsOf(
  name: string,
  withProjector: boolean,
  { hub: options, signal }: ModelSource,
  inspect: (path: string) => Promise<GgufHeader>,
): Promise<{ model: Group; projector: Group | undefined }> {
  if (!isReference(name)) {
    const files = await Promise.all(partsOf(name).map(localFile))
    return { model: { files, header: await inspect(name) }, projector: undefined }
  }
  const reference = parseReference(name)
  const hub = await hubSettings(options)
  const cache = new RepositoryCache(hub.cacheDir, reference.repository)
  const { commit, choice } = await resolveModel(reference, withProjector, hub, cache, { signal })
  const groupOf = async (files: readonly [ModelFile, ...ModelFile[]]): Promise<Group> => {
    const missing = await missingFiles(files, commit, cache)
    const [first] = files
    const header =
      'url' in first && missing.includes(first)
        ? await remoteHeader(first, hub, { signal, retries: hub.retries })
        : await inspect(cache.pointer(commit, first.path))
    return {
      files: files.map((file) => ({
        kind: 'model',
        path: file.path,
        bytes: file.bytes,
        cached: !missing.some(({ path }) => path === file.path),
      })),
      header,
    }
  }
  return {
    model: await groupOf(choice.model),
    projector: withProjector && choice.mmproj ? await groupOf([choice.mmproj]) : undefined,
  }
}

/** All files of a split model whose first is named. */
function partsOf(path: string): string[] {
  const [, stem = '', count] = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(path) ?? []
  return count === undefined
    ? [path]
    : Array.from(
        { length: Number(count) },
        (_, index) => `${stem}-${String(index + 1).padStart(5, '0')}-of-${count}.gguf`,
      )
}

async function localFile(path: string): Promise<CandidateFile> {
  return { kind: 'model', path, bytes: (await sizeOf(path)) ?? 0, cached: true }
}
