import { describe, expect, it } from "vitest";

import { monthAfter, weeksOf } from "../src/CalendarPage";

describe("a calendar", () => {
  it("steps over years", () => {
    expect([monthAfter("2026-12", 1), monthAfter("2026-01", -1), monthAfter("2026-05", 0)]).toEqual(["2027-01", "2025-12", "2026-05"]);
  });

  it("has weeks from Monday on", () => {
    const weeks = weeksOf("2026-11"); // its first is a Sunday
    expect(weeks[0]).toEqual([null, null, null, null, null, null, "2026-11-01"]);
    expect(weeks.at(-1)).toEqual(["2026-11-30", null, null, null, null, null, null]);
    expect(weeksOf("2024-02").flat().filter(Boolean)).toHaveLength(29);
    expect(weeksOf("2027-02")).toHaveLength(4);
  });
});
