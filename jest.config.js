// Three projects, chosen by the file's name: `jest --selectProjects unit` needs no server at all.
// Integration and e2e share one global setup, which brings up whatever server is missing.
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

const swc = { ...JSON.parse(readFileSync(join(__dirname, '.swcrc'), 'utf8')), swcrc: false };

/** Jest refuses to start when a root does not exist. */
const roots = ['libs', 'apps', 'test', 'tools', 'chaos', 'bench'].filter((folder) =>
  existsSync(join(__dirname, folder)),
);

const project = (displayName, suffix, extras = {}) => ({
  displayName,
  rootDir: __dirname,
  roots: roots.map((folder) => `<rootDir>/${folder}`),
  testMatch: [`**/*.${suffix}.ts`],
  testEnvironment: '<rootDir>/test/support/leak-checking-environment.ts',
  setupFiles: ['reflect-metadata'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  moduleFileExtensions: ['ts', 'js', 'json', 'node'],
  moduleNameMapper: {
    '^nestjs-reliable-mq$': '<rootDir>/libs/reliable-mq/src/index.ts',
    '^nestjs-reliable-mq/(.*)$': '<rootDir>/libs/reliable-mq/src/$1/index.ts',
  },
  ...extras,
});

const withServers = {
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
};

/** @type {import('jest').Config} */
module.exports = {
  maxWorkers: 2,
  testSequencer: '<rootDir>/test/support/slowest-first.js',
  // What a spec leaves open fails its file (leak-checking-environment.ts); it must not keep the whole run from ending as well.
  forceExit: true,
  projects: [
    // Among them are some that talk over sockets of their own; this ends only what hangs.
    project('unit', 'spec', { testEnvironmentOptions: { testTimeoutMs: 30_000 } }),
    project('integration', 'int-spec', { ...withServers, testEnvironmentOptions: { testTimeoutMs: 120_000 } }),
    project('e2e', 'e2e-spec', { ...withServers, testEnvironmentOptions: { testTimeoutMs: 120_000 } }),
  ],
};
