import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { toStay, type Stay } from "../src/day";
import type { Brush } from "../src/ground";
import { Sprites, type Wanted } from "../src/sprites";
import type { Ring, StayRow } from "../src/types";

const VIEW = { scale: 10, x: 0.25, y: 100 };

function stay(footprint: Ring): Stay {
  return toStay({ track_id: "yard-1", since: "2025-07-02T00:00:00Z", until: null, footprint } as StayRow, 0);
}

function wanted(some: readonly Stay[], look = "welding"): Wanted[] {
  return some.map((one) => ({ stay: one, look, draw: () => undefined }));
}

const drawn = vi.fn();
const context = { drawImage: drawn } as unknown as Brush;
const SQUARE: Ring = [[1, 1], [3, 1], [3, 3], [1, 3]];

beforeEach(() => {
  vi.useFakeTimers();
  drawn.mockClear();
  vi.stubGlobal("requestIdleCallback", undefined);
  Reflect.deleteProperty(window, "requestIdleCallback");
  vi.stubGlobal(
    "OffscreenCanvas",
    class {
      constructor(private readonly width: number, private readonly height: number) {}
      getContext(): unknown {
        return { setTransform: () => undefined };
      }
      transferToImageBitmap(): unknown {
        return { width: this.width, height: this.height };
      }
    },
  );
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("sprites", () => {
  it("are made once the page rests, and lie on whole pixels around the block", () => {
    const sprites = new Sprites(VIEW, 2);
    const block = stay(SQUARE);
    sprites.prepare(() => wanted([block]));
    expect(sprites.draw(context, block, "welding")).toBe(false);
    vi.runAllTimers();
    expect(sprites.draw(context, block, "welding")).toBe(true);
    const [, left, top, width, height] = drawn.mock.calls[0] as [unknown, number, number, number, number];
    for (const edge of [left, top, width, height]) expect(Number.isInteger(edge * 2)).toBe(true);
    expect([left < 10.25, top < 70, left + width > 30.25, top + height > 90]).toEqual([true, true, true, true]);
  });

  it("are of one look", () => {
    const sprites = new Sprites(VIEW, 1);
    const block = stay(SQUARE);
    sprites.prepare(() => wanted([block]));
    vi.runAllTimers();
    expect(sprites.draw(context, block, "painting")).toBe(false);
  });

  it("serve the same place of a later answer", () => {
    const sprites = new Sprites(VIEW, 1);
    sprites.prepare(() => wanted([stay(SQUARE)]));
    vi.runAllTimers();
    expect(sprites.draw(context, stay(SQUARE), "welding")).toBe(true);
  });

  it("leave out what there is no room for", () => {
    const sprites = new Sprites({ ...VIEW, scale: 3000 }, 1);
    const [block, far] = [stay(SQUARE), stay(SQUARE.map(([x, y]) => [x + 5, y]) as Ring)];
    sprites.prepare(() => wanted([block, far]));
    vi.runAllTimers();
    expect([block, far].map((one) => sprites.draw(context, one, "welding"))).toEqual([false, false]);
  });

  it("are no longer made once closed", () => {
    const sprites = new Sprites(VIEW, 1);
    const block = stay(SQUARE);
    sprites.prepare(() => wanted([block]));
    sprites.close();
    vi.runAllTimers();
    expect(sprites.draw(context, block, "welding")).toBe(false);
  });
});
