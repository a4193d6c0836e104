import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { GAUGE, METRIC, type Metric } from '../../libs/reliable-mq/src/opentelemetry/names';

const ROOT = resolve(__dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const HISTOGRAMS: ReadonlySet<Metric> = new Set([METRIC.sendDuration, METRIC.processDuration, METRIC.publishLag]);
const METRICS: readonly Metric[] = [...Object.values(METRIC), ...Object.values(GAUGE)];
const GAUGES: ReadonlySet<Metric> = new Set(Object.values(GAUGE));

/** What Prometheus calls the series of a metric that came by OTLP. */
function seriesOf(metric: Metric): readonly string[] {
  const name = metric.name.replaceAll('.', '_') + (metric.unit === 's' ? '_seconds' : '');
  if (HISTOGRAMS.has(metric)) return ['bucket', 'count', 'sum'].map((part) => `${name}_${part}`);
  return [GAUGES.has(metric) ? name : `${name}_total`];
}

const known = new Set(METRICS.flatMap(seriesOf));
/** Of Prometheus itself, and those that the metrics have. */
const LABELS = new Set(['job', 'le', 'type', 'consumer', 'outcome']);

const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/\b(?:reliable_mq|messaging)_\w+/g)].map(([name]) => name);

describe.each([
  'docs/observability/alerts.yml',
  'docs/observability/alerts.test.yml',
  'docs/observability/grafana-dashboard.json',
])('%s', (path) => {
  const text = read(path);

  it('knows no metric that the library does not have', () => {
    expect(namesIn(text).length).toBeGreaterThan(5);
    expect(namesIn(text).filter((name) => !known.has(name))).toEqual([]);
  });

  it('divides them by nothing that they do not have', () => {
    const lists = [...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
    expect(lists.filter((label) => !LABELS.has(label))).toEqual([]);
  });
});

describe('the dashboard', () => {
  it('shows every metric of the library', () => {
    const shown = new Set(namesIn(read('docs/observability/grafana-dashboard.json')));
    expect(METRICS.filter((metric) => !seriesOf(metric).some((name) => shown.has(name)))).toEqual([]);
  });
});

describe.each(['docs/observability.md', 'docs/zh-CN/observability.md'])('%s', (path) => {
  const text = read(path);

  it('has every metric of the library', () => {
    expect(METRICS.map(({ name }) => name).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('has every alert', () => {
    const alerts = [...read('docs/observability/alerts.yml').matchAll(/alert: (\w+)/g)].map(([, name = '']) => name);
    expect(alerts.length).toBeGreaterThan(5);
    expect(alerts.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
