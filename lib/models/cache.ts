/**
 * The cache on disk, in the layout that Hugging Face's own programs share:
 * models--owner--name/{blobs/<hash>, refs/<revision>, snapshots/<commit>/<path> → a blob}.
 */
import {
  mkdir,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { getRepoFolderName } from '@huggingface/hub'
import { stored } from './storage'

/** A file of a snapshot. */
export interface CachedFile {
  /** Path in the repository. */
  readonly path: string
  /** Path on this machine. */
  readonly local: string
  /** Where the bytes lie; on Windows without symbolic links the same as `local`. */
  readonly blob: string
  readonly bytes: number
}

/** Ending of a download that is not complete, and of its lock; other programs of the cache have their own. */
const partialEnding = '.qwenvl-part'
const lockEnding = '.qwenvl-lock'

/** The folder of one repository in the cache. */
export class RepositoryCache {
  readonly folder: string

  constructor(cacheDir: string, repository: string) {
    this.folder = join(cacheDir, getRepoFolderName({ type: 'model', name: repository }))
  }

  blob(oid: string): string {
    return join(this.folder, 'blobs', oid)
  }

  partial(oid: string): string {
    return this.blob(oid) + partialEnding
  }

  lock(oid: string): string {
    return this.blob(oid) + lockEnding
  }

  /** Where a file of a commit is found, if it is there. */
  pointer(commit: string, path: string): string {
    return join(this.folder, 'snapshots', commit, path)
  }

  /** True where the whole file is there, as a link or by itself. */
  async has(
    commit: string,
    { path, bytes }: { readonly path: string; readonly bytes: number },
  ): Promise<boolean> {
    return (await sizeOf(this.pointer(commit, path))) === bytes
  }

  async prepare(): Promise<void> {
    await stored(this.folder, mkdir(join(this.folder, 'blobs'), { recursive: true }))
  }

  /** Makes a blob appear at its path in a snapshot. */
  async link(commit: string, path: string, oid: string): Promise<void> {
    const [blob, pointer] = [this.blob(oid), this.pointer(commit, path)]
    await stored(pointer, mkdir(dirname(pointer), { recursive: true }))
    // Beside it first: a reader never finds nothing, and of two writers the last wins.
    const aside = `${pointer}.${process.pid}.${performance.now()}`
    try {
      await symlink(relative(dirname(pointer), blob), aside)
    } catch (error) {
      if (!['EPERM', 'ENOSYS', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) {
        return stored(pointer, Promise.reject(error as Error))
      }
      return stored(pointer, rename(blob, pointer)) // Windows without the right to make links
    }
    await stored(pointer, rename(aside, pointer))
  }

  /** The commit that a branch or tag meant last time. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision
    const commit = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')
    return commit.trim() || undefined
  }

  async remember(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return
    const path = join(this.folder, 'refs', revision)
    await stored(path, mkdir(dirname(path), { recursive: true }))
    const aside = `${path}.${process.pid}`
    await stored(path, writeFile(aside, commit))
    await stored(path, rename(aside, path))
  }

  /** The GGUF files of a commit that are there. */
  async files(commit: string): Promise<CachedFile[]> {
    const folder = join(this.folder, 'snapshots', commit)
    const names = await readdir(folder, { recursive: true }).catch(() => [])
    const found = await Promise.all(
      names
        .filter((name) => /\.gguf$/i.test(name))
        .map(async (name): Promise<CachedFile[]> => {
          const local = join(folder, name)
          const bytes = await sizeOf(local)
          if (bytes === undefined) return []
          return [{ path: name.split(sep).join('/'), local, blob: await realpath(local), bytes }]
        }),
    )
    return found.flat()
  }

  /** Commits with a snapshot, the newest first. */
  async commits(): Promise<string[]> {
    const folder = join(this.folder, 'snapshots')
    const names = await readdir(folder).catch(() => [])
    const times = await Promise.all(
      names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })),
    )
    return times.sort((a, b) => b.time - a.time).map(({ name }) => name)
  }

  /** Downloads that are not complete. */
  async partials(): Promise<{ readonly path: string; readonly bytes: number }[]> {
    const folder = join(this.folder, 'blobs')
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(partialEnding))
    return Promise.all(
      names.map(async (name) => ({
        path: join(folder, name),
        bytes: (await sizeOf(join(folder, name))) ?? 0,
      })),
    )
  }

  /** Removes a file, and the folders above it that are empty then. */
  async remove(path: string): Promise<void> {
    await stored(path, rm(path, { force: true }))
    for (let folder = dirname(path); folder !== this.folder; folder = dirname(folder)) {
      if ((await readdir(folder).catch(() => [''])).length > 0) return
      await stored(folder, rmdir(folder))
    }
  }

  /** Forgets revisions without a snapshot, and a repository without any. */
  async tidy(): Promise<void> {
    const commits = await this.commits()
    if (commits.length === 0) return stored(this.folder, rm(this.folder, { recursive: true, force: true }))
    const refs = join(this.folder, 'refs')
    for (const name of await readdir(refs, { recursive: true }).catch(() => [])) {
      const path = join(refs, name)
      const commit = await readFile(path, 'utf8').catch(() => undefined) // undefined: a folder
      if (commit !== undefined && !commits.includes(commit.trim())) await this.remove(path)
    }
  }
}

/** Names of the repositories in a cache. */
export async function cachedRepositories(cacheDir: string): Promise<string[]> {
  const names = await readdir(cacheDir).catch(() => [])
  return names.flatMap((name) => {
    const [, owner, model] = /^models--([^-].*?)--(.+)$/.exec(name) ?? []
    return owner && model ? [`${owner}/${model}`] : []
  })
}

/** Size of the file that a path leads to; undefined where it leads nowhere. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  )
}
