import { describe, expect, it } from "vitest";

import { factsIn, reasonIn } from "../src/facts";

const FOUND = [
  { name: "working", values: { n: "11", all: "12" }, text: "11 of 12" },
  { name: "said", values: { words: "no mount" }, text: "no mount" },
];

describe("facts of the health page", () => {
  it("are said in the page's language, and as the API says them where it has no other words", () => {
    expect(factsIn("en", FOUND)).toBe("11 of 12; no mount");
    expect(factsIn("ko", FOUND)).toBe("12대 중 11대; no mount");
  });

  it("have reasons that are Korean on a Korean page", () => {
    expect(reasonIn("ko", "timed out")).toBe("시간 초과");
    expect(reasonIn("en", "timed out")).toBe("timed out");
    expect(reasonIn("ko", "eaten by a horse")).toBe("eaten by a horse");
  });
});
