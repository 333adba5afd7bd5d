/** Whether the bay's cameras, queues and store work, and what to do where they do not. */
import type { ReactNode } from "react";

import { ask } from "./api";
import { useLanguage, word, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Failure } from "./Notes";
import { Table } from "./Table";
import { dateAndClock, MINUTE } from "./times";
import type { BayDetail, Health } from "./types";

type Check = Health["checks"][number];

const CLASSES = {
  ok: "bay-ok",
  warning: "bay-warn",
  failed: "bay-alarm",
  unknown: "bay-muted",
  failing: "bay-warn",
  down: "bay-alarm",
} as const;
const SIGNS = { ok: "✓", warning: "!", failed: "✕", unknown: "?", failing: "!", down: "✕" } as const;

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
      <h2>{t("checks")}</h2>
      <Table
        name={t("checks")}
        columns={[t("what"), t("state"), t("detail"), t("whatToDo")]}
        rows={checks.map((check) => [
          title(check, t),
          <State key="state" state={check.state} t={t} />,
          check.detail,
          check.state === "ok" ? "–" : advice(check, bay, t),
        ])}
      />
      <h2>{t("cameras")}</h2>
      <Table
        name={t("cameras")}
        columns={[t("camera"), t("state"), t("lastFrame"), t("failuresDay"), t("reason")]}
        rows={cameras.map((camera) => [
          camera.name,
          <State key="state" state={camera.state} t={t} />,
          at(camera.last_frame),
          `${camera.failures} / ${camera.failures + camera.frames}`,
          camera.reason || "–",
        ])}
      />
      <h2>{t("queues")}</h2>
      <Table
        name={t("queues")}
        columns={[t("queue"), t("waiting"), t("running"), t("deferred"), t("unclaimed")]}
        rows={queues.map((queue) => [queue.queue, queue.waiting, queue.running, queue.deferred, queue.unclaimed])}
      />
      <p className="bay-muted">{t("checkedAt", { time: at(checked_at) })}</p>
    </>
  );
}

function State({ state, t }: { state: keyof typeof CLASSES; t: Translate }): ReactNode {
  return (
    <span className={`bay-strong ${CLASSES[state]}`}>
      {SIGNS[state]} {word(t, "st_", state)}
    </span>
  );
}

function title({ name }: Check, t: Translate): string {
  const [kind = "", queue = ""] = name.split(":");
  if (kind === "queue") return t("ck_queue", { name: queue });
  return kind === "store" || kind === "disk" || kind === "floor" || kind === "cameras" ? t(`ck_${kind}`) : name;
}

function advice({ name }: Check, bay: BayDetail, t: Translate): string {
  const kind = name.split(":")[0];
  if (kind === "queue" || kind === "store" || kind === "disk" || kind === "floor" || kind === "cameras") {
    return t(`do_${kind}`, { bay: bay.bay_id });
  }
  return "–";
}
