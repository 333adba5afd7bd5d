import { describe, expect, it } from "vitest";

import { snapped, spans } from "../src/AreasPage";

describe("areas that are drawn", () => {
  it("lie on half metres of the floor", () => {
    expect([snapped(3.3, 150), snapped(-2, 150), snapped(151, 150)]).toEqual([3.5, 0, 150]);
  });

  it("are the same whichever corner is pulled", () => {
    expect(spans({ from: [9, 1], to: [3, 5] })).toEqual([[3, 9], [1, 5]]);
  });
});
