/** The floor on a canvas. Called once for each step of a scrub: no allocation that grows with the day. */
import { colourOf, type Theme } from "./colours";
import { doubt, short, type Stay, type Trail } from "./day";
import { toCanvas, type View } from "./geometry";
import type { BayDetail, CameraState, Point, Ring } from "./types";

export interface Layers {
  cameras: boolean;
  labels: boolean;
  trails: boolean;
  unseen: boolean;
}

export interface Picture {
  bay: BayDetail;
  view: View;
  theme: Theme;
  colours: Map<string, string>;
  layers: Layers;
  standing: readonly Stay[];
  trails: readonly Trail[];
  unseen: readonly Ring[][];
  cameras: ReadonlyMap<string, CameraState>;
  names: ReadonlyMap<string, string>;
  shown: (stay: Stay) => boolean;
  moment: number;
  selected: string | null;
  hovered: string | null;
  measured: readonly Point[];
  stale: boolean;
}

const LEAST_LABEL_PX = 26;
const TRAIL_MS = 60 * 60_000;
const FONT = "12px system-ui, 'Noto Sans KR', sans-serif";
const SMALL_FONT = FONT.replace("12px", "11px");
const outlines = new WeakMap<Stay, Path2D>();
const hatches = new Map<string, CanvasPattern | null>();
const drawnLabels = new Map<string, HTMLCanvasElement>();
const MOST_LABELS = 4000;
const HALO_PX = 2;

export function draw(context: CanvasRenderingContext2D, width: number, height: number, picture: Picture): void {
  const { theme, view, bay } = picture;
  context.fillStyle = theme.outside;
  context.fillRect(0, 0, width, height);
  const [left, top] = toCanvas(view, [0, bay.height]);
  context.fillStyle = theme.floor;
  context.fillRect(left, top, bay.width * view.scale, bay.height * view.scale);
  drawAreas(context, picture);
  if (picture.layers.unseen) drawUnseen(context, picture);
  if (picture.layers.cameras) drawViews(context, picture);
  drawBlocks(context, picture);
  if (picture.layers.labels) drawAreaNames(context, picture);
  drawMarks(context, picture);
  if (picture.layers.trails) drawTrails(context, picture);
  if (picture.layers.cameras) drawCameras(context, picture);
  drawMeasure(context, picture);
  drawScale(context, height, picture);
}

function outline(stay: Stay): Path2D {
  let path = outlines.get(stay);
  if (!path) {
    path = new Path2D();
    stay.ring.forEach(([x, y], index) => (index ? path?.lineTo(x, y) : path?.moveTo(x, y)));
    path.closePath();
    outlines.set(stay, path);
  }
  return path;
}

/** From here on, the canvas is in metres of the floor; `restore` ends it. */
function inMetres(context: CanvasRenderingContext2D, { scale, x, y }: View): void {
  context.save();
  context.transform(scale, 0, 0, -scale, x, y);
}

