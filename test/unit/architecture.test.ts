/**
 * The direction of imports, the file budget and the names of the boundary: what keeps the tree readable, as a test.
 * Reads the sources; a violation names the file and the rule.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'

const root = join(__dirname, '../..')
/** Tests are tables to a good part: they may be longer. */
const budgets: ReadonlyArray<[number, ReadonlyArray<[string, RegExp]>]> = [
  [
    400,
    [
      ['lib', /\.ts$/],
      ['native', /\.(h|cpp)$/],
      ['scripts', /\.mjs$/],
    ],
  ],
  [600, [['test', /\.(ts|mjs|cpp)$/]]],
]

/** What the files of each part may import from the other parts. Parts are folders of lib/, or single files. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  abort: [],
  log: [],
  generations: ['errors'],
  geometry: ['errors', 'generations'],
  prompt: ['errors', 'generations', 'geometry'],
  output: ['errors', 'generations', 'geometry'],
  media: ['errors', 'abort', 'log', 'generations', 'geometry'],
  models: ['errors', 'abort', 'log', 'generations'],
  engine: ['errors', 'abort', 'log', 'generations'],
  grounding: ['errors', 'generations', 'geometry', 'prompt', 'media', 'output'],
  root: [
    'errors',
    'abort',
    'log',
    'generations',
    'geometry',
    'prompt',
    'output',
    'media',
    'models',
    'engine',
    'grounding',
  ],
  adapters: ['root', 'errors'],
  server: ['root', 'errors', 'abort'],
  // Runs in a browser.
  'server/page': ['generations', 'grounding'],
  cli: ['root', 'errors', 'abort', 'prompt', 'models', 'server'],
}

/** Modules of data types that everybody may name: `import type` only. */
const CONTRACTS = ['engine/binding', 'media/source', 'media/geometry', 'prompt/messages']

/** The files, or folders, that own a package; nobody else imports it. */
const OWNERS: Record<string, readonly string[]> = {
  sharp: ['media/image', 'grounding/draw'],
  'node-gyp-build': ['engine/platform'],
  '@huggingface/jinja': ['prompt/template'],
  zod: ['checks', 'prompt/normalise', 'output/schema', 'screen', 'server'],
  hono: ['server'],
  '@hono/node-server': ['server/server', 'server/rates'],
  'prom-client': ['server/metrics'],
  '@ai-sdk/provider': ['adapters/aisdk', 'adapters/aiprompt'],
  commander: ['cli/main'],
  'cli-progress': ['cli/progress'],
  '@huggingface/hub': ['models/hub', 'models/cache', 'models/settings'],
  '@huggingface/gguf': ['models/choose', 'models/header'],
}

/** Parts that compute and nothing else: no files, no processes, no network. */
const PURE = ['errors', 'generations', 'geometry', 'prompt', 'output']

interface Import {
  readonly file: string
  readonly target: string
  readonly typeOnly: boolean
  readonly relative: boolean
}

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
}

const sources = filesIn('lib', /\.ts$/)
const modules = sources.filter((file) => !file.endsWith('.d.ts'))

/** Module name inside lib: 'lib/prompt/mrope.ts' is 'prompt/mrope'. */
const moduleOf = (file: string) => file.replace(/^lib\//, '').replace(/\.ts$/, '')

function partOf(module: string): string {
  if (module === 'media/geometry') return 'geometry'
  if (module.includes('/')) return dirname(module)
  return module in MAY_IMPORT ? module : 'root'
}

const imports: Import[] = modules.flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const statement =
    /(?:^|\n)(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/g
  return [...text.matchAll(statement)].map(([, type, from, dynamic]) => {
    // import() has to name the compiled file.
    const name = from ?? dynamic?.replace(/\.js$/, '') ?? ''
    const relative = name.startsWith('.')
    const target = relative ? posix.normalize(posix.join(dirname(moduleOf(file)), name)) : name
    return { file: moduleOf(file), target, typeOnly: type !== undefined, relative }
  })
})
const ours = imports.filter((entry) => entry.relative)
const foreign = imports.filter((entry) => !entry.relative)
const packageOf = (target: string) => target.split('/', target.startsWith('@') ? 2 : 1).join('/')
const owns = (file: string) => (owner: string) => file === owner || file.startsWith(`${owner}/`)
const show = ({ file, target }: Import) => `${file} → ${target}`

