/** Public names of `qwenvl-native/server`, nothing else. */
export { startServer } from './server'
export type { RunningServer } from './server'
export type { ServerOptions } from './options'
