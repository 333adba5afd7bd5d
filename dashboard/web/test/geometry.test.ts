import { describe, expect, it } from "vitest";

import { toStay } from "../src/day";
import { fit, hit, inside, toCanvas, toFloor, zoom } from "../src/geometry";
import type { Point, StayRow } from "../src/types";

describe("floor and canvas", () => {
  const view = fit(1000, 400, 150, 40);

  it("fit the whole floor, x to the right and y up", () => {
    const [left, bottom] = toCanvas(view, [0, 0]);
    const [right, top] = toCanvas(view, [150, 40]);
    expect(left).toBeCloseTo(14);
    expect(right).toBeCloseTo(986);
    expect(top).toBeGreaterThan(0);
    expect(bottom).toBeLessThan(400);
    expect(bottom).toBeGreaterThan(top);
  });

  it("go there and back", () => {
    const [x, y] = toFloor(view, toCanvas(view, [33.3, 7.7]));
    expect(x).toBeCloseTo(33.3);
    expect(y).toBeCloseTo(7.7);
  });

  it("zoom about the pointer, within limits", () => {
    const pointer: Point = [300, 120];
    const before = toFloor(view, pointer);
    const closer = zoom(view, 3, pointer, 1);
    expect(toFloor(closer, pointer)[0]).toBeCloseTo(before[0]);
    expect(closer.scale).toBeCloseTo(3 * view.scale);
    expect(zoom(view, 1e-9, pointer, 2).scale).toBe(2);
    expect(zoom(view, 1e9, pointer, 2).scale).toBe(120);
  });

  it("know what lies under a point, the smallest first", () => {
    const square = (track: string, x: number, size: number): StayRow =>
      ({
        track_id: track,
        footprint: [
          [x, 0],
          [x + size, 0],
          [x + size, size],
          [x, size],
        ],
        since: "2026-07-01T00:00:00Z",
        standing_since: "2026-07-01T00:00:00Z",
        last_seen: "2026-07-01T00:00:00Z",
        until: null,
      }) as StayRow;
    const large = toStay(square("large", 0, 10), 0);
    const small = toStay(square("small", 4, 2), 1);
    expect(hit([large, small], [5, 1])?.track).toBe("small");
    expect(hit([large, small], [8, 8])?.track).toBe("large");
    expect(hit([large, small], [11, 1])).toBeUndefined();
  });

  it("tell a notch from the inside of an L", () => {
    const ring: Point[] = [
      [0, 0],
      [4, 0],
      [4, 1],
      [1, 1],
      [1, 4],
      [0, 4],
    ];
    expect(inside([0.5, 3], ring)).toBe(true);
    expect(inside([3, 3], ring)).toBe(false);
  });
});
