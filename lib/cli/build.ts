/** `build`: compiles the native part with the script that the package carries. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A switch is there when it was given. */
export interface BuildFlags {
  readonly cuda?: true
  readonly metal?: true
  readonly vulkan?: true
  readonly release?: true
  readonly json?: true
  readonly jobs?: number
  readonly cudaArchitectures?: string
}

/** The script tells its progress and errors itself; its exit code becomes ours. Ctrl-C reaches it by the terminal. */
export async function build({ jobs, cudaArchitectures, ...given }: BuildFlags): Promise<void> {
  const script = join(__dirname, '../../scripts/build.mjs')
  const switches = Object.keys(given).map((name) => `--${name}`)
  const values = { jobs, 'cuda-architectures': cudaArchitectures }
  const settings = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  )
  const args = [script, ...switches, ...settings]
  const [code] = (await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'close')) as [number | null]
  process.exitCode = code ?? 1
}
