import { describe, expect, it } from "vitest";

import { doubt, matches, short, standing, toStay, trails } from "../src/day";
import type { StayRow } from "../src/types";

const T = Date.parse("2026-07-01T23:00:00Z");
const SLOT = 600_000;

function row(changes: Partial<StayRow> = {}): StayRow {
  return {
    track_id: "yard-000012",
    since: new Date(T).toISOString(),
    until: null,
    standing_since: new Date(T).toISOString(),
    last_seen: new Date(T + 5 * SLOT).toISOString(),
    sightings: 6,
    status: "present",
    class_name: "block",
    area: "A25",
    stage: "welding",
    height_m: 4,
    position_std_m: 0.05,
    confidence: 0.9,
    name: null,
    continues: null,
    seen_stage: null,
    footprint: [
      [4, 3],
      [12, 3],
      [12, 9],
      [4, 9],
    ],
    ...changes,
  };
}

describe("a day of stays", () => {
  const first = toStay(row({ until: new Date(T + 4 * SLOT).toISOString() }), 0);
  const moved = new Date(T + 4 * SLOT).toISOString();
  const second = toStay(row({ since: moved, standing_since: moved, area: "A13" }), 1);

  it("has at each moment the stays that have begun and are not over", () => {
    expect(standing([first, second], T - 1)).toEqual([]);
    expect(standing([first, second], T)).toEqual([first]);
    expect(standing([first, second], T + 4 * SLOT - 1)).toEqual([first]);
    expect(standing([first, second], T + 4 * SLOT)).toEqual([second]);
    expect(standing([first, second], T + 400 * SLOT)).toEqual([second]);
  });

  it("shows a move as a trail, and a change of stage as none", () => {
    const staged = toStay(row({ since: moved, stage: "painting" }), 2);
    expect(trails([second, first]).map(({ from, to }) => [from.area, to.area])).toEqual([["A25", "A13"]]);
    expect(trails([first, staged])).toEqual([]);
    expect(trails([first, toStay(row({ track_id: "yard-000013", since: moved, standing_since: moved }), 3)])).toEqual([]);
  });

  it("doubts only while the doubt lasts", () => {
    const hidden = toStay(row({ status: "unobserved" }), 4);
    expect(doubt(hidden, T + SLOT)).toBeNull();
    expect(doubt(hidden, T + 6 * SLOT)).toBe("unobserved");
    expect(doubt(toStay(row({ position_std_m: 0.7 }), 5), T)).toBe("unsure");
    expect(doubt(toStay(row(), 6), T + 9 * SLOT)).toBeNull();
  });

  it("is searched by number, area and name", () => {
    expect(short("yard-000012")).toBe("#12");
    for (const text of ["12", "#12", "012", "a25", "yard-000012", " "]) expect(matches(first, text)).toBe(true);
    for (const text of ["1", "#2", "A13", "nonsense"]) expect(matches(first, text)).toBe(false);
    expect(matches({ ...first, name: "Hull 7-B" }, "hull 7")).toBe(true);
  });
});
