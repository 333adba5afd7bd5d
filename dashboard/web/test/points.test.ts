import { describe, expect, it } from "vitest";

import { complete, freeName, fromCsv, toCsv, type ClickedPoint } from "../src/points";

const POINT: ClickedPoint = { name: "P1", u: 10.5, v: 20, x: 1, y: 2, z: 0 };

describe("points", () => {
  it("are read back as they were written", () => {
    const points = [POINT, { ...POINT, name: 'pillar "3", north', v: 7.25 }];
    expect(fromCsv(toCsv(points)).points).toEqual(points);
  });

  it("of a survey have no place in the frame yet", () => {
    const { points, survey } = fromCsv("\uFEFFname,x,y,z\r\nS1, 2.5,3\r\nS2,4,5,1.2\r\n");
    expect(points).toEqual([]);
    expect(survey.map(({ name, x, y, z }) => [name, x, y, z])).toEqual([["S1", 2.5, 3, 0], ["S2", 4, 5, 1.2]]);
  });

  it("are refused where a file holds something else", () => {
    expect(() => fromCsv("a,b\n1,2")).toThrow("name,u,v,x,y,z");
    expect(() => fromCsv("name,x,y\nS1,two,3")).toThrow("x: two");
  });

  it("need a name of their own and all coordinates", () => {
    expect(freeName([POINT, { ...POINT, name: "P3" }])).toBe("P4");
    expect(freeName([{ ...POINT, name: "P2" }])).toBe("P3");
    expect(complete([POINT])).toBe(true);
    expect(complete([{ ...POINT, x: null }])).toBe(false);
    expect(complete([{ ...POINT, name: " " }])).toBe(false);
  });
});
