import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ts from 'typescript';

/** One option as its doc comment describes it. */
export interface DocumentedOption {
  /** Path from the root: `publish.leaseMs`. */
  readonly path: string;
  readonly text: string;
  /** As written after `@default`; absent for required options and for groups. */
  readonly default: string | undefined;
}

const SOURCE = join(__dirname, '../../libs/reliable-mq/src/options/options.ts');

/** Every option of `ReliableMqOptions`, in the order of the source, groups flattened. */
export function documentedOptions(): readonly DocumentedOption[] {
  const source = ts.createSourceFile(SOURCE, readFileSync(SOURCE, 'utf8'), ts.ScriptTarget.ES2022, true);
  const interfaces = new Map<string, ts.InterfaceDeclaration>();
  source.forEachChild((node) => {
    if (ts.isInterfaceDeclaration(node)) interfaces.set(node.name.text, node);
  });
  const walk = (name: string, prefix: string): DocumentedOption[] =>
    (interfaces.get(name)?.members ?? ([] as readonly ts.TypeElement[]))
      .filter(ts.isPropertySignature)
      .flatMap((member) => {
        const path = `${prefix}${member.name.getText(source)}`;
        const type = member.type?.getText(source) ?? '';
        const option = { path, ...docOf(member) };
        const isGroup = interfaces.has(type) && type !== 'BackoffOptions';
        return isGroup ? walk(type, `${path}.`) : [option];
      });
  return walk('ReliableMqOptions', '');
}

function docOf(member: ts.PropertySignature): { text: string; default: string | undefined } {
  const doc = ts.getJSDocCommentsAndTags(member).find(ts.isJSDoc);
  const tag = doc?.tags?.find((candidate) => candidate.tagName.text === 'default');
  const oneLine = (comment: Parameters<typeof ts.getTextOfJSDocComment>[0]): string =>
    (ts.getTextOfJSDocComment(comment) ?? '').replace(/\s+/g, ' ').trim();
  return { text: oneLine(doc?.comment), default: tag ? oneLine(tag.comment) : undefined };
}

/** docs/options.md. */
export function optionsPage(): string {
  const rows = documentedOptions().map(
    ({ path, text, default: value }) =>
      `| \`${path}\` | ${value === undefined ? '' : `\`${value}\``} | ${text.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Options',
    '',
    '`ReliableMqModule.forRoot({ … })`. Only `service` and `rabbitmq.uri` have no default. All are checked at boot, every problem in one error. This page is made from the comments in `options.ts` by `npm run docs:options`.',
    '',
    '| option | default | |',
    '|---|---|---|',
    ...rows,
    '',
    "`dataSources` (names of the TypeORM DataSources that have an outbox and an inbox, the first is the default one; default `['default']`), `producer`, `consumer` (`false` leaves that half unregistered) and `isGlobal` stand beside these options, in `forRoot` and at the top level of `forRootAsync`, because they shape the module graph.",
    '',
  ].join('\n');
}