function drawAreas(context: CanvasRenderingContext2D, { bay, view, theme }: Picture): void {
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

/** Names of areas, each in a corner of it where no block's own label lies, if there is one. */
function drawAreaNames(context: CanvasRenderingContext2D, { bay, view, theme, standing }: Picture): void {
  context.font = SMALL_FONT;
  const labels = standing.map((stay) => toCanvas(view, stay.centre));
  for (const area of bay.areas) {
    const [left, top] = toCanvas(view, [area.x[0], area.y[1]]);
    const [right, bottom] = toCanvas(view, [area.x[1], area.y[0]]);
    const width = context.measureText(area.name).width;
    if (width + 6 > right - left || bottom - top < 18) continue;
    const corners: Point[] = [
      [left + 3, top + 3],
      [right - width - 3, top + 3],
      [left + 3, bottom - 15],
      [right - width - 3, bottom - 15],
    ];
    const free = ([x, y]: Point): boolean =>
      !labels.some((at) => at[0] > x - 18 && at[0] < x + width + 18 && at[1] > y - 8 && at[1] < y + 20);
    const [x, y] = corners.find(free) ?? (corners[0] as Point);
    label(context, theme, area.name, x, y, { colour: theme.muted, font: SMALL_FONT, centred: false });
  }
}

function hatch(context: CanvasRenderingContext2D, colour: string): CanvasPattern | string {
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

function drawUnseen(context: CanvasRenderingContext2D, { unseen, view, theme }: Picture): void {
  context.fillStyle = hatch(context, theme.hatch);
  for (const rings of unseen) {
    context.beginPath();
    for (const ring of rings) {
      ring.forEach((point, index) => {
        const [x, y] = toCanvas(view, point);
        if (index) context.lineTo(x, y);
        else context.moveTo(x, y);
      });
      context.closePath();
    }
    context.globalAlpha = 0.7;
    context.fill("evenodd");
    context.globalAlpha = 1;
  }
}

function drawViews(context: CanvasRenderingContext2D, { bay, view, theme, cameras }: Picture): void {
  for (const camera of bay.cameras) {
    if (!camera.view.length) continue;
    const down = cameras.get(camera.name)?.down ?? false;
    context.beginPath();
    camera.view.forEach((point, index) => {
      const [x, y] = toCanvas(view, point);
      if (index) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.closePath();
    context.setLineDash(down ? [2, 5] : [6, 4]);
    context.strokeStyle = down ? theme.alarm : theme.muted;
    context.globalAlpha = down ? 0.7 : 0.25;
    context.lineWidth = 1;
    context.stroke();
    context.globalAlpha = 1;
    context.setLineDash([]);
  }
}

function drawBlocks(context: CanvasRenderingContext2D, picture: Picture): void {
  const { view, theme, colours } = picture;
  const px = 1 / view.scale;
  inMetres(context, view);
  for (const stay of picture.standing) {
    const path = outline(stay);
    const dim = !picture.shown(stay);
    const selected = stay.track === picture.selected;
    context.globalAlpha = dim ? 0.12 : picture.stale ? 0.45 : 0.78;
    context.fillStyle = colourOf(colours, stay.stage);
    context.fill(path);
    context.globalAlpha = dim ? 0.25 : 1;
    const doubtful = doubt(stay, picture.moment);
    context.strokeStyle = selected ? theme.accent : theme.text;
    context.lineWidth = (selected ? 4 : stay.track === picture.hovered ? 2.5 : 1.25) * px;
    context.setLineDash(doubtful ? [5 * px, 4 * px] : []);
    context.stroke(path);
  }
  context.restore();
  context.globalAlpha = 1;
  context.setLineDash([]);
}

const SIGNS = { unobserved: "", missed: "?", moved: "↗", unsure: "±" } as const;

/** What lies over the blocks, in pixels: hatching of what nobody sees now, signs and labels. */
function drawMarks(context: CanvasRenderingContext2D, picture: Picture): void {
  const { view, theme } = picture;
  for (const stay of picture.standing) {
    if (!picture.shown(stay)) continue;
    const doubtful = doubt(stay, picture.moment);
    if (doubtful === "unobserved") fillRing(context, view, stay.ring, hatch(context, theme.text));
    const wide = Math.min(stay.box[2] - stay.box[0], stay.box[3] - stay.box[1]) * view.scale;
    const selected = stay.track === picture.selected;
    if (!selected && (!picture.layers.labels || wide < LEAST_LABEL_PX)) continue;
    const name = picture.names.get(stay.track) ?? short(stay.track);
    const [x, y] = toCanvas(view, stay.centre);
    label(context, theme, `${name}${doubtful ? ` ${SIGNS[doubtful]}` : ""}`, x, y);
  }
}

function fillRing(
  context: CanvasRenderingContext2D,
  view: View,
  ring: Ring,
  style: CanvasPattern | string,
): void {
  context.beginPath();
  for (const point of ring) context.lineTo(...toCanvas(view, point));
  context.closePath();
  context.fillStyle = style;
  context.globalAlpha = 0.55;
  context.fill();
  context.globalAlpha = 1;
}

/** A text with a halo, centred on (x, y), or with its top left corner there. */
function label(
  context: CanvasRenderingContext2D,
  theme: Theme,
  text: string,
  x: number,
  y: number,
  { colour = theme.text, font = FONT, centred = true } = {},
): void {
  const ratio = window.devicePixelRatio || 1;
  const image = drawnLabel(text, font, colour, theme.dark ? "#000000" : "#ffffff", ratio);
  const [width, height] = [image.width / ratio, image.height / ratio];
  const left = centred ? x - width / 2 : x - HALO_PX;
  const top = centred ? y - height / 2 : y - HALO_PX;
  // On whole pixels, or the text is blurred.
  context.drawImage(image, Math.round(left * ratio) / ratio, Math.round(top * ratio) / ratio, width, height);
}

/** Labels are drawn once: the halo of five hundred of them takes longer than a frame of a scrub may. */
function drawnLabel(text: string, font: string, colour: string, halo: string, ratio: number): HTMLCanvasElement {
  const key = `${ratio}|${font}|${colour}|${halo}|${text}`;
  const known = drawnLabels.get(key);
  if (known) return known;
  if (drawnLabels.size >= MOST_LABELS) drawnLabels.clear();
  const made = document.createElement("canvas");
  const brush = made.getContext("2d");
  if (brush) {
    brush.font = font;
    const line = parseInt(font, 10) + 2;
    made.width = Math.ceil((brush.measureText(text).width + 2 * HALO_PX) * ratio);
    made.height = Math.ceil((line + 2 * HALO_PX) * ratio);
    brush.scale(ratio, ratio);
    brush.font = font; // a canvas that changes its size forgets it
    brush.textBaseline = "middle";
    brush.lineWidth = 3;
    brush.lineJoin = "round";
    brush.strokeStyle = halo;
    brush.globalAlpha = 0.85;
    brush.strokeText(text, HALO_PX, made.height / ratio / 2);
    brush.globalAlpha = 1;
    brush.fillStyle = colour;
    brush.fillText(text, HALO_PX, made.height / ratio / 2);
  }
  drawnLabels.set(key, made);
  return made;
}

/** Where blocks of the last hour came from: a ghost of the old place and an arrow to the new one. */
function drawTrails(context: CanvasRenderingContext2D, { trails, moment, view, theme, selected }: Picture): void {
  context.strokeStyle = context.fillStyle = theme.accent;
  for (const { track, from, to, at } of trails) {
    const recent = moment - at >= 0 && moment - at < TRAIL_MS;
    if (at > moment || !(recent || track === selected)) continue;
    context.globalAlpha = recent ? 0.9 : 0.5;
    context.lineWidth = 1.5;
    context.setLineDash([3, 3]);
    context.beginPath();
    for (const point of from.ring) context.lineTo(...toCanvas(view, point));
    context.closePath();
    context.stroke();
    context.setLineDash([]);
    arrow(context, toCanvas(view, from.centre), toCanvas(view, to.centre));
  }
  context.globalAlpha = 1;
}

function arrow(context: CanvasRenderingContext2D, [x1, y1]: Point, [x2, y2]: Point): void {
  const direction = Math.atan2(y2 - y1, x2 - x1);
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
  context.beginPath();
  context.moveTo(x2, y2);
  for (const turn of [-0.4, 0.4]) {
    context.lineTo(x2 - 11 * Math.cos(direction + turn), y2 - 11 * Math.sin(direction + turn));
  }
  context.closePath();
  context.fill();
}

function drawCameras(context: CanvasRenderingContext2D, { bay, view, theme, cameras }: Picture): void {
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const camera of bay.cameras) {
    if (camera.x === null || camera.y === null) continue;
    const [x, y] = toCanvas(view, [camera.x, camera.y]);
    const state = cameras.get(camera.name);
    const failing = Boolean(state?.failures_in_a_row);
    const turn = ((camera.pan ?? 0) * Math.PI) / 180;
    context.fillStyle = failing ? theme.alarm : theme.text;
    context.save();
    context.translate(x, y);
    context.rotate(turn);
    context.beginPath();
    context.moveTo(0, 3);
    context.lineTo(-6, -8);
    context.lineTo(6, -8);
    context.closePath();
    context.fill();
    context.restore();
    context.fillText(failing ? `${camera.name} ✕` : camera.name, x, y + (camera.y > bay.height / 2 ? -10 : 11));
  }
}

function drawMeasure(context: CanvasRenderingContext2D, { measured, view, theme }: Picture): void {
  const [first, second] = measured;
  if (!first) return;
  const from = toCanvas(view, first);
  context.fillStyle = context.strokeStyle = theme.accent;
  context.beginPath();
  context.arc(...from, 4, 0, 2 * Math.PI);
  context.fill();
  if (!second) return;
  const to = toCanvas(view, second);
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  const metres = Math.hypot(second[0] - first[0], second[1] - first[1]);
  label(context, theme, `${metres.toFixed(2)} m`, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2 - 10);
}

/** A bar of a round number of metres at the bottom left. */
function drawScale(context: CanvasRenderingContext2D, height: number, { view, theme }: Picture): void {
  const metres = [1, 2, 5, 10, 20, 50, 100].find((length) => length * view.scale >= 60) ?? 100;
  const y = height - 10;
  context.fillStyle = theme.text;
  context.fillRect(10, y, metres * view.scale, 3);
  context.font = FONT;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.fillText(`${metres} m`, 10, y - 2);
}
