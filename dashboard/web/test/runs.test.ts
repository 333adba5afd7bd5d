import { describe, expect, it } from "vitest";

import { bayOfDag, slotOfRun } from "../src/runs";

const run = { logical_date: null, run_after: "2026-07-02T00:00:00Z", conf: null };

describe("runs of Airflow", () => {
  it("belong to the bay of their DAG", () => {
    expect(bayOfDag("tracking_3bay_north_dag")).toBe("3bay_north");
    expect(bayOfDag("observation_demo_bay_dag")).toBe("demo_bay");
    for (const other of ["housekeeping_dag", "tracking__dag", undefined, "x_tracking_a_dag"]) {
      expect(bayOfDag(other)).toBeNull();
    }
  });

  it("have the slot of the batch they name, else their date", () => {
    const slot = Date.parse("2026-07-01T23:10:00Z");
    expect(slotOfRun("yard_20260701-231000", run)).toBe(slot);
    expect(slotOfRun("manual__1", { ...run, conf: { fusion: { batch_id: "yard_20260701-231000" } } })).toBe(slot);
    expect(slotOfRun("scheduled__1", { ...run, logical_date: "2026-07-01T23:10:00Z" })).toBe(slot);
    expect(slotOfRun("manual__1", run)).toBe(Date.parse(run.run_after));
  });
});
