import { describe, expect, it } from "vitest";

import { Pace } from "../src/moment";

describe("a pace", () => {
  it("is fast while steps follow one another, and not once they rest", () => {
    const pace = new Pace();
    expect(pace.step(1, 1000)).toBe(false);
    expect(pace.step(2, 1017)).toBe(true);
    expect(pace.step(2, 1034)).toBe(true); // drawn again, for another reason
    expect(pace.step(2, 1300)).toBe(false);
    expect(pace.step(3, 1500)).toBe(false); // a step of Play
    expect(pace.step(4, 1517)).toBe(true);
  });
});
