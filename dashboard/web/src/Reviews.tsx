/** What people say of events and blocks: to be read by all, to be written by who may correct the bay. */
import { useId, useState, type ReactNode } from "react";

import { ask, send } from "./api";
import { short, type Stay } from "./day";
import { useLanguage, word, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Note } from "./Notes";
import { Table } from "./Table";
import { DAY, dateAndClock, iso } from "./times";
import type { BayDetail, BayEvent, ReviewFigures, ReviewList, ReviewRow } from "./types";

/** As far back as one question may reach. */
const REACH = 91 * DAY;

type Said = Pick<ReviewRow, "kind" | "track_id" | "at"> & { event_kind?: string; value?: string; comment?: string };

interface Saying {
  say: (said: Said) => Promise<boolean>;
  error: Error | undefined;
  busy: boolean;
}

/** To write a review; `onDone` asks again for what it changes. */
function useSaying(bay: BayDetail, onDone: () => void): Saying {
  const [state, setState] = useState<{ error?: Error; busy: boolean }>({ busy: false });
  const say = async (said: Said): Promise<boolean> => {
    setState({ busy: true });
    try {
      await send(`bays/${bay.bay_id}/reviews`, said);
      setState({ busy: false });
      onDone();
      return true;
    } catch (error) {
      setState({ busy: false, error: error instanceof Error ? error : new Error(String(error)) });
      return false;
    }
  };
  return { say, error: state.error, busy: state.busy };
}

/** Whether an event happened. */
export function Judgement({ bay, event, onDone }: { bay: BayDetail; event: BayEvent; onDone: () => void }): ReactNode {
  const { t } = useLanguage();
  const { say, error, busy } = useSaying(bay, onDone);
  const of = { track_id: event.track_id, at: event.time, event_kind: event.kind };
  if (!bay.writable) return event.judgement ? t(`rv_${event.judgement}`) : "–";
  return (
    <span className="bay-row" style={{ flexWrap: "nowrap" }}>
      {(["confirmed", "rejected"] as const).map((kind) => (
        <button
          key={kind}
          type="button"
          disabled={busy}
          aria-pressed={event.judgement === kind}
          aria-label={t(`do_${kind}`)}
          title={t(`do_${kind}`)}
          onClick={() => void say({ kind, ...of })}
        >
          {kind === "confirmed" ? "✓" : "✕"}
        </button>
      ))}
      {error && <span role="alert" className="bay-alarm">{error.message}</span>}
    </span>
  );
}

/** What was said of an event, and room to say more. */
export function EventReviews({ bay, event, onDone }: { bay: BayDetail; event: BayEvent; onDone: () => void }): ReactNode {
  const { t } = useLanguage();
  const reviews = useReviews(bay, event.track_id, Date.parse(event.time));
  const done = (): void => {
    reviews.again();
    onDone();
  };
  const { say, error } = useSaying(bay, done);
  const of = { track_id: event.track_id, at: event.time, event_kind: event.kind };
  const own = (reviews.value ?? []).filter((one) => one.event_kind === event.kind && one.at === event.time);
  return (
    <>
      <Said reviews={own} bay={bay} />
      {error && <Note bad>{error.message}</Note>}
      {bay.writable && (
        <Field label={t("rv_comment")} save={t("save")} onSave={(comment) => say({ kind: "comment", comment, ...of })} />
      )}
    </>
  );
}

interface BlockProps {
  bay: BayDetail;
  stay: Stay;
  moment: number;
  stages: readonly string[];
  others: readonly string[];
  onDone: () => void;
}

/** What was said of a block; its name, stage and identity can be corrected. */
export function BlockReviews({ bay, stay, moment, stages, others, onDone }: BlockProps): ReactNode {
  const { t } = useLanguage();
  const reviews = useReviews(bay, stay.track, moment);
  const done = (): void => {
    reviews.again();
    onDone();
  };
  const { say, error } = useSaying(bay, done);
  const of = { track_id: stay.track, at: iso(Math.max(moment, stay.since)) };
  const own = (reviews.value ?? []).filter((one) => one.event_kind === null);
  return (
    <>
      <Said reviews={own} bay={bay} />
      {error && <Note bad>{error.message}</Note>}
      {bay.writable && (
        <details>
          <summary>{t("correct")}</summary>
          <Field label={t("name")} first={stay.name ?? ""} save={t("save")} onSave={(value) => say({ kind: "name", value, ...of })} />
          <Field
            label={t("stage")}
            first={stay.stage ?? ""}
            choices={stages}
            save={t("save")}
            onSave={(value) => say({ kind: "stage", value, ...of })}
          />
          <Field
            label={t("continues")}
            first={stay.continues ?? ""}
            choices={others}
            save={t("save")}
            onSave={(value) => say({ kind: "same", value, ...of })}
          />
          <Field label={t("rv_comment")} save={t("save")} onSave={(comment) => say({ kind: "comment", comment, ...of })} />
          <p className="bay-muted">{t("correctHint")}</p>
        </details>
      )}
    </>
  );
}

