/** Which days are whole: a month of dates, each with the slots that are missing. */
import { useState, type ReactNode } from "react";

import { ask } from "./api";
import { reasonIn } from "./facts";
import { useLanguage } from "./i18n";
import { useLoaded } from "./load";
import { Failure } from "./Notes";
import { usePlace } from "./query";
import { dateOf, dayOf, iso } from "./times";
import type { BayDetail, CalendarDay, CalendarList } from "./types";

/** 2026-11 and the months beside it. */
export function monthAfter(month: string, by: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + by, 1)).toISOString().slice(0, 7);
}

/** The dates of a month in weeks from Monday on; null where a week reaches beyond it. */
export function weeksOf(month: string): (string | null)[][] {
  const first = Date.parse(`${month}-01T00:00:00Z`);
  const days = Math.round((Date.parse(`${monthAfter(month, 1)}-01T00:00:00Z`) - first) / 86_400_000);
  const lead = (new Date(first).getUTCDay() + 6) % 7;
  const cells: (string | null)[] = [
    ...Array<null>(lead).fill(null),
    ...Array.from({ length: days }, (_, index) => `${month}-${String(index + 1).padStart(2, "0")}`),
  ];
  while (cells.length % 7) cells.push(null);
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(7 * week, 7 * week + 7));
}

export function CalendarPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const newest = bay.newest_slot === null ? Date.now() : Date.parse(bay.newest_slot);
  const [month, setMonth] = useState(() => dateOf(newest, bay.timezone).slice(0, 7));
  const [start] = dayOf(`${month}-01`, bay.timezone);
  const [end] = dayOf(`${monthAfter(month, 1)}-01`, bay.timezone);
  const query = { start: iso(start), end: iso(end) };
  const path = `bays/${bay.bay_id}/calendar`;
  const calendar = useLoaded(JSON.stringify([path, query]), (signal) => ask<CalendarList>(path, query, signal));
  const days = new Map((calendar.value?.days ?? []).map((day) => [day.date, day]));
  const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });
  return (
    <>
      <div className="bay-row bay-noprint">
        <button type="button" onClick={() => setMonth(monthAfter(month, -1))}>
          {t("monthBefore")}
        </button>
        <h2>{month}</h2>
        <button type="button" onClick={() => setMonth(monthAfter(month, 1))}>
          {t("monthAfter")}
        </button>
      </div>
      {calendar.error && <Failure error={calendar.error} again={calendar.again} t={t} />}
      <div className="bay-scroll" tabIndex={0} role="region" aria-label={t("gaps")}>
        <table className="bay-calendar" aria-busy={calendar.loading}>
          <caption className="bay-hidden">
            {t("gaps")} {month}
          </caption>
          <thead>
            <tr>
              {Array.from({ length: 7 }, (_, day) => (
                <th key={day} scope="col">
                  {weekday.format(Date.UTC(2024, 0, 1 + day))}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {weeksOf(month).map((week, number) => (
              <tr key={number}>
                {week.map((date, day) => (
                  <td key={day}>{date && <Day bay={bay} date={date} day={days.get(date)} />}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="bay-muted">{t("calendarHint")}</p>
    </>
  );
}

function Day({ bay, date, day }: { bay: BayDetail; date: string; day: CalendarDay | undefined }): ReactNode {
  const { t, locale } = useLanguage();
  const [, setPlace] = usePlace();
  const number = Number(date.slice(8));
  if (!day || day.due === 0) return <span className="bay-day bay-muted">{number}</span>;
  const share = day.missing / day.due;
  const look = day.missing === 0 ? "bay-whole-day" : share < 0.1 ? "bay-some-gaps" : "bay-many-gaps";
  const why = Object.entries(day.outcomes).map(([outcome, count]) => `${reasonIn(locale, outcome)}: ${count}`);
  const [start, end] = dayOf(date, bay.timezone);
  return (
    <button
      type="button"
      className={`bay-day ${look}`}
      title={why.join("\n")}
      aria-label={`${date}: ${t("missingOf", { n: day.missing, all: day.due })} ${why.join(", ")}`}
      onClick={() => setPlace({ page: "floor", at: iso((start + end) / 2), track: null })}
    >
      <span className="bay-strong">{number}</span>
      <span>{day.missing === 0 ? "✓" : `✕ ${day.missing}`}</span>
      <span className="bay-muted">/ {day.due}</span>
    </button>
  );
}
