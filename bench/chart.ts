/** One bar of a chart. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value as it is written beside the bar. */
  readonly text: string;
  readonly isOurs: boolean;
}

const WIDTH = 720;
const LABELS = 230;
const VALUES = 130;
const ROW = 26;
const TOP = 34;

/** Horizontal bars as an SVG that fits a light and a dark page. */
export function chartOf(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const height = TOP + bars.length * ROW + 8;
  const rows = bars.map(({ label, value, text, isOurs }, index) => {
    const y = TOP + index * ROW;
    const width = Math.max(1, (value / most) * (WIDTH - LABELS - VALUES));
    return [
      `  <text x="${LABELS - 10}" y="${y + 16}" class="label" text-anchor="end">${escape(label)}</text>`,
      `  <rect x="${LABELS}" y="${y + 3}" width="${width.toFixed(1)}" height="18" rx="3" class="${isOurs ? 'ours' : 'other'}"/>`,
      `  <text x="${(LABELS + width + 8).toFixed(1)}" y="${y + 16}" class="label">${escape(text)}</text>`,
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">
  <style>
    text { font: 13px system-ui, sans-serif; fill: #24292f }
    .title { font-weight: 600 }
    .ours { fill: #d9364f }
    .other { fill: #8c959f }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #ff6b81 } .other { fill: #6e7681 } }
  </style>
  <text x="4" y="18" class="title">${escape(title)}</text>
${rows.join('\n')}
</svg>
`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
