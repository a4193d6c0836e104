import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import importX, { createNodeResolver } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const LIBRARY = 'libs/reliable-mq/src';
/** The console's page: it runs in a browser, is bundled, and imports nothing of the library but types. */
const PAGE = `${LIBRARY}/console/ui`;

/** What lies beside the library's source and is not part of it. */
const SPECS = ['**/*.spec.ts', '**/*.fixture.ts'];

// ---- The library's folders ---------------------------------------------------------------------------------------------
// From the ground up: a folder imports only from folders that stand before it, so that there is no circle between folders.

const LAYERS = [
  'wait', // deadlines, delays
  'log',
  'input', // reading what people wrote
  'event', // types, payloads, outcomes, errors, hooks
  'outbox',
  'inbox',
  'broker',
  'database',
  'options',
  'transaction',
  'record',
  'publish',
  'receipt',
  'repair',
  'consume',
  'compensate',
  'operate',
  'module',
  'opentelemetry', // entries of their own, for applications that have the package they are for
  'terminus',
  'console',
];

const folders = (names) => names.map((name) => `./${LIBRARY}/${name}`);

const BOUNDARIES = [
  ...LAYERS.slice(0, -1).map((name, index) => ({
    target: `./${LIBRARY}/${name}`,
    from: folders(LAYERS.slice(index + 1)),
    message: `${name} lies below: move what both need into a lower folder, or pass it in.`,
  })),
  {
    target: folders(['record', 'transaction']),
    from: folders(['broker']),
    message: 'Recording never knows a broker: it hands committed events to CommittedEvents.',
  },
  {
    target: folders(LAYERS.filter((name) => name !== 'database' && name !== 'module')),
    from: [`./${LIBRARY}/database/postgres`, `./${LIBRARY}/database/mysql`],
    message: 'What knows one kind of database is behind database/port.ts.',
  },
  {
    target: `./${LIBRARY}/database/mysql`,
    from: `./${LIBRARY}/database/postgres`,
    message: 'What both need belongs to the folder above.',
  },
  {
    target: `./${LIBRARY}/database/postgres`,
    from: `./${LIBRARY}/database/mysql`,
    message: 'What both need belongs to the folder above.',
  },
];

// ---- Restricted syntax -------------------------------------------------------------------------------------------------

/** Statements are written in upper case, so that prose which says "update" is none. */
const STATEMENT = String.raw`/^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|TRUNCATE|LOCK TABLE|SET|BEGIN|COMMIT|ROLLBACK|SAVEPOINT) /`;

const NO_SQL = ['Literal[value=', 'TemplateElement[value.raw='].map((start) => ({
  selector: `${start}${STATEMENT}]`,
  message: 'SQL lives in the folder of its database only.',
}));

/** By any name that this code has for a manager or a query runner; a plain object that holds a DataSource may call it so. */
const TYPEORM_OWNER = '/^(manager|queryRunner|runner)$/';

const NO_OWN_DATA_SOURCE = [
  `MemberExpression[property.name='dataSource'][object.name=${TYPEORM_OWNER}]`,
  `MemberExpression[property.name='dataSource'][object.property.name=${TYPEORM_OWNER}]`,
  `VariableDeclarator[init.name=${TYPEORM_OWNER}] > ObjectPattern > Property[key.name='dataSource']`,
  `VariableDeclarator[init.property.name=${TYPEORM_OWNER}] > ObjectPattern > Property[key.name='dataSource']`,
].map((selector) => ({
  selector,
  message: 'TypeORM 0.3 has another name for it: dataSourceOf(…) of database/data-source-of.ts knows both.',
}));

/** Five characters with a digit among them, compared with or listed: what PostgreSQL, and the SQL standard, call an SQLSTATE. */
const SQLSTATE = String.raw`/^(?=.*[0-9])[0-9A-DF-Z][0-9A-Z]{4}$/`;

const NO_SQLSTATE = ['BinaryExpression', 'ArrayExpression', 'SwitchCase'].map((parent) => ({
  selector: `${parent} > Literal[value=${SQLSTATE}]`,
  message: 'What an error of a driver says is DatabasePort.failureOf(error).',
}));

const DRIVERS = ['pg', 'pg-pool', 'mysql2', 'mysql2/promise'];

const NO_PROCESS = ['env', 'exit', 'exitCode', 'argv', 'on', 'once', 'stdout', 'stderr'].map((property) => ({
  object: 'process',
  property,
  message: 'The process belongs to the application: the library takes options and returns, throws or logs.',
}));

