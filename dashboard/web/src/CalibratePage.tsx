/** A camera's pose and lens from points that are clicked in its frame. What they give becomes a change of the bay's file. */
import { useEffect, useRef, useState, type ReactNode } from "react";

import { api, ask, send } from "./api";
import { CaptureNow } from "./CaptureNow";
import { ClickingCanvas } from "./ClickingCanvas";
import { slotName } from "./FramesPage";
import { useLanguage, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Note } from "./Notes";
import { complete, freeName, fromCsv, keep, kept, toCsv, type ClickedPoint } from "./points";
import { Table } from "./Table";
import type { BayDetail, CalibratedCamera, FrameList } from "./types";

interface Props {
  bay: BayDetail;
  /** The file's text as it is in the editor. */
  text: string;
  onText: (text: string) => void;
}

export function CalibratePage({ bay, text, onText }: Props): ReactNode {
  const { t } = useLanguage();
  const [name, setName] = useState(bay.cameras[0]?.name ?? "");
  return (
    <>
      <label className="bay-field">
        {t("camera")}
        <select value={name} onChange={(event) => setName(event.target.value)}>
          {bay.cameras.map((camera) => (
            <option key={camera.name}>{camera.name}</option>
          ))}
        </select>
      </label>
      {name && <OneCamera key={name} bay={bay} name={name} text={text} onText={onText} />}
    </>
  );
}

