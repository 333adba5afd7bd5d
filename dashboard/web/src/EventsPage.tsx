/** What happened, to be looked through and judged. */
import { useMemo, useState, type ReactNode } from "react";

import { ask } from "./api";
import { change } from "./BlockPanel";
import { Crops } from "./Crops";
import { short } from "./day";
import { useLanguage, word } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { usePlace } from "./query";
import { EventReviews, Judgement, RightFigures } from "./Reviews";
import { dateAndClock, dateOf, DAY, dayOf, iso, MINUTE } from "./times";
import type { BayDetail, BayEvent, EventList } from "./types";

const KINDS = [
  "initial",
  "appeared",
  "moved",
  "stage_changed",
  "exited",
  "work_started",
  "work_stopped",
  "merged",
  "split",
  "dismissed",
  "corrected",
  "floor_doubted",
  "pose_drift",
] as const;
const PAGE = 200;
const SHIFT = 8 * 60 * MINUTE;

export function EventsPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const newest = bay.newest_slot === null ? Date.now() : Date.parse(bay.newest_slot);
  const [place] = usePlace();
  const asked = Date.parse(place("at") ?? "");
  const until = Number.isNaN(asked) ? newest : asked;
  // The shift before as well, or the page is empty soon after midnight.
  const [from, setFrom] = useState(() => dateOf(until - SHIFT, bay.timezone));
  const [to, setTo] = useState(() => dateOf(until, bay.timezone));
  const [kind, setKind] = useState("");
  const [area, setArea] = useState("");
  const [shown, setShown] = useState(PAGE);
  const start = dayOf(from, bay.timezone)[0];
  const end = Math.max(dayOf(to, bay.timezone)[1], start + DAY);
  const query = { start: iso(start), end: iso(end), kind: kind || undefined, area: area || undefined, limit: 5000 };
  const key = JSON.stringify([bay.bay_id, query]);
  const events = useLoaded(key, (signal) => ask<EventList>(`bays/${bay.bay_id}/events`, clean(query), signal));
  const [round, setRound] = useState(0);
  const judged = (): void => {
    events.again();
    setRound((count) => count + 1);
  };
  const rows = useMemo(() => [...(events.value?.events ?? [])].reverse(), [events.value]);
  const date = (value: string, use: (value: string) => void): void => {
    if (/^\d{4}-\d\d-\d\d$/.test(value)) use(value);
  };
  return (
    <>
      <div className="bay-row bay-noprint">
        <label className="bay-field">
          {t("fromDate")}
          <input type="date" value={from} onChange={(event) => date(event.target.value, setFrom)} />
        </label>
        <label className="bay-field">
          {t("toDate")}
          <input type="date" value={to} onChange={(event) => date(event.target.value, setTo)} />
        </label>
        <label className="bay-field">
          {t("what")}
          <select value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">{t("all")}</option>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {word(t, "ev_", one)}
              </option>
            ))}
          </select>
        </label>
        <label className="bay-field">
          {t("area")}
          <select value={area} onChange={(event) => setArea(event.target.value)}>
            <option value="">{t("all")}</option>
            {bay.areas.map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
          </select>
        </label>
      </div>
      {events.error && <Failure error={events.error} again={events.again} t={t} />}
      {events.value?.next_cursor && <Note>{t("tooMany")}</Note>}
      <p className="bay-muted" role="status">
        {events.loading ? t("loading") : rows.length === 0 ? t("noEvents") : t("eventCount", { n: rows.length })}
      </p>
      <div className="bay-scroll" tabIndex={0} role="region" aria-label={t("events")}>
        <table className="bay-table bay-rows">
          <caption className="bay-hidden">{t("events")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("time")}</th>
              <th scope="col">{t("what")}</th>
              <th scope="col">{t("block")}</th>
              <th scope="col">{t("change")}</th>
              <th scope="col">{t("judgement")}</th>
              <th scope="col">
                <span className="bay-hidden">{t("floor")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, shown).map((event) => (
              <EventRow
                key={event.key}
                bay={bay}
                event={event}
                when={dateAndClock(Date.parse(event.time), bay.timezone, locale)}
                onJudged={judged}
              />
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown && (
        <button type="button" onClick={() => setShown(shown + PAGE)}>
          {t("more")}
        </button>
      )}
      <RightFigures bay={bay} start={start} end={end} round={round} />
    </>
  );
}

interface RowProps {
  bay: BayDetail;
  event: BayEvent;
  when: string;
  onJudged: () => void;
}

function EventRow({ bay, event, when, onJudged }: RowProps): ReactNode {
  const { t } = useLanguage();
  const [, setPlace] = usePlace();
  const [open, setOpen] = useState(false);
  return (
    <>
      <tr className={event.judgement === "rejected" ? "bay-struck" : ""}>
        <td>{when}</td>
        <td>{word(t, "ev_", event.kind)}</td>
        <td>
          {event.name ?? short(event.track_id)}
          {event.others.length > 0 && ` + ${event.others.map(short).join(", ")}`}
        </td>
        <td>{change(event) || event.to_area || event.from_area || "–"}</td>
        <td>
          <Judgement bay={bay} event={event} onDone={onJudged} />
        </td>
        <td>
          <span className="bay-row" style={{ flexWrap: "nowrap" }}>
            <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
              {t("look")}
              {event.comments > 0 && ` (${event.comments})`}
            </button>
            <button type="button" onClick={() => setPlace({ page: "floor", at: event.time, track: event.track_id })}>
              {t("openFloor")}
            </button>
          </span>
        </td>
      </tr>
      {open && (
        <tr>
          <td colSpan={6}>
            <Crops bay={bay} track={event.track_id} at={Date.parse(event.time)} around />
            <EventReviews bay={bay} event={event} onDone={onJudged} />
          </td>
        </tr>
      )}
    </>
  );
}

type Values = Record<string, string | number | undefined>;

function clean(query: Values): Record<string, string | number> {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | number
  >;
}
