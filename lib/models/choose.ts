/** Which files of a repository make a model: a quantisation, all its parts, and the projector that goes with it. Pure. */
import { posix } from 'node:path'
import { GGUF_QUANT_RE_GLOBAL, parseGGUFQuantLabel, parseGgufShardFilename } from '@huggingface/gguf'
import { DownloadError } from '../errors'
import type { ModelReference } from './reference'

export interface ChosenFiles<File> {
  /** E.g. `Q4_K_M`; undefined where the file's name tells none. */
  readonly quantisation: string | undefined
  /** In order; more than one where the model is split. */
  readonly model: readonly [File, ...File[]]
  readonly mmproj: File | undefined
}

/** The files of one model, as its names tell. */
export interface ModelFiles<File> {
  /** Path without part number and ending. */
  readonly name: string
  readonly quantisation: string | undefined
  readonly files: readonly [File, ...File[]]
  /** Parts that the names promise. */
  readonly parts: number
}

interface Named {
  readonly path: string
}

/** Without a wish: a good compromise, then ever larger ones. */
const quantisations = ['Q4_K_M', 'UD-Q4_K_XL', 'Q4_K_S', 'Q4_0', 'Q5_K_M', 'Q6_K', 'Q8_0', 'BF16', 'F16']
/** F16 is fast everywhere; more than it holds, a projector does not need; less than Q8_0 costs small print. */
const precisions = ['F16', 'BF16', 'Q8_0', 'F32']

/**
 * The files that a reference means; that of a projector means it alone.
 * @throws DownloadError HUB_NOT_FOUND with what there is instead
 */
export function chooseFiles<File extends Named>(
  files: readonly File[],
  reference: ModelReference,
): ChosenFiles<File> {
  const projector = files.find((file) => file.path === reference.choice && isProjector(file))
  if (projector)
    return { quantisation: quantisationOf(projector.path), model: [projector], mmproj: undefined }
  const { name, quantisation, files: model, parts } = chooseModel(modelsIn(files), reference)
  if (model.length !== parts) throw incomplete(reference, name, model.length, parts)
  return { quantisation, model, mmproj: chooseProjector(files, model[0]) }
}

/** The models among files, whole or not. */
export function modelsIn<File extends Named>(files: readonly File[]): ModelFiles<File>[] {
  const groups = new Map<string, { parts: number; files: [File, ...File[]] }>()
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (!/\.gguf$/i.test(file.path) || isProjector(file) || isCompanion(file)) continue
    const shard = parseGgufShardFilename(file.path)
    const name = shard?.prefix ?? file.path.replace(/\.gguf$/i, '')
    const group = groups.get(name)
    if (group) group.files.push(file)
    else groups.set(name, { parts: Number(shard?.total ?? 1), files: [file] })
  }
  return [...groups].map(([name, group]) => ({ name, quantisation: quantisationOf(name), ...group }))
}

export function isProjector({ path }: Named): boolean {
  return /mmproj.*\.gguf$/i.test(posix.basename(path))
}

/** GGUF files beside a model that are none: statistics for quantising, drafts for speculation. */
function isCompanion({ path }: Named): boolean {
  return /imatrix|^(mtp|eagle3|dflash|dspark)-/i.test(posix.basename(path))
}

function quantisationOf(path: string): string | undefined {
  return parseGGUFQuantLabel(usualName(path))
}

/** Qwen's first GGUF files spell F16 as fp16. */
function usualName(path: string): string {
  return path.replace(/fp(16|32)/gi, 'F$1')
}

function chooseModel<File extends Named>(
  models: readonly ModelFiles<File>[],
  reference: ModelReference,
): ModelFiles<File> {
  const { choice } = reference
  const named = (quantisation: string) => models.filter((model) => model.quantisation === quantisation)
  const candidates =
    choice === undefined
      ? (quantisations.map(named).find(({ length }) => length > 0) ?? models)
      : /\.gguf$/i.test(choice)
        ? models.filter(({ files }) => files.some(({ path }) => path === choice))
        : named(choice.toUpperCase())
  const [first, second] = candidates
  if (!first) throw notFound(reference, choice ?? 'GGUF model', models)
  if (second) throw ambiguous(reference, candidates)
  return first
}

function chooseProjector<File extends Named>(files: readonly File[], { path }: Named): File | undefined {
  const rank = (file: File): readonly number[] => [
    // A repository of several models names its projectors after them.
    stem(file.path) === stem(path) ? 0 : stem(file.path) === '' ? 1 : 2,
    -sharedFolders(file.path, path),
    (precisions.indexOf(quantisationOf(file.path) ?? '') + precisions.length + 1) % (precisions.length + 1),
  ]
  const ranked = files.filter(isProjector).map((file) => ({ file, rank: rank(file) }))
  return ranked.sort((a, b) => compare(a.rank, b.rank))[0]?.file
}

/** What is left of a file's name without quantisation, part number and "mmproj". */
function stem(path: string): string {
  const name = usualName(posix.basename(path).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '')).toUpperCase()
  return name.replace(GGUF_QUANT_RE_GLOBAL, '').replace(/MMPROJ|[^A-Z0-9]/g, '')
}

function sharedFolders(a: string, b: string): number {
  const [left, right] = [a, b].map((path) => posix.dirname(path).split('/'))
  const differs = left?.findIndex((part, index) => part !== right?.[index]) ?? 0
  return differs === -1 ? (left?.length ?? 0) : differs
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return (a[at] ?? 0) - (b[at] ?? 0)
}

function notFound(
  { repository, revision }: ModelReference,
  wanted: string,
  models: readonly ModelFiles<Named>[],
): DownloadError {
  const there = models.map(({ quantisation, name }) => quantisation ?? `${name}.gguf`)
  const hint =
    there.length > 0
      ? `It has ${[...new Set(there)].join(', ')}.`
      : 'Choose a repository with GGUF files; their names often end in -GGUF.'
  return new DownloadError(
    'HUB_NOT_FOUND',
    `The repository ${repository} (${revision}) has no ${wanted}. ${hint}`,
    { details: { repository, revision, available: there } },
  )
}

function incomplete(
  { repository }: ModelReference,
  name: string,
  there: number,
  parts: number,
): DownloadError {
  return new DownloadError(
    'HUB_NOT_FOUND',
    `The repository ${repository} has only ${there} of the ${parts} files of ${name}. Choose another quantisation.`,
    { details: { repository } },
  )
}

function ambiguous({ repository }: ModelReference, models: readonly ModelFiles<Named>[]): DownloadError {
  const names = models.map(({ files }) => `hf:${repository}:${files[0].path}`)
  return new DownloadError('HUB_NOT_FOUND', `Several models fit. Name the file: ${names.join(' or ')}.`, {
    details: { repository, available: names },
  })
}
