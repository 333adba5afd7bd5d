import { describe, expect, it } from "vitest";

import { toStay } from "../src/day";
import { groups, type Picture } from "../src/draw";
import type { StayRow } from "../src/types";

const NOON = Date.parse("2025-07-02T03:00:00Z");
const ROW: StayRow = {
  track_id: "yard-000001",
  since: "2025-07-02T00:00:00Z",
  until: null,
  standing_since: "2025-07-02T00:00:00Z",
  last_seen: "2025-07-02T00:00:00Z",
  sightings: 3,
  status: "present",
  class_name: "block",
  area: "A25",
  stage: "welding",
  height_m: 4,
  position_std_m: 0.05,
  confidence: 0.9,
  footprint: [[0, 0], [4, 0], [4, 3]],
  name: null,
  continues: null,
  seen_stage: null,
};

function picture(rows: Partial<StayRow>[], more: Partial<Picture> = {}): Picture {
  const standing = rows.map((row, index) => toStay({ ...ROW, track_id: `yard-${index + 1}`, ...row }, index));
  const colours = new Map([["welding", "#e69f00"]]);
  return { standing, colours, shown: () => true, moment: NOON, selected: null, hovered: null, ...more } as Picture;
}

describe("groups", () => {
  it("hold what looks the same", () => {
    const found = groups(picture([{}, {}, { stage: null }, { status: "missed" }]));
    expect(found.map((group) => [group.stays.length, group.doubt])).toEqual([[2, null], [1, null], [1, "missed"]]);
  });

  it("draw what is dim first, and what is selected last", () => {
    const found = groups(
      picture([{}, {}, {}, {}], { selected: "yard-1", hovered: "yard-2", shown: (stay) => stay.track !== "yard-3" }),
    );
    expect(found.map((group) => group.stays.map((stay) => stay.track))).toEqual([["yard-3"], ["yard-4"], ["yard-2"], ["yard-1"]]);
  });

  it("leave nothing out", () => {
    const rows = Array.from({ length: 50 }, (_, index) => ({ stage: index % 2 ? "welding" : null, position_std_m: index % 3 }));
    expect(groups(picture(rows)).reduce((sum, group) => sum + group.stays.length, 0)).toBe(50);
  });
});
