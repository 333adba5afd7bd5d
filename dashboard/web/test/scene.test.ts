import { describe, expect, it } from "vitest";

import { merged, Scene, type Box, type Piece } from "../src/scene";

function box(left: number, top: number, right: number, bottom: number): Box {
  return { left, top, right, bottom };
}

/** A context that notes what it is cut to and what is drawn. */
function context(log: string[]): CanvasRenderingContext2D {
  const nothing = (): void => undefined;
  return {
    save: nothing,
    restore: nothing,
    beginPath: nothing,
    clip: nothing,
    setTransform: nothing,
    rect: (x: number, y: number, width: number, height: number) => log.push(`cut ${x},${y} ${width}x${height}`),
    drawImage: () => log.push("ground"),
  } as unknown as CanvasRenderingContext2D;
}

describe("a canvas of which only what has changed is drawn again", () => {
  const ground = { width: 100, height: 50 } as ImageBitmap;
  const log: string[] = [];
  const piece = (name: string, at: Box): Piece => ({ box: at, draw: () => log.push(name) });
  const left = piece("left", box(0, 0, 10, 10));
  const over = piece("over", box(8.5, 2, 20, 10));
  const right = piece("right", box(60, 0, 70, 10));

  it("draws everything once, and then what came, what went, and what overlaps them, in their order", () => {
    const scene = new Scene();
    expect(scene.draw(context(log), ground, [left, over, right], 1, true)).toBe(3);
    expect(log.splice(0)).toEqual(["cut 0,0 100x50", "ground", "left", "over", "right"]);

    expect(scene.draw(context(log), ground, [left, over, right], 1, false)).toBe(0);
    expect(log.splice(0)).toEqual([]);

    expect(scene.draw(context(log), ground, [left, right], 1, false)).toBe(1);
    expect(log.splice(0)).toEqual(["cut 8,2 12x8", "ground", "left"]);

    expect(scene.draw(context(log), ground, [left, over], 2, false)).toBe(2);
    expect(log.splice(0)).toEqual(["cut 17,4 23x16", "ground", "left", "over"]);
  });

  it("joins boxes where that covers no more", () => {
    expect(merged([box(0, 0, 4, 4), box(4, 0, 8, 4), box(9, 9, 9, 12)])).toEqual([box(0, 0, 8, 4)]);
    expect(merged([box(0, 0, 9, 9), box(2, 2, 4, 4), box(0, 0, 9, 9)])).toEqual([box(0, 0, 9, 9)]);
    expect(merged([box(0, 0, 4, 4), box(3, 3, 7, 7)])).toEqual([box(0, 0, 4, 4), box(3, 3, 7, 7)]);
  });
});