describe('imports in lib/', () => {
  test('every relative import names a file of lib/', () => {
    const known = sources.map(moduleOf)
    expect(ours.filter(({ target }) => !known.includes(target)).map(show)).toEqual([])
    expect(ours.length).toBeGreaterThan(5)
  })

  test('go one way', () => {
    const wrong = ours.filter(({ file, target, typeOnly }) => {
      if (typeOnly && CONTRACTS.includes(target)) return false
      const [from, to] = [partOf(file), partOf(target)]
      return from !== to && !MAY_IMPORT[from]?.includes(to)
    })
    expect(wrong.map(show)).toEqual([])
  })

  test('make no cycle', () => {
    const next = new Map<string, string[]>()
    for (const { file, target, typeOnly } of ours)
      if (!typeOnly) next.set(file, [...(next.get(file) ?? []), target])
    expect(cycleIn(next)).toEqual([])
  })

  test('take each package in the file that owns it', () => {
    const wrong = foreign.filter(
      ({ file, target }) => !target.startsWith('node:') && !OWNERS[packageOf(target)]?.some(owns(file)),
    )
    expect(wrong.map(show)).toEqual([])
  })

  test('of pure parts reach no Node module', () => {
    expect(
      foreign
        .filter(
          ({ file, target }) =>
            PURE.includes(partOf(file)) && target.startsWith('node:') && target !== 'node:util/types',
        )
        .map(show),
    ).toEqual([])
  })
})

describe('files', () => {
  test.each(budgets)('have at most %i lines', (most, folders) => {
    const linesOf = (file: string) => readFileSync(join(root, file), 'utf8').split('\n').length - 1
    const all = folders.flatMap(([folder, pattern]) => filesIn(folder, pattern))
    expect(all.length).toBeGreaterThan(5)
    expect(all.filter((file) => linesOf(file) > most).map((file) => `${file}: ${linesOf(file)}`)).toEqual([])
  })

  test('are named after one idea, in one word', () => {
    const nameOf = (file: string) => posix.basename(file, '.ts')
    expect(modules.filter((file) => !/^[a-z0-9]+$/.test(nameOf(file)))).toEqual([])
    expect(
      modules.filter((file) => /^(utils?|helpers?|common|types|misc|shared)$/.test(nameOf(file))),
    ).toEqual([])
  })
})

describe('native/', () => {
  const includes = (folder: string) =>
    filesIn(folder, /\.(h|cpp)$/).flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/#\s*include\s*["<]([^">]+)[">]/g)].map(
        ([, name = '']) => ({ file, name }),
      ),
    )
  const upstream = /^(ggml|gguf|llama|mtmd|clip)/
  /** What multi-token prediction needs is in no public header. */
  const staging = { file: 'native/core/mtp_head.cpp', name: 'llama-ext.h' }
  const publicHeader = /^(llama(-cpp)?|mtmd(-helper)?|gguf|ggml|ggml-(cpu|backend|cpp|alloc))\.h$/

  test('core knows no JavaScript', () => {
    expect(includes('native/core').filter(({ name }) => /napi|node|v8|uv\.h/.test(name))).toEqual([])
  })

  test('core uses only public headers of llama.cpp', () => {
    const own = filesIn('native/core', /\.h$/).map((file) => posix.basename(file))
    const wrong = includes('native/core').filter(
      ({ name }) => upstream.test(name) && !own.includes(name) && !publicHeader.test(name),
    )
    expect(wrong).toEqual([staging])
  })

  test('binding knows no ggml and includes napi.h in one place', () => {
    const own = filesIn('native', /\.h$/).map((file) => posix.basename(file))
    const binding = includes('native/binding')
    expect(binding.filter(({ name }) => upstream.test(name) && !own.includes(name))).toEqual([])
    expect(binding.filter(({ name }) => name === 'napi.h').map(({ file }) => file)).toEqual([
      'native/binding/napi_setup.h',
    ])
  })

  test('registers exactly what lib/engine/binding.ts types', () => {
    const registered = [
      ...readFileSync(join(root, 'native/binding/addon.cpp'), 'utf8').matchAll(/exports\.Set\("(\w+)"/g),
    ]
    const typed = /interface NativeAddon \{([\s\S]*?)\n\}/.exec(
      readFileSync(join(root, 'lib/engine/binding.ts'), 'utf8'),
    )
    const methods = [...(typed?.[1] ?? '').matchAll(/^ {2}(\w+)\(/gm)]
    const names = (matches: RegExpExecArray[]) => matches.map(([, name = '']) => name).sort()
    expect(names(registered)).toEqual(names(methods))
    expect(registered.length).toBeGreaterThan(0)
  })
})

/** A path that returns to its start, or nothing. */
function cycleIn(next: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const finished = new Set<string>()
  const visit = (node: string, path: readonly string[]): readonly string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (finished.has(node)) return []
    for (const target of next.get(node) ?? []) {
      const cycle = visit(target, [...path, node])
      if (cycle.length > 0) return cycle
    }
    finished.add(node)
    return []
  }
  for (const start of next.keys()) {
    const cycle = visit(start, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
