import type { JSX } from 'preact';
import { placeOf, type Journey, type JourneyNode, type Lane } from '../state/journey';
import { useWords } from '../text/words';
import { named } from './small';

/** Deeper causes are not set further in. */
const DEEPEST = 4;

/** A line for each event and each consumer, on one scale. The steps below it tell the same in words. */
export function TimeLine({ journey }: { readonly journey: Journey }): JSX.Element {
  const { f } = useWords();
  const { from, to, nodes } = journey;
  const span = Date.parse(to) - Date.parse(from);
  return (
    <div class="timeline">
      {nodes.flatMap((node) =>
        node.lanes.map((lane) => (
          <LaneLine key={`${node.eventId} ${lane.name} ${lane.isConsumer}`} {...{ node, lane, journey }} />
        )),
      )}
      <div class="axis quiet" aria-hidden="true">
        <span>+0</span>
        <span>+{f.duration(span / 2)}</span>
        <span>+{f.duration(span)}</span>
      </div>
    </div>
  );
}

interface LaneProps {
  readonly node: JourneyNode;
  readonly lane: Lane;
  readonly journey: Journey;
}

function LaneLine({ node, lane, journey }: LaneProps): JSX.Element {
  const { t, f } = useWords();
  const { from, to } = journey;
  const start = placeOf(lane.from, from, to);
  const end = placeOf(lane.to ?? to, from, to);
  const name = lane.isConsumer ? lane.name : node.type;
  const status = named({ ...t.outcome, ...t.handlingStatus, ...t.eventStatus }, lane.status);
  const after = (at: string): string => f.duration(Math.max(0, Date.parse(at) - Date.parse(from)));
  return (
    <div class={`lane indent-${Math.min(DEEPEST, node.depth) + (lane.isConsumer ? 1 : 0)}`}>
      <span class="name">
        {lane.isConsumer && <span aria-hidden="true">└ </span>}
        {name} <small class="quiet">{lane.isConsumer ? status : `${lane.name} · ${status}`}</small>
      </span>
      <svg role="img" aria-label={t.journey.lineOf(`${name}, ${status}`, after(lane.from), after(lane.to ?? to))}>
        <line class="rail" x1="0" x2="100%" y1="50%" y2="50%" />
        <line
          class={`span ${lane.tone} ${lane.to === undefined ? 'open' : ''}`}
          x1={`${start}%`}
          x2={`${end}%`}
          y1="50%"
          y2="50%"
        />
        {lane.marks.map(({ at, tone }, index) => (
          <circle key={`${at} ${index}`} class={tone} cx={`${placeOf(at, from, to)}%`} cy="50%" r="5" />
        ))}
      </svg>
    </div>
  );
}
