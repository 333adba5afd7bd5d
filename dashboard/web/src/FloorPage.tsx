/** The floor at any time of a day, with its timeline, filters, and what is known of a block. */
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { ask } from "./api";
import { BlockPanel } from "./BlockPanel";
import { colourOf, stageColours } from "./colours";
import { matches, standing, toStay, trails, type Stay } from "./day";
import type { Layers } from "./draw";
import { reasonIn } from "./facts";
import { FloorCanvas } from "./FloorCanvas";
import type { View } from "./geometry";
import { age, useLanguage, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Moment, useRested } from "./moment";
import { Failure, Note } from "./Notes";
import { usePlace } from "./query";
import { Timeline } from "./Timeline";
import { clock, dateOf, dayOf, iso, MINUTE } from "./times";
import type { BayDetail, BayEvent, CameraList, EventList, GapList, Ring, StayList, UnseenFloor } from "./types";

const HOUR = 60 * MINUTE;
const COMPARISONS = [
  ["compareOff", 0],
  ["hourAgo", HOUR],
  ["shiftAgo", 8 * HOUR],
  ["dayAgo", 24 * HOUR],
] as const;
const LAYERS = ["cameras", "labels", "trails", "unseen"] as const;
/** A floor is stale once it is this many slots old. */
const STALE_SLOTS = 3;

export function FloorPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t } = useLanguage();
  const [place] = usePlace();
  const newest = bay.newest_slot === null ? null : Date.parse(bay.newest_slot);
  const at = place("at");
  const asked = at === null ? NaN : Date.parse(at);
  if (newest === null) return <Note>{t("noHistory")}</Note>;
  return <Day bay={bay} newest={newest} first={Number.isNaN(asked) ? newest : asked} follow={at === null} />;
}

interface DayProps {
  bay: BayDetail;
  newest: number;
  first: number;
  follow: boolean;
}

