/** Whether the bay's cameras, observer, queues and store work, and what to do where they do not. */
import { useState, type ReactNode } from "react";

import { Alerts } from "./Alerts";
import { ask } from "./api";
import { factsIn, reasonIn } from "./facts";
import { adviceFor, useLanguage, word, type Translate, type Word } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { Table } from "./Table";
import { dateAndClock, MINUTE } from "./times";
import type { BayDetail, Health, PoseList } from "./types";

type Check = Health["checks"][number];
type Camera = Health["cameras"][number];

const CLASSES = {
  ok: "bay-ok",
  warning: "bay-warn",
  failed: "bay-alarm",
  unknown: "bay-muted",
  failing: "bay-warn",
  down: "bay-alarm",
} as const;
const SIGNS = { ok: "✓", warning: "!", failed: "✕", unknown: "?", failing: "!", down: "✕" } as const;
const VERDICTS = { ok: "ok", "out of pose": "failed", undecided: "unknown" } as const;
const KINDS = ["floor", "cameras", "observer", "spool", "replicator", "inference", "queue", "store", "disk"] as const;

export function HealthPage({ bay }: { bay: BayDetail }): ReactNode {
  const { t, locale } = useLanguage();
  const path = `bays/${bay.bay_id}/health`;
  const health = useLoaded(path, (signal) => ask<Health>(path, {}, signal), MINUTE);
  const at = (time: string | null): string =>
    time === null ? "–" : dateAndClock(Date.parse(time), bay.timezone, locale);
  if (health.error && !health.value) return <Failure error={health.error} again={health.again} t={t} />;
  if (!health.value) return <p role="status">{t("loading")}</p>;
  const { checks, cameras, queues, checked_at } = health.value;
  return (
    <>
      <Alerts bay={bay} />
      <h2>{t("checks")}</h2>
      <Table
        name={t("checks")}
        columns={[t("item"), t("state"), t("detail"), t("whatToDo")]}
        rows={checks.map((check) => [
          title(check, t),
          <State key="state" state={check.state} t={t} />,
          factsIn(locale, check.facts),
          check.state === "warning" || check.state === "failed" ? advice(check, bay, t) : "–",
        ])}
      />
      <h2>{t("cameras")}</h2>
      <Table
        name={t("cameras")}
        columns={[
          t("camera"),
          t("state"),
          t("lastFrame"),
          t("failuresDay"),
          t("latency"),
          t("brightness"),
          t("clock"),
          t("pose"),
          t("reason"),
          t("whatToDo"),
        ]}
        rows={cameras.map((camera) => [
          camera.name,
          <State key="state" state={camera.state} t={t} />,
          at(camera.last_frame),
          `${camera.failures} / ${camera.failures + camera.frames}`,
          ...measures(camera, t),
          reasonOf(camera, locale),
          toDo(camera, t).join(" ") || "–",
        ])}
      />
      <PoseCheck bay={bay} t={t} />
      <h2>{t("queues")}</h2>
      <Table
        name={t("queues")}
        columns={[t("queue"), t("triggerers"), t("waiting"), t("running"), t("deferred"), t("unclaimed")]}
        rows={queues.map((queue) => [
          queue.queue,
          queue.triggerers,
          queue.waiting,
          queue.running,
          queue.deferred,
          queue.unclaimed,
        ])}
      />
      <p className="bay-muted">{t("checkedAt", { time: at(checked_at) })}</p>
    </>
  );
}

/** Latency, brightness, clock and pose of a camera. */
function measures(camera: Camera, t: Translate): ReactNode[] {
  const { latency_s: now, median_latency_s: median, brightness, clock_offset_s: offset } = camera;
  const grey = brightness === null ? "–" : brightness.toFixed(0);
  return [
    now === null ? "–" : t("latencyOf", { now: now.toFixed(1), median: (median ?? now).toFixed(1) }),
    camera.dark ? <Alarm key="grey">{t("tooDark", { n: grey })}</Alarm> : grey,
    offset === null ? "–" : <Alarm key="clock" quiet={!camera.clock_wrong}>{t("clockOff", { n: signed(offset, 0) })}</Alarm>,
    camera.out_of_pose === null ? "–" : <Alarm key="pose" quiet={!camera.out_of_pose}>{t(camera.out_of_pose ? "leftOut" : "inPose")}</Alarm>,
  ];
}

