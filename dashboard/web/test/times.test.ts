import { describe, expect, it } from "vitest";

import { clock, dateOf, dayOf, DAY } from "../src/times";

describe("days of a bay's own clock", () => {
  it("begin at its midnight", () => {
    const [start, end] = dayOf("2026-07-02", "Asia/Seoul");
    expect(new Date(start).toISOString()).toBe("2026-07-01T15:00:00.000Z");
    expect(end - start).toBe(DAY);
    expect(dateOf(start, "Asia/Seoul")).toBe("2026-07-02");
    expect(dateOf(start - 1, "Asia/Seoul")).toBe("2026-07-01");
    expect(clock(start, "Asia/Seoul", "en")).toBe("00:00");
  });

  it("have 23 or 25 hours where clocks are changed", () => {
    const length = (date: string): number => {
      const [start, end] = dayOf(date, "Europe/Oslo");
      return (end - start) / 3_600_000;
    };
    expect([length("2026-03-29"), length("2026-10-25"), length("2026-03-30")]).toEqual([23, 25, 24]);
  });
});
