declare module 'node-gyp-build' {
  /** Path of the local build or prebuild under `folder`; throws when there is none. */
  export function resolve(folder: string): string
}
