/** The same floor as a list, and what is known of the block that is selected. */
import { useEffect, useRef, useState, type ReactNode } from "react";

import { Crops } from "./Crops";
import { colourOf } from "./colours";
import { doubt, short, type Stay } from "./day";
import { useLanguage, word } from "./i18n";
import { Tool } from "./Icon";
import { BlockReviews } from "./Reviews";
import { clock, dateAndClock } from "./times";
import { Why } from "./Why";
import type { BayDetail, BayEvent } from "./types";

interface Props {
  bay: BayDetail;
  stays: readonly Stay[];
  visible: readonly Stay[];
  empty: string;
  events: readonly BayEvent[];
  colours: Map<string, string>;
  moment: number;
  selected: string | null;
  onSelect: (track: string | null) => void;
  onTime: (time: number) => void;
  onCorrected: () => void;
}

export function BlockPanel(props: Props): ReactNode {
  const { t } = useLanguage();
  const { visible, selected } = props;
  const chosen = useRef<HTMLButtonElement>(null);
  useEffect(() => chosen.current?.scrollIntoView?.({ block: "nearest" }), [selected]);
  const rows = [...visible].sort((a, b) => a.area.localeCompare(b.area) || a.track.localeCompare(b.track));
  return (
    <section className="bay-panel" tabIndex={0} aria-label={t("blocks")}>
      {selected && <BlockFacts key={selected} {...props} track={selected} />}
      <h3>
        {t("blocks")} <span className="bay-muted">{visible.length}</span>
      </h3>
      {rows.length ? (
        <ul className="bay-list">
          {rows.map((stay) => (
            <li key={stay.track}>
              <button
                type="button"
                ref={stay.track === selected ? chosen : null}
                aria-pressed={stay.track === selected}
                onClick={() => props.onSelect(stay.track === selected ? null : stay.track)}
              >
                <span className="bay-swatch" style={{ background: colourOf(props.colours, stay.stage) }} />
                <span className="bay-strong">{stay.name ?? short(stay.track)}</span> {stay.area}
                <span className="bay-muted">
                  {stay.className} · {stay.stage ?? t("noStage")}
                  {doubtWord(stay, props.moment, t)}
                </span>
              </button>
            </li>
          ))}
        </ul>
      ) : (
        <p className="bay-muted">{props.empty}</p>
      )}
    </section>
  );
}

function doubtWord(stay: Stay, moment: number, t: ReturnType<typeof useLanguage>["t"]): string {
  const kind = doubt(stay, moment);
  return kind ? ` · ${t(kind)}` : "";
}

function BlockFacts(props: Props & { track: string }): ReactNode {
  const { bay, stays, events, moment, track, colours, onSelect, onTime, onCorrected } = props;
  const { t, locale } = useLanguage();
  const [pictured, setPictured] = useState(false);
  const [asked, setAsked] = useState(false);
  const own = stays.filter((stay) => stay.track === track).sort((a, b) => a.since - b.since);
  const here = own.filter((stay) => stay.since <= moment).at(-1);
  const before = here && own.filter((stay) => stay.standingSince < here.standingSince).at(-1);
  const when = (time: number): string => dateAndClock(time, bay.timezone, locale);
  return (
    <section aria-label={short(track)}>
      <div className="bay-row" style={{ justifyContent: "space-between" }}>
        <h2>
          {here?.name ?? short(track)} <span className="bay-muted">{track}</span>
        </h2>
        <Tool label={t("close")} icon="close" onClick={() => onSelect(null)} />
      </div>
      {here && (
        <dl className="bay-facts">
          <Fact name={t("area")} value={here.area} />
          <Fact name={t("className")} value={here.className} />
          <Fact name={t("stage")} value={here.stage ?? t("noStage")} />
          {here.seenStage && <Fact name={t("seenStage")} value={here.seenStage} />}
          {here.continues && <Fact name={t("continues")} value={short(here.continues)} />}
          <Fact name={t("status")} value={word(t, "", here.until <= moment ? "exited" : here.status)} />
          <Fact name={t("since")} value={when(here.standingSince)} />
          <Fact name={t("from")} value={before ? before.area : t("appearedHere")} />
          <Fact name={t("lastSeen")} value={when(Math.min(here.lastSeen, Math.max(moment, here.since)))} />
          <Fact name={t("height")} value={t("metres", { n: here.height.toFixed(1) })} />
          <Fact name={t("deviation")} value={`± ${t("metres", { n: here.deviation.toFixed(2) })}`} />
          <Fact name={t("confidence")} value={`${Math.round(here.confidence * 100)} %`} />
          <Fact name={t("sightings")} value={String(here.sightings)} />
        </dl>
      )}
      {here && (
        <details onToggle={(event) => setAsked(event.currentTarget.open)}>
          <summary>{t("whyBlock")}</summary>
          {asked && <Why bay={bay} track={track} at={moment} />}
        </details>
      )}
      {here && (
        <BlockReviews
          bay={bay}
          stay={here}
          moment={moment}
          stages={[...colours.keys()]}
          others={[...new Set(stays.filter((stay) => stay.until <= here.since).map((stay) => stay.track))]}
          onDone={onCorrected}
        />
      )}
      {here && (
        <details onToggle={(event) => setPictured(event.currentTarget.open)}>
          <summary>{t("crops")}</summary>
          {pictured && <Crops bay={bay} track={track} at={moment} />}
        </details>
      )}
      {events.length > 0 && (
        <ul className="bay-list" aria-label={t("events")}>
          {events.map((event) => (
            <li key={event.key}>
              <button type="button" onClick={() => onTime(Date.parse(event.time))}>
                {clock(Date.parse(event.time), bay.timezone, locale)} {word(t, "ev_", event.kind)}
                <span className="bay-muted">{change(event)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string }): ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

/** From where to where, or from which stage to which. */
export function change(event: BayEvent): string {
  const pairs: [string | null, string | null][] = [
    [event.from_area, event.to_area],
    [event.from_stage, event.to_stage],
  ];
  return pairs
    .filter(([from, to]) => from !== to && (from ?? to))
    .map(([from, to]) => `${from ?? "–"} → ${to ?? "–"}`)
    .join(", ");
}
