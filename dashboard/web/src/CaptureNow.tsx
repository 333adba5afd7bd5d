/** A fresh frame of the bay: a run of its observation DAG, which the bay's own triggerer captures. */
import { useEffect, useRef, useState, type ReactNode } from "react";

import { askAirflow, sendAirflow } from "./api";
import { useLanguage } from "./i18n";
import { Note } from "./Notes";
import { iso } from "./times";
import type { BayDetail } from "./types";

/** A task with its retries takes longer; whoever waits looks at the run then. */
const PATIENCE_MS = 180_000;
const EVERY_MS = 1500;
const OVER = ["failed", "upstream_failed", "skipped", "removed"];

type Task = "capture_images" | "run_inference";
interface Instance {
  state: string | null;
}

/**
 * Trigger the observation DAG for this second, and wait until a task of the run has ended well.
 *
 * @returns the slot, milliseconds since 1970.
 */
export async function capture(bayId: string, task: Task, signal: AbortSignal): Promise<number> {
  const slot = Math.floor(Date.now() / 1000) * 1000;
  const runs = `dags/observation_${bayId}_dag/dagRuns`;
  const run = await sendAirflow<{ dag_run_id: string }>(runs, { logical_date: iso(slot) });
  const path = `${runs}/${encodeURIComponent(run.dag_run_id)}/taskInstances/${task}`;
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
    await pause(EVERY_MS, signal);
    const { state } = await askAirflow<Instance>(path, signal);
    if (state === "success") return slot;
    if (OVER.includes(state ?? "")) throw new Error(`${task}: ${state}`);
  }
  throw new Error(`${task}: > ${PATIENCE_MS / 1000} s`);
}

/** The button, for who may correct the bay; `onSlot` is called with the slot once the task has ended well. */
export function CaptureNow({ bay, task, onSlot }: { bay: BayDetail; task: Task; onSlot: (slot: number) => void }): ReactNode {
  const { t } = useLanguage();
  const [state, setState] = useState<{ busy: boolean; error?: string }>({ busy: false });
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const begin = (): void => {
    const own = (stop.current = new AbortController());
    setState({ busy: true });
    capture(bay.bay_id, task, own.signal).then(
      (slot) => {
        setState({ busy: false });
        onSlot(slot);
      },
      (error: unknown) => {
        if (!own.signal.aborted) setState({ busy: false, error: error instanceof Error ? error.message : String(error) });
      },
    );
  };
  if (!bay.writable) return null;
  return (
    <>
      <button type="button" disabled={state.busy} title={t("captureHint")} onClick={begin}>
        {t(state.busy ? "capturing" : "captureNow")}
      </button>
      {state.error && <Note bad>{t("captureFailed", { reason: state.error })}</Note>}
    </>
  );
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      window.clearTimeout(timer);
      reject(new DOMException("left", "AbortError"));
    });
  });
}
