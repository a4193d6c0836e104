/**
 * Checks the protocol's model (docs/model/reliable-mq.pml) with spin, exhaustively in small scopes, and shows that the check has
 * teeth: with a guard taken out, the promise that rests on it breaks.
 *
 *   npm run model                        every variant, as a table
 *   npm run model -- --trace [text]      the counterexamples too, in words; only of variants whose name has the text
 *
 * Exit code 0: all as expected; 1: a surprise; 2: spin or gcc is missing.
 */
import { resolve } from 'node:path';
import { type Answer, ask, missingPrograms } from './spin';
import { propertyName, type Variant, VARIANTS } from './variants';

const MODEL = resolve(__dirname, '../../docs/model/reliable-mq.pml');
/** Two at once: the two longest searches together stay below 4 GiB. */
const PARALLEL = 2;

async function main(): Promise<number> {
  const missing = await missingPrograms();
  if (missing.length > 0) {
    console.error(
      `The model needs ${missing.join(' and ')}. Install: sudo apt-get install spin gcc (Debian, Ubuntu), ` +
        'brew install spin (macOS, with the command line tools: xcode-select --install), or see https://spinroot.com/spin/Man/README.html.',
    );
    return 2;
  }
  const [flag, text = ''] = process.argv.slice(2);
  if (flag !== undefined && flag !== '--trace') {
    console.error(`Unknown argument "${flag}". Usage: npm run model [-- --trace [part of a variant's name]]`);
    return 2;
  }
  const variants = VARIANTS.filter(({ name }) => name.includes(text));
  if (variants.length === 0) {
    console.error(`No variant has "${text}" in its name.`);
    return 2;
  }
  const started = performance.now();
  const answers = await inParallel(variants, (variant) => ask(MODEL, variant));
  console.log(table(variants, answers));
  const surprises = variants.filter((variant, index) => answers[index]?.found !== variant.expected);
  variants.forEach((variant, index) => {
    const { steps, found, breaks } = answers[index] as Answer;
    if (steps.length > 0 && (flag === '--trace' || found !== variant.expected)) {
      console.log(`\n${variant.name} [${variant.switches.join(' ')}] breaks ${breaks}:`);
      for (const step of steps) console.log(`  ${step}`);
    }
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`\n${variants.length} variants in ${seconds} s, ${surprises.length} surprises.`);
  return surprises.length === 0 ? 0 : 1;
}

/** Answers in the order of the variants. */
async function inParallel(
  variants: readonly Variant[],
  answer: (variant: Variant) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < variants.length; index = next++) {
      answers[index] = await answer(variants[index] as Variant);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return answers;
}

function table(variants: readonly Variant[], answers: readonly Answer[]): string {
  const rows = variants.map((variant, index) => {
    const { found, states, seconds } = answers[index] as Answer;
    return [
      variant.name,
      propertyName(variant.property),
      states.toLocaleString('en'),
      seconds.toFixed(1),
      variant.expected,
      found === variant.expected ? found : `${found}  <-- surprise`,
    ];
  });
  const all = [['variant', 'property', 'states', 'seconds', 'expected', 'found'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = all.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 2 || column === 3 ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return lines.join('\n');
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