/** How often the system was right, as people said. */
export function RightFigures({ bay, start, end, round }: { bay: BayDetail; start: number; end: number; round: number }): ReactNode {
  const { t } = useLanguage();
  const query = { start: iso(Math.max(start, end - REACH)), end: iso(end) };
  const path = `bays/${bay.bay_id}/reviews/figures`;
  const found = useLoaded(JSON.stringify([path, query, round]), (signal) => ask<ReviewFigures>(path, query, signal));
  if (!found.value) return null;
  const rows = [
    ...found.value.kinds.map((one) => ({ ...one, name: word(t, "ev_", one.name) })),
    ...found.value.cameras.map((one) => ({ ...one, name: `${t("camera")} ${one.name}` })),
  ];
  return (
    <>
      <h2>{t("rightness")}</h2>
      {rows.length ? (
        <Table
          name={t("rightness")}
          columns={[t("what"), t("rv_confirmed"), t("rv_rejected"), t("right")]}
          rows={rows.map((one) => [
            one.name,
            one.confirmed,
            one.rejected,
            `${Math.round((100 * one.confirmed) / (one.confirmed + one.rejected))} %`,
          ])}
        />
      ) : (
        <p className="bay-muted">{t("noneJudged", { n: found.value.events })}</p>
      )}
    </>
  );
}

function useReviews(bay: BayDetail, track: string, moment: number): { value: ReviewRow[] | undefined; again: () => void } {
  const query = { start: iso(moment - REACH + DAY), end: iso(moment + DAY), track, limit: 500 };
  const path = `bays/${bay.bay_id}/reviews`;
  const { value, again } = useLoaded(JSON.stringify([path, query]), (signal) => ask<ReviewList>(path, query, signal));
  return { value: value?.reviews, again };
}

function Said({ reviews, bay }: { reviews: readonly ReviewRow[]; bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  if (!reviews.length) return null;
  return (
    <ul className="bay-said" aria-label={t("reviews")}>
      {reviews.map((one) => (
        <li key={one.review_id}>
          <span className="bay-strong">{said(one, t)}</span>
          {one.comment && ` ${one.comment}`}
          <span className="bay-muted">
            {" "}
            {one.author}, {dateAndClock(Date.parse(one.made_at), bay.timezone, locale)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function said(one: ReviewRow, t: Translate): string {
  const shown = one.kind === "same" && one.value ? short(one.value) : one.value || "–";
  if (one.kind === "name") return `${t("name")}: ${shown}`;
  if (one.kind === "stage") return `${t("stage")}: ${shown}`;
  if (one.kind === "same") return `${t("continues")}: ${shown}`;
  if (one.kind === "confirmed" || one.kind === "rejected") return t(`rv_${one.kind}`);
  return "";
}

interface FieldProps {
  label: string;
  first?: string;
  choices?: readonly string[];
  save: string;
  onSave: (value: string) => Promise<boolean>;
}

/** A line of text, perhaps one of some choices, and a button that saves it. */
function Field({ label, first = "", choices, save, onSave }: FieldProps): ReactNode {
  const id = useId();
  const [text, setText] = useState(first);
  return (
    <form
      className="bay-row"
      style={{ flexWrap: "nowrap", alignItems: "end" }}
      onSubmit={(event) => {
        event.preventDefault();
        void onSave(text).then((kept) => kept && choices === undefined && first === "" && setText(""));
      }}
    >
      <label className="bay-field" style={{ flex: 1 }}>
        {label}
        <input type="text" value={text} maxLength={96} {...(choices && { list: id })} onChange={(event) => setText(event.target.value)} />
      </label>
      {choices && (
        <datalist id={id}>
          {choices.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
      <button type="submit">{save}</button>
    </form>
  );
}
