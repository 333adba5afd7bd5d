import { afterEach, describe, expect, it, vi } from "vitest";

import { address, ApiError, ask, askAll } from "../src/api";

afterEach(() => vi.unstubAllGlobals());

describe("questions", () => {
  it("go below Airflow's own base, whatever path it has", () => {
    const base = "https://yard.example/airflow/prod/";
    expect(address("bay/api/v1/bays", {}, base)).toBe("https://yard.example/airflow/prod/bay/api/v1/bays");
    expect(address("x", { kind: ["moved", "exited"], area: "A&B", none: undefined }, base)).toBe(
      "https://yard.example/airflow/prod/x?kind=moved&kind=exited&area=A%26B",
    );
  });

  it("come page by page until there is no more", async () => {
    vi.stubGlobal("document", { baseURI: "https://yard.example/" });
    const asked: string[] = [];
    vi.stubGlobal("fetch", async (url: string) => {
      asked.push(new URL(url).search);
      const last = asked.length === 2;
      return new Response(JSON.stringify({ items: [asked.length], next_cursor: last ? null : "abc" }));
    });
    type Page = { items: number[]; next_cursor: string | null };
    expect(await askAll<Page, number>("x", { area: "A" }, (page) => page.items)).toEqual([1, 2]);
    expect(asked).toEqual(["?area=A&limit=5000", "?area=A&limit=5000&cursor=abc"]);
  });

  it("fail with the server's own words", async () => {
    vi.stubGlobal("fetch", async () => new Response('{"detail": "no history yet"}', { status: 404 }));
    await expect(ask("bays/yard/floor")).rejects.toEqual(new ApiError(404, "no history yet"));
    vi.stubGlobal("fetch", async () => new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    await expect(ask("bays/yard/floor")).rejects.toMatchObject({ status: 502, message: "502 Bad Gateway" });
  });
});
