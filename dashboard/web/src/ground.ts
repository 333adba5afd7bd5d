/** What lies under the blocks: floor, areas, floor that nobody saw, what the cameras look at. */
import type { Theme } from "./colours";
import type { Picture } from "./draw";
import { toCanvas, type View } from "./geometry";
import { FONT } from "./labels";
import type { Ring } from "./types";

export type Brush = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** A picture that is drawn once; sizes are pixels of the device. */
export function bitmap(width: number, height: number, draw: (brush: OffscreenCanvasRenderingContext2D) => void): ImageBitmap {
  const canvas = new OffscreenCanvas(Math.max(1, width), Math.max(1, height));
  const brush = canvas.getContext("2d");
  if (brush) draw(brush);
  return canvas.transferToImageBitmap();
}

const hatches = new Map<string, CanvasPattern | null>();

export function drawGround(context: Brush, width: number, height: number, picture: Picture): void {
  const { theme, view, bay } = picture;
  context.fillStyle = theme.outside;
  context.fillRect(0, 0, width, height);
  const [left, top] = toCanvas(view, [0, bay.height]);
  context.fillStyle = theme.floor;
  context.fillRect(left, top, bay.width * view.scale, bay.height * view.scale);
  drawAreas(context, picture);
  if (picture.layers.unseen) drawUnseen(context, picture);
  if (picture.layers.cameras) drawViews(context, picture);
  drawScale(context, height, view, theme);
}

export function hatch(context: Brush, colour: string): CanvasPattern | string {
  let pattern = hatches.get(colour);
  if (pattern === undefined) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const brush = tile.getContext("2d");
    if (brush) {
      brush.strokeStyle = colour;
      brush.lineWidth = 1;
      brush.beginPath();
      for (const shift of [-8, 0, 8]) {
        brush.moveTo(shift, 8);
        brush.lineTo(shift + 8, 0);
      }
      brush.stroke();
    }
    pattern = context.createPattern(tile, "repeat");
    hatches.set(colour, pattern);
  }
  return pattern ?? colour;
}

/** A closed line through points of the floor; of a brush, the path is begun before. */
export function trace(context: Brush | Path2D, view: View, ring: Ring): void {
  ring.forEach((point, index) => {
    const [x, y] = toCanvas(view, point);
    if (index) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.closePath();
}

function drawAreas(context: Brush, { bay, view, theme }: Picture): void {
  context.lineWidth = 1;
  context.strokeStyle = theme.line;
  for (const area of bay.areas) {
    const [x, y] = toCanvas(view, [area.x[0], area.y[1]]);
    const width = (area.x[1] - area.x[0]) * view.scale;
    const height = (area.y[1] - area.y[0]) * view.scale;
    if (area.kind !== "work") {
      context.fillStyle = theme.outside;
      context.fillRect(x, y, width, height);
    }
    context.strokeRect(Math.round(x) + 0.5, Math.round(y) + 0.5, Math.round(width), Math.round(height));
  }
}

function drawUnseen(context: Brush, { unseen, view, theme }: Picture): void {
  context.fillStyle = hatch(context, theme.hatch);
  context.globalAlpha = 0.7;
  for (const rings of unseen) {
    context.beginPath();
    for (const ring of rings) trace(context, view, ring);
    context.fill("evenodd");
  }
  context.globalAlpha = 1;
}

function drawViews(context: Brush, { bay, view, theme, cameras }: Picture): void {
  context.lineWidth = 1;
  for (const camera of bay.cameras) {
    if (!camera.view.length) continue;
    const down = cameras.get(camera.name)?.down ?? false;
    context.beginPath();
    trace(context, view, camera.view);
    context.setLineDash(down ? [2, 5] : [6, 4]);
    context.strokeStyle = down ? theme.alarm : theme.muted;
    context.globalAlpha = down ? 0.7 : 0.25;
    context.stroke();
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
}

/** A bar of a round number of metres at the bottom left. */
function drawScale(context: Brush, height: number, view: View, theme: Theme): void {
  const metres = [1, 2, 5, 10, 20, 50, 100].find((length) => length * view.scale >= 60) ?? 100;
  const y = height - 10;
  context.fillStyle = theme.text;
  context.fillRect(10, y, metres * view.scale, 3);
  context.font = FONT;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.fillText(`${metres} m`, 10, y - 2);
}
