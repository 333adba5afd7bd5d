import { describe, expect, it } from "vitest";

import { SENTENCES, sentenceOf } from "../src/alertWords";

const braces = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string).sort();

describe("alerts", () => {
  it("have each of their values in Korean too", () => {
    for (const [english, korean] of Object.values(SENTENCES)) expect(braces(korean)).toEqual(braces(english));
  });

  it("are said in the page's language", () => {
    const silent = { name: "BaySilent", summary: "Bay yard (1): nothing tracked for 1h 25m 4s" };
    expect(sentenceOf(silent, "en")).toBe(silent.summary);
    expect(sentenceOf(silent, "ko")).toBe("베이 yard (1): 1시간 25분 4초 동안 추적 결과가 없습니다");
    const down = { name: "CameraDown", summary: "Bay demo_bay, camera D_7: no frame in 9 captures" };
    expect(sentenceOf(down, "ko")).toBe("베이 demo_bay, 카메라 D_7: 촬영 9회 동안 프레임이 없습니다");
    const fails = { name: "StageFails", summary: "Bay yard: fusion_failed in 3 slots, one after the other" };
    expect(sentenceOf(fails, "ko")).toBe("베이 yard: 연속 3개 슬롯에서 융합 실패");
    const away = { name: "HistoryAway", summary: "The history's database does not answer the main server" };
    expect(sentenceOf(away, "ko")).toBe("이력 데이터베이스가 메인 서버에 응답하지 않습니다");
  });

  it("of rules that this page does not know stay as they are", () => {
    expect(sentenceOf({ name: "Own", summary: "Crane 3 stands still" }, "ko")).toBe("Crane 3 stands still");
    expect(sentenceOf({ name: "BaySilent", summary: "Other words" }, "ko")).toBe("Other words");
    expect(sentenceOf({ name: "Own", summary: "" }, "ko")).toBe("Own");
  });
});