function Day({ bay, newest, first, follow }: DayProps): ReactNode {
  const { t, locale } = useLanguage();
  const [place, setPlace] = usePlace();
  const [moment] = useState(() => new Moment(first));
  const [date, setDate] = useState(() => dateOf(first, bay.timezone));
  const [compare, setCompare] = useState(0);
  const [layers, setLayers] = useState<Layers>({ cameras: true, labels: true, trails: true, unseen: true });
  const [text, setText] = useState("");
  const [filter, setFilter] = useState({ stage: "", className: "", area: "" });
  const selected = place("track");
  const slot = (bay.slot_s ?? 600) * 1000;
  const [start, end] = useMemo(() => dayOf(date, bay.timezone), [date, bay.timezone]);
  const rested = useRested(moment);

  // What is compared may lie on the day before.
  const period = { start: iso(start - compare), end: iso(end) };
  const of = `bays/${bay.bay_id}`;
  const key = `${bay.bay_id} ${period.start} ${period.end}`;
  const live = newest >= start ? MINUTE : 0;
  const stayList = useLoaded(key, (signal) => ask<StayList>(`${of}/stays`, period, signal), live);
  const eventList = useLoaded(key, (signal) => ask<EventList>(`${of}/events`, { ...period, limit: 5000 }, signal), live);
  const gapList = useLoaded(key, (signal) => ask<GapList>(`${of}/gaps`, { ...period, limit: 5000 }, signal), live);
  const cameraList = useLoaded(
    `${key} ${Math.floor(rested / slot)}`,
    (signal) => ask<CameraList>(`${of}/cameras`, { start: iso(rested - 6 * HOUR), end: iso(rested + slot) }, signal),
  );
  const unseenFloor = useLoaded(layers.unseen ? `${bay.bay_id} ${rested}` : null, (signal) =>
    ask<UnseenFloor>(`${of}/unseen`, { slot: iso(rested) }, signal),
  );

  const stays = useMemo(() => (stayList.value?.stays ?? []).map(toStay), [stayList.value]);
  const names = useMemo(() => new Map(stays.flatMap((stay) => (stay.name ? [[stay.track, stay.name]] : []))), [stays]);
  const moves = useMemo(() => trails(stays), [stays]);
  const colours = useMemo(() => stageColours(stays.map((stay) => stay.stage)), [stays]);
  const cameras = useMemo(
    () => new Map((cameraList.value?.cameras ?? []).map((camera) => [camera.name, camera])),
    [cameraList.value],
  );
  const gaps = useMemo(() => new Map((gapList.value?.gaps ?? []).map((gap) => [Date.parse(gap.slot), gap])), [gapList.value]);
  const events = useMemo(
    () => (eventList.value?.events ?? []).filter((event) => Date.parse(event.time) >= start),
    [eventList.value, start],
  );
  const last = stayList.value?.newest_slot ? Date.parse(stayList.value.newest_slot) : newest;
  const shown = useMemo(
    () => (stay: Stay) =>
      matches(stay, text) &&
      (!filter.stage || stay.stage === filter.stage) &&
      (!filter.className || stay.className === filter.className) &&
      (!filter.area || stay.area === filter.area),
    [text, filter],
  );

  // The page follows the bay while it shows the newest slot, and the address follows the page when it rests.
  const following = useRef(follow);
  useEffect(() => {
    if (following.current && last > moment.value) {
      moment.set(last);
      setDate(dateOf(last, bay.timezone));
    }
  }, [last, moment, bay.timezone]);
  useEffect(() => {
    following.current = rested >= last;
    setPlace({ at: rested >= last ? null : iso(rested) });
  }, [rested, last, setPlace]);

  const chooseDate = (value: string): void => {
    if (!/^\d{4}-\d\d-\d\d$/.test(value)) return;
    const [begin] = dayOf(date, bay.timezone);
    const [other, otherEnd] = dayOf(value, bay.timezone);
    setDate(value);
    moment.set(Math.min(other + (moment.value - begin), Math.max(other, Math.min(last, otherEnd - slot))));
  };
  const view = useRef<View | null>(null);
  const thenView = useRef<View | null>(null);
  const [redraw, setRedraw] = useState(0);
  const now = standing(stays, rested);
  const visible = now.filter(shown);
  const old = bay.simulated ? 0 : Date.now() - last;
  const stale = rested >= last && old > STALE_SLOTS * slot;
  const gap = gaps.get(rested);
  const failed = [stayList, eventList, gapList].find((one) => one.error);
  const floor = (before: number): ReactNode => (
    <FloorCanvas
      bay={bay}
      stays={stays}
      trails={moves}
      unseen={before ? NOTHING : (unseenFloor.value?.unseen ?? NOTHING)}
      cameras={cameras}
      names={names}
      colours={colours}
      layers={layers}
      moment={moment}
      before={before}
      shown={shown}
      selected={selected}
      stale={stale}
      label={t("floorLabel", {
        bay: bay.description,
        time: clock(rested - before, bay.timezone, locale),
        n: standing(stays, rested - before).length,
      })}
      view={before ? thenView : view}
      onSelect={(track) => setPlace({ track })}
      onView={() => {
        if (!compare) return;
        if (before) view.current = thenView.current;
        else thenView.current = view.current;
        setRedraw((count) => count + 1);
      }}
      redraw={redraw}
      t={t}
    />
  );

  return (
    <>
      <div className="bay-row bay-filters bay-noprint">
        <label className="bay-field">
          {t("date")}
          <input type="date" value={date} onChange={(event) => chooseDate(event.target.value)} />
        </label>
        <label className="bay-field">
          {t("search")}
          <input
            type="search"
            value={text}
            placeholder={t("searchHint")}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
        <Choice label={t("stage")} all={t("all")} values={[...colours.keys()]} value={filter.stage}
          onChange={(stage) => setFilter({ ...filter, stage })} />
        <Choice label={t("className")} all={t("all")} values={unique(stays.map((stay) => stay.className))}
          value={filter.className} onChange={(className) => setFilter({ ...filter, className })} />
        <Choice label={t("area")} all={t("all")} values={bay.areas.map((area) => area.name)} value={filter.area}
          onChange={(area) => setFilter({ ...filter, area })} />
        <label className="bay-field">
          {t("compare")}
          <select value={compare} onChange={(event) => setCompare(Number(event.target.value))}>
            {COMPARISONS.map(([word, ms]) => (
              <option key={word} value={ms}>
                {t(word)}
              </option>
            ))}
          </select>
        </label>
        <div className="bay-field" role="group" aria-label={t("layers")}>
          <span aria-hidden="true">{t("layers")}</span>
          <span className="bay-row">
            {LAYERS.map((layer) => (
              <button
                key={layer}
                type="button"
                aria-pressed={layers[layer]}
                onClick={() => setLayers({ ...layers, [layer]: !layers[layer] })}
              >
                {t(layer)}
              </button>
            ))}
          </span>
        </div>
      </div>
      {failed?.error && <Failure error={failed.error} again={failed.again} t={t} />}
      {stale && <Note>{t("stale", { age: age(t, old) })}</Note>}
      {gap && <Note>{t("gap", { outcome: reasonIn(locale, gap.outcome), reason: gap.reason })}</Note>}
      <Cameras floor={unseenFloor.value} wanted={layers.unseen} t={t} />
      <Timeline
        start={start}
        end={end}
        slot={slot}
        last={Math.min(last, end - slot)}
        zone={bay.timezone}
        locale={locale}
        moment={moment}
        events={events}
        gaps={useMemo(() => new Set(gaps.keys()), [gaps])}
        t={t}
      />
      <div className="bay-main">
        <div>
          <div className="bay-floors" aria-busy={stayList.loading}>
            {compare > 0 && (
              <div style={{ position: "relative" }}>
                {floor(compare)}
                <div className="bay-then">{t("then", { time: clock(rested - compare, bay.timezone, locale) })}</div>
              </div>
            )}
            {floor(0)}
          </div>
          <Legend colours={colours} t={t} />
        </div>
        <BlockPanel
          bay={bay}
          stays={stays}
          visible={visible}
          empty={t(now.length ? "noneMatch" : stayList.loading ? "loading" : "noBlocks")}
          events={selected ? events.filter((event) => concerns(event, selected)) : []}
          colours={colours}
          moment={rested}
          selected={selected}
          onSelect={(track) => setPlace({ track })}
          onTime={(time) => moment.set(time)}
          onCorrected={() => {
            stayList.again();
            eventList.again();
          }}
        />
      </div>
    </>
  );
}

