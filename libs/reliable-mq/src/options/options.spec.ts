import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CronExpression } from '@nestjs/schedule';
import ts from 'typescript';
import { resolveOptions } from './resolve-options';

/** What options.ts says of one option. */
interface DocumentedOption {
  readonly path: string;
  readonly text: string;
  readonly defaultText: string | undefined;
  readonly isGroup: boolean;
}

const source = ts.createSourceFile(
  'options.ts',
  readFileSync(join(__dirname, 'options.ts'), 'utf8'),
  ts.ScriptTarget.ES2022,
  true,
);

const interfaces = new Map<string, ts.InterfaceDeclaration>();
source.forEachChild((node) => {
  if (ts.isInterfaceDeclaration(node)) interfaces.set(node.name.text, node);
});

function documentedOptions(name: string, prefix = ''): DocumentedOption[] {
  return (interfaces.get(name)?.members ?? ts.factory.createNodeArray<ts.TypeElement>()).flatMap((member) => {
    const path = prefix + member.name!.getText(source);
    const tags = ts.getJSDocTags(member);
    const tag = tags.find((each) => each.tagName.text === 'default');
    const type = (member as ts.PropertySignature).type?.getText(source) ?? '';
    const isGroup = interfaces.has(type);
    const own: DocumentedOption = {
      path,
      text: ts
        .getJSDocCommentsAndTags(member)
        .map((each) => ts.getTextOfJSDocComment(each.comment) ?? '')
        .join(' '),
      defaultText: typeof tag?.comment === 'string' ? tag.comment.trim() : undefined,
      isGroup,
    };
    return [own, ...(isGroup ? documentedOptions(type, `${path}.`) : [])];
  });
}

const options = documentedOptions('ReliableMqOptions');
const resolved = resolveOptions({ service: 'order', rabbitmq: { uri: 'amqp://localhost' } });

function valueAt(path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], resolved);
}

/** `'text'`, `1000`, `{ initialMs: 1000 }` or `CronExpression.…`, as it stands in a comment. */
function parseDefault(text: string): unknown {
  const [, expression] = /^CronExpression\.(\w+)$/.exec(text) ?? [];
  if (expression) return CronExpression[expression as keyof typeof CronExpression];
  return JSON.parse(text.replace(/'/g, '"').replace(/(\w+):/g, '"$1":'));
}

describe('the documentation of the options', () => {
  it('is found', () => {
    expect(options.length).toBeGreaterThan(30);
    expect(options.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['service', 'rabbitmq.uri', 'publish.backoff.jitter']),
    );
  });

  it.each(options.filter(({ defaultText }) => defaultText !== undefined))(
    'says the default of $path',
    ({ path, defaultText }) => {
      expect(valueAt(path)).toEqual(parseDefault(defaultText ?? ''));
    },
  );

  it('gives a default for every option that has one', () => {
    const without = options
      .filter(({ defaultText, isGroup }) => defaultText === undefined && !isGroup)
      .map(({ path }) => path);
    const backoffs = options.filter(({ path, defaultText }) => path.endsWith('.backoff') && defaultText !== undefined);
    const inBackoffs = backoffs.flatMap(({ path }) => ['initialMs', 'maxMs', 'jitter'].map((key) => `${path}.${key}`));
    const optionalOfRabbitMq = ['rabbitmq.tls', 'rabbitmq.credentials', 'rabbitmq.connection'];
    expect(new Set(without)).toEqual(
      new Set([
        'service',
        'rabbitmq.uri',
        ...optionalOfRabbitMq,
        'record.headers',
        'compensation.intervalMs',
        'hooks',
        ...inBackoffs,
      ]),
    );
  });

  it('explains every option', () => {
    expect(options.filter(({ text, isGroup }) => text.length < 20 && !isGroup).map(({ path }) => path)).toEqual([]);
  });

  it('knows every option that is resolved, and no other', () => {
    const leaves = (value: unknown, path: string): string[] =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && path !== 'hooks'
        ? Object.entries(value).flatMap(([key, item]) => leaves(item, path ? `${path}.${key}` : key))
        : [path];
    const resolvedPaths = leaves(resolved, '').map((path) => (path === 'rabbitmq.uris' ? 'rabbitmq.uri' : path));
    const documented = options
      .filter(({ isGroup, path }) => !isGroup && !path.endsWith('.backoff'))
      .map(({ path }) => path);
    expect(new Set(documented)).toEqual(new Set(resolvedPaths));
  });
});
