/** Why the system believes what it says of a block: what each camera saw, and what the tracker weighed. */
import type { ReactNode } from "react";

import { ask } from "./api";
import { short } from "./day";
import { useLanguage, word, type Translate, type Word } from "./i18n";
import { useLoaded } from "./load";
import { clock, iso } from "./times";
import type { BayDetail, BlockWhy, CameraWord } from "./types";

const ORDER: readonly CameraWord[] = ["seen", "missed", "in view", "no frame", "out of pose", "not needed"];
const CLASSES: Partial<Record<CameraWord, string>> = { missed: "bay-warn", "no frame": "bay-alarm", "out of pose": "bay-alarm" };

export function Why({ bay, track, at }: { bay: BayDetail; track: string; at: number }): ReactNode {
  const { t } = useLanguage();
  const path = `bays/${bay.bay_id}/tracks/${encodeURIComponent(track)}/why`;
  const found = useLoaded(`${path} ${at}`, (signal) => ask<BlockWhy>(path, { slot: iso(at) }, signal));
  if (found.error) return <p className="bay-muted">{found.error.message}</p>;
  if (!found.value) return <p role="status">{t("loading")}</p>;
  const { cameras, fused, tracked, doubt } = found.value;
  const saying = ORDER.map((says) => [says, cameras.filter((one) => one.says === says).map((one) => one.camera)] as const);
  return (
    <>
      {doubt && <p className="bay-warn">{t("whyDoubt", { reason: doubt })}</p>}
      <dl className="bay-facts">
        {saying.map(([says, names]) =>
          names.length ? (
            <Line key={says} name={word(t, "saw_", says)} {...(CLASSES[says] && { look: CLASSES[says] })}>
              {names.join(", ")}
            </Line>
          ) : null,
        )}
        {!fused && <Line name={t("floorPlan")}>{t("notInPlan")}</Line>}
        {fused && (
          <>
            <Line name={t("confidence")}>{percent(fused.confidence)}</Line>
            <Line name={t("stage")}>
              {fused.stage === null ? t("noStage") : t("stageVote", { stage: fused.stage, share: percent(fused.stage_confidence) })}
            </Line>
            <Line name={t("deviation")}>± {t("metres", { n: fused.position_std_m.toFixed(2) })}</Line>
          </>
        )}
        {tracked && <Tracked tracked={tracked} bay={bay} t={t} />}
      </dl>
    </>
  );
}

interface TrackedProps {
  tracked: NonNullable<BlockWhy["tracked"]>;
  bay: BayDetail;
  t: Translate;
}

function Tracked({ tracked, bay, t }: TrackedProps): ReactNode {
  const { locale } = useLanguage();
  const when = (time: string): string => clock(Date.parse(time), bay.timezone, locale);
  return (
    <>
      <Line name={t("identity")}>{percent(tracked.probability)}</Line>
      <Line name={t("sightings")}>{tracked.sightings}</Line>
      {tracked.misses > 0 && tracked.missed_since && (
        <Line name={t("missed")} look="bay-warn">
          {t("missedSince", { n: tracked.misses, time: when(tracked.missed_since) })}
        </Line>
      )}
      {tracked.not_before && <Line name={t("notBefore")}>{when(tracked.not_before)}</Line>}
      {tracked.against.map((one) => (
        <Line key={`${one.of} ${one.value}`} name={t("readsAs", { of: t(READINGS[one.of]) })}>
          {t("readings", { value: one.value, n: one.count, time: when(one.since) })}
        </Line>
      ))}
      {tracked.events.map((event) => (
        <Line key={`${event.kind} ${event.time}`} name={word(t, "ev_", event.kind)}>
          {percent(event.probability)}
          {event.alternatives.map((one) => `, ${instead(one.what, t)} ${percent(one.probability)}`).join("")}
          {event.reason && ` · ${event.reason}`}
        </Line>
      ))}
    </>
  );
}

const READINGS: Record<NonNullable<BlockWhy["tracked"]>["against"][number]["of"], Word> = {
  class: "className",
  area: "area",
  stage: "stage",
  work: "work",
};

/** What may have happened in place of an event. */
function instead(what: string, t: Translate): string {
  if (what === "new") return t("insteadNew");
  return what === "missed" || what === "exited" ? t(what) : t("insteadTrack", { block: short(what) });
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function Line({ name, look = "", children }: { name: string; look?: string; children: ReactNode }): ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd className={look}>{children}</dd>
    </>
  );
}