const NOTHING: readonly Ring[][] = [];

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

function concerns(event: BayEvent, track: string): boolean {
  return event.track_id === track || event.others.includes(track);
}

interface ChoiceProps {
  label: string;
  all: string;
  values: readonly string[];
  value: string;
  onChange: (value: string) => void;
}

function Choice({ label, all, values, value, onChange }: ChoiceProps): ReactNode {
  return (
    <label className="bay-field">
      {label}
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{all}</option>
        {values.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

/** What the slot's own floor plan says of its cameras. */
function Cameras({ floor, wanted, t }: { floor: UnseenFloor | undefined; wanted: boolean; t: Translate }): ReactNode {
  if (!floor || !wanted) return null;
  const notes = [
    !floor.known && t("unseenUnknown", { reason: floor.reason }),
    floor.missing_cameras.length > 0 && t("camerasOut", { names: floor.missing_cameras.join(", ") }),
    floor.out_of_pose.length > 0 && t("outOfPose", { names: floor.out_of_pose.join(", ") }),
  ].filter((note) => note !== false);
  return notes.length ? <Note>{notes.join(" · ")}</Note> : null;
}

function Legend({ colours, t }: { colours: Map<string, string>; t: Translate }): ReactNode {
  return (
    <div className="bay-legend" role="group" aria-label={t("legend")}>
      {[...colours.keys(), null].map((stage) => (
        <span key={stage}>
          <span className="bay-swatch" style={{ background: colourOf(colours, stage) }} />
          {stage ?? t("noStage")}
        </span>
      ))}
      <span>
        <span className="bay-swatch bay-hatched" /> {t("unobserved")}, {t("unseen")}
      </span>
      <span>
        <span className="bay-swatch bay-dashed" /> ? {t("missed")}, ↗ {t("moved")}, ± {t("unsure")}
      </span>
    </div>
  );
}
