/** What happened in a shift or a day: to read, to print, for a spreadsheet. */
import { useState, type ReactNode } from "react";

import { api, ask, askAll } from "./api";
import { change } from "./BlockPanel";
import { short } from "./day";
import { reasonIn } from "./facts";
import { useLanguage, word } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { Table } from "./Table";
import { clock, dateAndClock, dateOf, dayOf, iso } from "./times";
import type { BayDetail, BayEvent, EventList, Report } from "./types";

const HOUR = 3_600_000;
const PERIODS = [
  ["wholeDay", 0, 24],
  ["dayShift", 8, 20],
  ["nightShift", 20, 32],
] as const;

export function ReportPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const newest = bay.newest_slot === null ? Date.now() : Date.parse(bay.newest_slot);
  const [date, setDate] = useState(() => dateOf(newest, bay.timezone));
  const [period, setPeriod] = useState(0);
  const [midnight, next] = dayOf(date, bay.timezone);
  const [, from, to] = PERIODS[period] ?? PERIODS[0];
  const start = midnight + from * HOUR;
  // A whole day has the hours that its clock has.
  const query = { start: iso(start), end: iso(to === 24 ? next : midnight + to * HOUR) };
  const path = `bays/${bay.bay_id}/report`;
  const report = useLoaded(JSON.stringify([path, query]), (signal) => ask<Report>(path, query, signal));
  const events = useLoaded(JSON.stringify([bay.bay_id, "events", query]), (signal) =>
    askAll<EventList, BayEvent>(`bays/${bay.bay_id}/events`, query, (page) => page.events, signal),
  );
  const at = (time: string): string => dateAndClock(Date.parse(time), bay.timezone, locale);
  return (
    <>
      <div className="bay-row bay-noprint">
        <label className="bay-field">
          {t("date")}
          <input
            type="date"
            value={date}
            onChange={(event) => /^\d{4}-\d\d-\d\d$/.test(event.target.value) && setDate(event.target.value)}
          />
        </label>
        <label className="bay-field">
          {t("period")}
          <select value={period} onChange={(event) => setPeriod(Number(event.target.value))}>
            {PERIODS.map(([name], index) => (
              <option key={name} value={index}>
                {t(name)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" onClick={() => window.print()}>
          {t("print")}
        </button>
        <a className="bay-button" href={api(`${path}.csv`, query)}>
          CSV
        </a>
        <a className="bay-button" href={api(`${path}.xlsx`, query)}>
          XLSX
        </a>
      </div>
      {report.error && <Failure error={report.error} again={report.again} t={t} />}
      {report.loading && !report.value && <p role="status">{t("loading")}</p>}
      {report.value && (
        <>
          <h2>
            {bay.description}: {at(report.value.start)} – {at(report.value.end)}
          </h2>
          {report.value.known_until && Date.parse(report.value.known_until) < Date.parse(report.value.end) && (
            <Note>{t("knownUntil", { time: at(report.value.known_until) })}</Note>
          )}
          <h3>{t("summary")}</h3>
          {Object.keys(report.value.counts).length ? (
            <dl className="bay-facts">
              {Object.entries(report.value.counts).map(([kind, count]) => [
                <dt key={`${kind} name`}>{word(t, "ev_", kind)}</dt>,
                <dd key={kind}>{count}</dd>,
              ])}
            </dl>
          ) : (
            <p className="bay-muted">{t("noEvents")}</p>
          )}
          <h3>{t("dwell")}</h3>
          <Table
            name={t("dwell")}
            columns={[t("area"), t("stage"), t("blocks"), t("blockHours"), t("longest")]}
            rows={report.value.dwell.map((one) => [
              one.area,
              one.stage ?? t("noStage"),
              one.blocks,
              one.hours.toFixed(1),
              one.longest_hours.toFixed(1),
            ])}
          />
          <h3>{t("events")}</h3>
          {events.error && <Failure error={events.error} again={events.again} t={t} />}
          {events.loading && <p role="status">{t("loading")}</p>}
          {events.value && (
            <Table
              name={t("events")}
              columns={[t("time"), t("what"), t("block"), t("change")]}
              rows={events.value.map((event) => [
                clock(Date.parse(event.time), bay.timezone, locale),
                word(t, "ev_", event.kind),
                short(event.track_id),
                change(event) || event.to_area || event.from_area || "–",
              ])}
            />
          )}
          <h3>{t("gaps")}</h3>
          {report.value.missing.length ? (
            <Table
              name={t("gaps")}
              columns={[t("slot"), t("outcome"), t("reason")]}
              rows={report.value.missing.map((gap) => [at(gap.slot), reasonIn(locale, gap.outcome), gap.reason])}
            />
          ) : (
            <p className="bay-muted">{t("allSlots")}</p>
          )}
        </>
      )}
    </>
  );
}
