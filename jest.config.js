/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  moduleNameMapper: {
    '^twinwrite$': '<rootDir>/src/index.ts',
    '^twinwrite/(client|worker|testing)$': '<rootDir>/src/$1.ts',
    '^twinwrite/stack$': '<rootDir>/src/stack/index.ts',
    // As src/worker.ts names it, and nobody else.
    '^\\./worker/workflow-source$': '<rootDir>/test/support/bundled-workflows.ts',
  },
  globalSetup: '<rootDir>/test/support/bundle-once.ts',
  globalTeardown: '<rootDir>/test/support/remove-bundle.ts',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs', ignoreDynamic: true },
        sourceMaps: 'inline',
      },
    ],
  },
  testTimeout: 120_000,
  // The tests mostly wait for servers and processes; three files at a time keep two cores busy.
  maxWorkers: 3,
};