export default defineConfig(
  // The README's quick start imports the package by its name, as its reader does: `tsc` and its own test check it.
  globalIgnores(['dist/', 'coverage/', '.tmp/', 'docs/quick-start/', `${LIBRARY}/console/public/`]),
  {
    files: ['**/*.{js,mjs,ts,tsx}'],
    extends: [js.configs.recommended],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { eqeqeq: 'error', 'object-shorthand': 'error' },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: {
        module: 'readonly',
        require: 'readonly',
        process: 'readonly',
        console: 'readonly',
        __dirname: 'readonly',
      },
    },
  },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [
        createNodeResolver({
          extensions: ['.ts', '.tsx', '.js', '.json'],
          conditionNames: ['node', 'require', 'types', 'default'],
          tsconfig: { configFile: `${import.meta.dirname}/tsconfig.json` },
        }),
      ],
    },
    rules: {
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // It can't see that a field such as `stopped` changes while a method awaits, which is what most conditions here are about.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off', // handlers may return `void | Promise<void>`
      // Its fix takes away assertions on values of type any that the next line's types rest on.
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // Payloads, options and DTOs are written as object literals; their classes carry decorators, not behaviour.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/require-await': 'off', // what implements an asynchronous interface may have nothing to wait for
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'import-x/no-cycle': 'error',
      'import-x/no-unresolved': 'error',
    },
  },
  {
    files: [`${LIBRARY}/**/*.ts`],
    ignores: [...SPECS, `${PAGE}/**`],
    rules: {
      'import-x/no-extraneous-dependencies': [
        'error',
        { packageDir: [`${import.meta.dirname}/libs/reliable-mq`], devDependencies: false, includeTypes: false },
      ],
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones: BOUNDARIES }],
      'no-console': 'error',
      'no-restricted-imports': [
        'error',
        {
          paths: [
            { name: 'nestjs-reliable-mq', message: 'Inside the library, import the file itself.' },
            ...DRIVERS.map((name) => ({
              name,
              message: 'TypeORM loads the driver; no type of it is part of the library.',
            })),
          ],
          // Applications whose bundler resolves packages would not find the types of such a path.
          patterns: [
            { group: ['typeorm/*'], message: "Import from 'typeorm'." },
            {
              regex: String.raw`^(@[^/]+/)?[^@./:][^/:]*/.+(?<!\.js)$`,
              message:
                'Node finds a file of another package by its whole name only, when an ES module imports it: add .js.',
            },
          ],
        },
      ],
    },
  },
  {
    files: [`${LIBRARY}/**/*.ts`],
    ignores: [...SPECS, `${LIBRARY}/operate/cli/**`],
    rules: { 'no-restricted-properties': ['error', ...NO_PROCESS] },
  },
  {
    files: [`${LIBRARY}/**/*.ts`],
    ignores: [...SPECS, `${LIBRARY}/database/*/**`],
    rules: { 'no-restricted-syntax': ['error', ...NO_SQL, ...NO_SQLSTATE, ...NO_OWN_DATA_SOURCE] },
  },
  {
    files: [`${LIBRARY}/database/*/**/*.ts`],
    ignores: SPECS,
    rules: { 'no-restricted-syntax': ['error', ...NO_OWN_DATA_SOURCE] },
  },
  {
    files: [`${LIBRARY}/event/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['@nestjs/*', 'typeorm', 'typeorm/*'], message: 'event knows neither Nest nor TypeORM.' },
          ],
        },
      ],
    },
  },
  {
    files: [`${PAGE}/**/*.{ts,tsx}`],
    ignores: SPECS,
    rules: {
      'no-console': 'error',
      'import-x/no-restricted-paths': [
        'error',
        {
          basePath: import.meta.dirname,
          zones: [
            {
              target: `./${PAGE}`,
              from: `./${LIBRARY}`,
              except: ['./console/ui', './console/api.ts'],
              message: 'The page knows what the console answers, and nothing else of the library.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['{apps,bench,chaos,demo,test}/**/*.ts'],
    // Its seams are not public: their contract suites are the only ones that look inside, and the console's stand-in for its server.
    ignores: ['test/contract/**', 'test/console/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [{ regex: '(^|/)libs/', message: "Import from 'nestjs-reliable-mq', as an application does." }],
        },
      ],
    },
  },
  {
    files: [...SPECS, '**/*.{int-spec,e2e-spec}.ts', 'test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-extraneous-class': 'off', // an event class without properties
      '@typescript-eslint/unbound-method': 'off', // expect(mock.method)
      '@typescript-eslint/no-unsafe-assignment': 'off', // { at: expect.any(Date) }
      '@typescript-eslint/no-non-null-assertion': 'off', // a test that is wrong about it fails
    },
  },
);