/** Why its newest slot has no frame, and what exactly it answered. */
function reasonOf({ reason, detail }: Camera, locale: string): string {
  return [reason && reasonIn(locale, reason), detail].filter(Boolean).join(": ") || "–";
}

function toDo(camera: Camera, t: Translate): string[] {
  return [
    camera.reason && adviceFor(t, camera.reason, camera.advice),
    camera.dark && t("do_dark"),
    camera.clock_wrong && t("do_clock"),
    camera.out_of_pose && t("do_pose"),
  ].filter((one): one is string => Boolean(one));
}

/** By how much each camera is turned: worked out when a person asks, since it takes seconds. */
function PoseCheck({ bay, t }: { bay: BayDetail; t: Translate }): ReactNode {
  const [found, setFound] = useState<PoseList | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const measure = (): void => {
    setBusy(true);
    ask<PoseList>(`bays/${bay.bay_id}/poses`)
      .then(
        (poses) => {
          setFound(poses);
          setError(null);
        },
        (reason: unknown) => setError(reason instanceof Error ? reason : new Error(String(reason))),
      )
      .finally(() => setBusy(false));
  };
  return (
    <>
      <div className="bay-row">
        <button type="button" disabled={busy} onClick={measure}>
          {t(busy ? "measuring" : "measurePoses")}
        </button>
      </div>
      {error && <Note bad>{error.message}</Note>}
      {found && (
        <Table
          name={t("posesOf", { n: found.batches.length })}
          columns={[t("camera"), t("verdict"), t("turned"), t("pan"), t("tilt"), t("roll"), t("residual"), t("blocks"), t("reason")]}
          rows={found.cameras.map((one) => [
            one.camera,
            <span key="verdict" className={`bay-strong ${CLASSES[VERDICTS[one.verdict]]}`}>
              {SIGNS[VERDICTS[one.verdict]]} {word(t, "po_", one.verdict)}
            </span>,
            one.angle_deg === null ? "–" : `${one.angle_deg.toFixed(2)}°`,
            ...[one.pan_deg, one.tilt_deg, one.roll_deg].map((angle) => (angle === null ? "–" : `${signed(angle, 2)}°`)),
            one.residual_px === null ? "–" : `${one.residual_px.toFixed(1)} px`,
            one.blocks,
            one.reason,
          ])}
        />
      )}
    </>
  );
}

function Alarm({ quiet = false, children }: { quiet?: boolean; children: ReactNode }): ReactNode {
  return <span className={quiet ? "" : "bay-strong bay-warn"}>{children}</span>;
}

function State({ state, t }: { state: keyof typeof CLASSES; t: Translate }): ReactNode {
  return (
    <span className={`bay-state ${CLASSES[state]}`}>
      {SIGNS[state]} {word(t, "st_", state)}
    </span>
  );
}

/** With its sign; what rounds to nothing has none. */
export function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : `${value > 0 ? "+" : ""}${text}`;
}

function kindOf({ name }: Check): (typeof KINDS)[number] | undefined {
  return KINDS.find((kind) => kind === name.split(":")[0]);
}

function title(check: Check, t: Translate): string {
  const kind = kindOf(check);
  return kind ? t(`ck_${kind}` satisfies Word, { name: check.name.slice(kind.length + 1) }) : check.name;
}

function advice(check: Check, bay: BayDetail, t: Translate): string {
  const kind = kindOf(check);
  return kind ? t(`do_${kind}` satisfies Word, { bay: bay.bay_id }) : "–";
}
