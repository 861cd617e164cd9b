export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  resolver: '<rootDir>/test/support/resolver.cjs',
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/prebuilds', '<rootDir>/.llama.cpp'],
  // The addon keeps process-wide state; two workers would also fight for the two cores.
  maxWorkers: 1,
  testTimeout: 60_000,
}
