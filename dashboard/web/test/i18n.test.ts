import { describe, expect, it } from "vitest";

import { age, translator, word } from "../src/i18n";

describe("words", () => {
  it("are Korean or English, with their values", () => {
    expect(translator("en")("camerasOk", { ok: 11, all: 12 })).toBe("11 of 12 cameras");
    expect(translator("ko")("camerasOk", { ok: 11, all: 12 })).toBe("카메라 12대 중 11대");
    expect(translator("fr")("floor")).toBe("Floor");
  });

  it("show what they do not know as it is", () => {
    expect(word(translator("ko"), "ev_", "moved")).toBe("이동");
    expect(word(translator("ko"), "ev_", "lifted_high")).toBe("lifted high");
  });

  it("tell an age in its own measure", () => {
    const t = translator("en");
    expect([age(t, 59_000), age(t, 119 * 60_000), age(t, 3 * 3_600_000), age(t, 50 * 3_600_000)]).toEqual([
      "1 min",
      "119 min",
      "3 h",
      "2 days",
    ]);
  });
});