function OneCamera({ bay, name, text, onText }: Props & { name: string }): ReactNode {
  const { t } = useLanguage();
  const key = `bay-points ${bay.bay_id} ${name}`;
  const [points, setPoints] = useState(() => kept(key));
  const [survey, setSurvey] = useState<ClickedPoint[]>([]);
  const [chosen, setChosen] = useState(-1);
  const [focal, setFocal] = useState("");
  const [found, setFound] = useState<CalibratedCamera | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { frame, missing, choose, show } = useFrame(bay, name);
  const change = (after: ClickedPoint[]): void => {
    setPoints(after);
    setFound(null);
    keep(key, after);
  };
  const set = (index: number, changes: Partial<ClickedPoint>): void =>
    change(points.map((point, at) => (at === index ? { ...point, ...changes } : point)));
  const add = (u: number, v: number): void => {
    const next = survey.find((place) => !points.some((point) => point.name === place.name));
    change([...points, next ? { ...next, u, v } : { name: freeName(points), u, v, x: null, y: null, z: 0 }]);
    setChosen(points.length);
  };
  const read = (file: File | undefined): void => {
    file?.text().then((content) => {
      try {
        const given = fromCsv(content);
        if (given.points.length) change(given.points);
        if (given.survey.length) setSurvey(given.survey);
        setError(null);
      } catch (reason) {
        setError(t("noPoints", { reason: String((reason as Error).message) }));
      }
    }, (reason: unknown) => setError(String(reason)));
  };
  const calibrate = (): void => {
    if (!frame) return;
    setBusy(true);
    const body = {
      text,
      width: frame.naturalWidth,
      height: frame.naturalHeight,
      points,
      ...(Number(focal) > 0 && { focal_px: Number(focal) }),
    };
    send<CalibratedCamera>(`bays/${bay.bay_id}/cameras/${encodeURIComponent(name)}/calibrate`, body)
      .then(
        (answer) => {
          setFound(answer);
          setError(null);
        },
        (reason: unknown) => setError(reason instanceof Error ? reason.message : String(reason)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <>
      <p className="bay-muted">{t("calibrateHint")}</p>
      {missing && <Note>{t("noFrameOf", { camera: name, reason: missing })}</Note>}
      {frame && (
        <ClickingCanvas
          frame={frame}
          points={points}
          chosen={chosen}
          label={t("frameOf", { camera: name })}
          onAdd={add}
          onChoose={setChosen}
          onMove={(du, dv) => {
            const point = points[chosen];
            if (point) set(chosen, { u: point.u + du, v: point.v + dv });
          }}
          t={t}
        />
      )}
      <div className="bay-row">
        <CaptureNow bay={bay} task="capture_images" onSlot={show} />
        <FileButton label={t("otherFrame")} accept="image/jpeg,image/png" onFile={choose} />
        <FileButton label={t("readPoints")} accept=".csv,text/csv" onFile={read} />
        {points.length > 0 && (
          <a className="bay-button" download={`${bay.bay_id}_${name}.csv`} href={`data:text/csv;charset=utf-8,${encodeURIComponent(toCsv(points))}`}>
            {t("savePoints")}
          </a>
        )}
        <button type="button" disabled={!frame} onClick={() => frame && add(frame.naturalWidth / 2, frame.naturalHeight / 2)}>
          {t("addPoint")}
        </button>
        <label className="bay-field">
          {t("focal")}
          <input type="text" inputMode="decimal" size={8} value={focal} onChange={(event) => setFocal(event.target.value)} />
        </label>
        <button type="button" disabled={!frame || busy || points.length < 4 || !complete(points)} onClick={calibrate}>
          {t(busy ? "calibrating" : "calibrate")}
        </button>
      </div>
      {survey.length > 0 && <p className="bay-muted">{t("surveyHint", { n: survey.length })}</p>}
      <Points points={points} chosen={chosen} found={found} onChoose={setChosen} onSet={set}
        onRemove={(index) => { change(points.filter((_, at) => at !== index)); setChosen(-1); }} t={t} />
      {error && <Note bad>{error}</Note>}
      {found && <Result found={found} onTake={() => onText(found.text)} t={t} />}
    </>
  );
}

/** The newest frame of a camera that is kept, or a picture that the person has. */
function useFrame(
  bay: BayDetail,
  name: string,
): {
  frame: HTMLImageElement | null;
  missing: string | null;
  choose: (file: File | undefined) => void;
  show: (slot: number) => void;
} {
  const [frame, setFrame] = useState<HTMLImageElement | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const own = useRef<string | null>(null);
  const slot = bay.newest_slot === null ? null : slotName(Date.parse(bay.newest_slot));
  const path = `bays/${bay.bay_id}/slots/${slot}/frames`;
  const frames = useLoaded(slot && `${path} ${name}`, (signal) => ask<FrameList>(path, {}, signal));
  const there = frames.value?.frames.find((one) => one.camera === name);
  const load = (address: string): void => {
    const image = new Image();
    image.onload = () => {
      setFrame(image);
      setFailed(null);
    };
    image.onerror = () => {
      setFrame(null);
      setFailed("");
    };
    image.src = address;
  };
  useEffect(() => {
    if (there?.captured_at && own.current === null) load(api(`${path}/${encodeURIComponent(name)}/full.jpg`));
  }, [there?.captured_at, path, name]);
  useEffect(
    () => () => {
      if (own.current) URL.revokeObjectURL(own.current);
    },
    [],
  );
  const reason = there ? (there.captured_at ? failed : there.failure) : (frames.error?.message ?? (slot ? null : ""));
  return {
    frame,
    missing: frame ? null : reason,
    choose: (file) => {
      if (!file) return;
      if (own.current) URL.revokeObjectURL(own.current);
      own.current = URL.createObjectURL(file);
      load(own.current);
    },
    show: (moment) => {
      own.current = "";
      load(api(`bays/${bay.bay_id}/slots/${slotName(moment)}/frames/${encodeURIComponent(name)}/full.jpg`));
    },
  };
}

function FileButton({ label, accept, onFile }: { label: string; accept: string; onFile: (file: File | undefined) => void }): ReactNode {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        aria-label={label}
        onChange={(event) => {
          onFile(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
    </>
  );
}

interface PointsProps {
  points: readonly ClickedPoint[];
  chosen: number;
  found: CalibratedCamera | null;
  onChoose: (index: number) => void;
  onSet: (index: number, changes: Partial<ClickedPoint>) => void;
  onRemove: (index: number) => void;
  t: Translate;
}

function Points({ points, chosen, found, onChoose, onSet, onRemove, t }: PointsProps): ReactNode {
  if (!points.length) return null;
  const errors = new Map(found?.points.map((one) => [one.name, one]));
  return (
    <Table
      name={t("points")}
      columns={[t("name"), "u", "v", "x, m", "y, m", "z, m", "px", "cm", t("unusedCm"), t("remove")]}
      rows={points.map((point, index) => {
        const off = errors.get(point.name);
        const field = (key: "u" | "v" | "x" | "y" | "z", digits?: number): ReactNode => (
          <NumberField
            key={key}
            label={`${key}, ${point.name}`}
            value={point[key]}
            {...(digits !== undefined && { digits })}
            onFocus={() => onChoose(index)}
            onValue={(value) => onSet(index, key === "u" || key === "v" ? { [key]: value ?? 0 } : { [key]: value })}
          />
        );
        return [
          <input
            key="name"
            type="text"
            size={6}
            aria-label={`${t("name")}, ${point.name}`}
            className={index === chosen ? "bay-strong" : ""}
            value={point.name}
            maxLength={64}
            onFocus={() => onChoose(index)}
            onChange={(event) => onSet(index, { name: event.target.value })}
          />,
          field("u", 1),
          field("v", 1),
          field("x"),
          field("y"),
          field("z"),
          off ? off.pixels.toFixed(1) : "–",
          off ? <span className={off.left_out ? "bay-alarm" : ""}>{`${off.floor_cm.toFixed(1)}${off.left_out ? ` ${t("leftOut")}` : ""}`}</span> : "–",
          off?.unseen_cm?.toFixed(1) ?? "–",
          <button key="remove" type="button" aria-label={`${t("remove")}, ${point.name}`} onClick={() => onRemove(index)}>
            ✕
          </button>,
        ];
      })}
    />
  );
}

interface NumberProps {
  label: string;
  value: number | null;
  digits?: number;
  onFocus?: () => void;
  onValue: (value: number | null) => void;
}

/** A number that may be half typed. */
export function NumberField({ label, value, digits, onFocus, onValue }: NumberProps): ReactNode {
  const shown = value === null ? "" : digits === undefined ? String(value) : value.toFixed(digits);
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      type="text"
      inputMode="decimal"
      size={6}
      aria-label={label}
      aria-invalid={value === null}
      value={typed ?? shown}
      onFocus={onFocus}
      onBlur={() => setTyped(null)}
      onChange={(event) => {
        const given = event.target.value.trim();
        setTyped(event.target.value);
        onValue(given === "" || !Number.isFinite(Number(given)) ? null : Number(given));
      }}
    />
  );
}

function Result({ found, onTake, t }: { found: CalibratedCamera; onTake: () => void; t: Translate }): ReactNode {
  const said = [
    t("reprojection", { px: found.rms_px.toFixed(2), cm: found.rms_cm.toFixed(1) }),
    found.unseen_cm !== null && t("unseenCm", { cm: found.unseen_cm.toFixed(1) }),
    t("betweenPoints", { cm: found.floor_std_cm.toFixed(1) }),
    ...found.notes,
  ].filter((line) => line !== false);
  return (
    <>
      <ul className="bay-said" role="status">
        {said.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <Table
        name={t("cameraValues")}
        columns={[t("what"), t("value"), t("deviation"), t("held")]}
        rows={found.values.map((one) => [
          one.name,
          one.value.toPrecision(6),
          one.std === null ? "–" : `± ${one.std.toPrecision(2)}`,
          one.held || "–",
        ])}
      />
      {found.doubts.length > 0 && (
        <Note bad>
          {t("calibrationDoubted")}
          <ul className="bay-said">
            {found.doubts.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </Note>
      )}
      <div className="bay-row">
        <button type="button" disabled={found.doubts.length > 0} onClick={onTake}>
          {t("takeIntoFile")}
        </button>
      </div>
    </>
  );
}
