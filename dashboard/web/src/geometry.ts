/** From the bay's floor (metres, y up) to the canvas (pixels, y down), and back. */
import type { Stay } from "./day";
import type { Point, Ring } from "./types";

export interface View {
  /** Pixels per metre. */
  scale: number;
  /** Where the floor's origin is on the canvas, pixels. */
  x: number;
  y: number;
}

const NEAREST = 120;

/** A wall of 4K is read from far; the page's own text grows at the same width (`style.ts`). */
export const WALL = window.innerWidth >= 2600;

/** Room around the floor, pixels: the names of cameras above and below, and the tools below. */
export const MARGIN = { side: 14, top: WALL ? 40 : 24, bottom: 62 };

export function fit(width: number, height: number, floorWidth: number, floorHeight: number): View {
  const across = (width - 2 * MARGIN.side) / floorWidth;
  const along = (height - MARGIN.top - MARGIN.bottom) / floorHeight;
  const scale = Math.max(0.1, Math.min(across, along));
  return {
    scale,
    x: (width - scale * floorWidth) / 2,
    y: MARGIN.top + (height - MARGIN.top - MARGIN.bottom + scale * floorHeight) / 2,
  };
}

export function toCanvas(view: View, [x, y]: Point): Point {
  return [view.x + x * view.scale, view.y - y * view.scale];
}

export function toFloor(view: View, [x, y]: Point): Point {
  return [(x - view.x) / view.scale, (view.y - y) / view.scale];
}

/** The same point of the floor stays under the pointer. */
export function zoom(view: View, factor: number, [x, y]: Point, least: number): View {
  const scale = Math.min(NEAREST, Math.max(least, view.scale * factor));
  const grown = scale / view.scale;
  return { scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown };
}

export function inside([x, y]: Point, ring: Ring): boolean {
  let within = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [xi, yi] = ring[i] as Point;
    const [xj, yj] = ring[j] as Point;
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

/** The topmost block under a point of the floor: the smallest one that holds it. */
export function hit(stays: readonly Stay[], point: Point): Stay | undefined {
  const size = ({ box }: Stay): number => (box[2] - box[0]) * (box[3] - box[1]);
  return stays
    .filter(({ box, ring }) => {
      const near = box[0] <= point[0] && point[0] <= box[2] && box[1] <= point[1] && point[1] <= box[3];
      return near && inside(point, ring);
    })
    .sort((a, b) => size(a) - size(b))[0];
}
