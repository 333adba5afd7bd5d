/** Tabs on Airflow's own pages: the floor of a run. */
import { useEffect, type ReactNode } from "react";

import { askAirflow } from "./api";
import { Frame, NotABay, OneBay } from "./App";
import { FloorPage } from "./FloorPage";
import { FramesPage } from "./FramesPage";
import { useLanguage } from "./i18n";
import { useLoaded } from "./load";
import { Failure } from "./Notes";
import { usePlace } from "./query";
import { iso } from "./times";
import type { BayDetail } from "./types";

export interface HostProps {
  dagId?: string;
  runId?: string;
  taskId?: string;
}

/** The bay of one of the three DAGs; null for any other DAG. */
export function bayOfDag(dagId: string | undefined): string | null {
  return /^(?:observation|fusion|tracking)_([a-z0-9][a-z0-9_]{0,47})_dag$/.exec(dagId ?? "")?.[1] ?? null;
}

interface Run {
  logical_date: string | null;
  run_after: string;
  conf: Record<string, unknown> | null;
}

/** The slot of a run: that of the batch it names, else its date. */
export function slotOfRun(runId: string, run: Run): number {
  const named = /_(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)/.exec(`${runId} ${JSON.stringify(run.conf ?? {})}`);
  if (named) {
    const [year, month, day, hour, minute, second] = named.slice(1).map(Number) as [number, number, number, number, number, number];
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }
  return Date.parse(run.logical_date ?? run.run_after);
}

/** What is shown of the bay and slot of a run. */
export function OfRun({ host, Page }: { host: HostProps; Page: (props: { bay: BayDetail }) => ReactNode }): ReactNode {
  const { t } = useLanguage();
  const [place, setPlace] = usePlace();
  const bayId = bayOfDag(host.dagId);
  const path = `dags/${encodeURIComponent(host.dagId ?? "")}/dagRuns/${encodeURIComponent(host.runId ?? "")}`;
  const run = useLoaded(bayId && host.runId ? path : null, (signal) => askAirflow<Run>(path, signal));
  const at = run.value && host.runId ? iso(slotOfRun(host.runId, run.value)) : null;
  const ready = place("at") !== null;
  useEffect(() => {
    if (at !== null) setPlace({ at });
  }, [at, setPlace]);
  if (bayId === null) return <NotABay />;
  if (run.error) return <Frame><Failure error={run.error} again={run.again} t={t} /></Frame>;
  return <Frame>{ready && at !== null ? <OneBay bayId={bayId} Page={Page} /> : <p role="status">{t("loading")}</p>}</Frame>;
}

export function FloorOfRun(props: HostProps): ReactNode {
  return <OfRun host={props} Page={FloorPage} />;
}

export function FramesOfTask(props: HostProps): ReactNode {
  return <OfRun host={props} Page={FramesPage} />;
}
