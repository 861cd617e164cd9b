/** Tests are written against lib/ and run against dist/: what is tested is what is shipped. */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  moduleNameMapper: {
    '^(?:\\.\\./)+lib/(.*)$': '<rootDir>/dist/$1',
    '^(?:\\.\\./)+lib$': '<rootDir>/dist/index',
  },
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/prebuilds', '<rootDir>/.llama.cpp'],
  // The addon keeps process-wide state; two workers would also fight for the two cores.
  maxWorkers: 1,
  testTimeout: 60_000,
}
