import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { capture } from "../src/CaptureNow";

const asked: [string, string][] = [];
let states: (string | null)[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 2, 2, 9, 14, 30, 700) });
  asked.length = 0;
  vi.stubGlobal("fetch", async (url: string, options: RequestInit = {}) => {
    asked.push([options.method ?? "GET", new URL(url).pathname]);
    if (options.method === "POST") return Response.json({ dag_run_id: "manual__2026" });
    return Response.json({ state: states.shift() ?? null });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a run of this second is triggered, and its slot known once the task has ended well", async () => {
  states = [null, "deferred", "success"];
  const slot = capture("yard", "capture_images", new AbortController().signal);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await slot).toBe(Date.UTC(2026, 2, 2, 9, 14, 30));
  expect(asked[0]).toEqual(["POST", "/api/v2/dags/observation_yard_dag/dagRuns"]);
  expect(asked[1]?.[1]).toBe("/api/v2/dags/observation_yard_dag/dagRuns/manual__2026/taskInstances/capture_images");
  expect(asked).toHaveLength(4);
});

test.each([["failed"], ["upstream_failed"], ["skipped"]])("a task that is %s gives no frame", async (state) => {
  states = ["running", state];
  const slot = expect(capture("yard", "run_inference", new AbortController().signal)).rejects.toThrow(`run_inference: ${state}`);
  await vi.advanceTimersByTimeAsync(10_000);
  await slot;
});

test("who leaves the page waits no longer", async () => {
  const leave = new AbortController();
  const slot = expect(capture("yard", "capture_images", leave.signal)).rejects.toThrow("left");
  await vi.advanceTimersByTimeAsync(100);
  leave.abort();
  await slot;
  expect(asked).toHaveLength(1);
});

test("a run that never starts is given up", async () => {
  const slot = expect(capture("yard", "capture_images", new AbortController().signal)).rejects.toThrow("180 s");
  await vi.advanceTimersByTimeAsync(200_000);
  await slot;
});
