/** The floor on a canvas, as pieces: a step of a scrub draws those again that changed. */
import { colourOf, type Theme } from "./colours";
import { doubt, short, type Stay, type Trail } from "./day";
import { toCanvas, type View } from "./geometry";
import { drawGround, hatch, trace } from "./ground";
import { FONT, label, SMALL_FONT, textWidth } from "./labels";
import { bitmap, Scene, type Box, type Piece } from "./scene";
import type { Area, BayDetail, CameraState, CameraView, Point, Ring } from "./types";

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
const ARROW_PX = 12;
const CAMERA_PX = 40;
const SIGNS = { unobserved: "", missed: "?", moved: "↗", unsure: "±" } as const;
const DOUBTS = [null, "unobserved", "missed", "moved", "unsure"] as const;
const outlines = new WeakMap<Stay, Path2D>();

type Doubt = (typeof DOUBTS)[number];

/**
 * Draws floors, one after the other, on two canvases that lie one over the other.
 *
 * The lower one has what stands still for most of a day: ground, blocks, labels, cameras. Of it a step draws again what
 * changed. Arrows reach across half the floor: the upper one has them alone.
 */
export class Painter {
  private readonly scene = new Scene();
  private ground: ImageBitmap | null = null;
  private setting: readonly unknown[] = [];
  private known = new WeakMap<object, Map<number, Piece>>();
  private cameras: readonly Piece[] = [];
  private moved: readonly Piece[] = [];

  /** Draw a picture; returns how many pieces came and went since the one before. */
  paint(lower: HTMLCanvasElement, upper: HTMLCanvasElement, picture: Picture): number {
    const { clientWidth: width, clientHeight: height } = lower;
    const ratio = window.devicePixelRatio || 1;
    const { bay, view, theme, colours, layers, unseen, cameras, names, shown, stale } = picture;
    const setting = [width, height, ratio, bay, view, theme, colours, layers, unseen, cameras, names, shown, stale];
    const whole = setting.some((value, index) => value !== this.setting[index]);
    const [below, above] = [lower.getContext("2d", { alpha: false }), upper.getContext("2d")];
    if (!below || !above) return 0;
    if (whole || !this.ground) {
      this.setting = setting;
      this.known = new WeakMap();
      this.cameras = layers.cameras ? cameraPieces(picture) : [];
      for (const canvas of [lower, upper]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      this.ground?.close();
      this.ground = bitmap(lower.width, lower.height, (brush) => {
        brush.scale(ratio, ratio);
        drawGround(brush, width, height, picture);
      });
    }
    const moves = this.moves(picture);
    if (whole || moves.length !== this.moved.length || moves.some((piece, index) => piece !== this.moved[index])) {
      this.moved = moves;
      above.setTransform(ratio, 0, 0, ratio, 0, 0);
      above.clearRect(0, 0, width, height);
      for (const piece of moves) piece.draw(above);
    }
    return this.scene.draw(below, this.ground, this.pieces(picture), ratio, whole);
  }

  private pieces(picture: Picture): Piece[] {
    const { layers, standing, bay } = picture;
    const bodies: Piece[] = [];
    const marks: Piece[] = [];
    for (const stay of standing) {
      const look = lookOf(stay, picture);
      bodies.push(this.piece(stay, look.number, () => body(stay, look, picture)));
      const shown = picture.shown(stay) && (look.selected || (layers.labels && across(stay, picture.view) >= LEAST_LABEL_PX));
      if (shown) marks.push(this.piece(stay, 1000 + look.number, () => mark(stay, look, picture)));
    }
    if (layers.labels) {
      const taken = standing.map((stay) => toCanvas(picture.view, stay.centre));
      for (const area of bay.areas) {
        const corner = freeCorner(area, picture.view, taken);
        if (corner >= 0) bodies.push(this.piece(area, corner, () => areaName(area, corner, picture)));
      }
    }
    return [...bodies, ...marks, ...this.cameras];
  }

  /** Arrows of the last hour and of the block that is selected, and what is measured. */
  private moves(picture: Picture): Piece[] {
    const { moment, selected } = picture;
    const found: Piece[] = [];
    for (const trail of picture.layers.trails ? picture.trails : []) {
      const recent = moment >= trail.at && moment - trail.at < TRAIL_MS;
      if (!recent && (trail.track !== selected || trail.at > moment)) continue;
      found.push(this.piece(trail, Number(recent), () => trailPiece(trail, recent, picture)));
    }
    return [...found, ...measurePieces(picture)];
  }

  /** The piece of something in one look, made once. */
  private piece(of: object, look: number, make: () => Piece): Piece {
    let looks = this.known.get(of);
    if (!looks) this.known.set(of, (looks = new Map()));
    let piece = looks.get(look);
    if (!piece) looks.set(look, (piece = make()));
    return piece;
  }
}

interface Look {
  doubt: Doubt;
  selected: boolean;
  hovered: boolean;
  /** The same for the same look. */
  number: number;
}

function lookOf(stay: Stay, picture: Picture): Look {
  const found = doubt(stay, picture.moment);
  const selected = stay.track === picture.selected;
  const hovered = stay.track === picture.hovered;
  return { doubt: found, selected, hovered, number: 4 * DOUBTS.indexOf(found) + 2 * Number(selected) + Number(hovered) };
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

/** A block's floor, and its edge in this look. */
function body(stay: Stay, look: Look, { view, theme, colours, shown, stale }: Picture): Piece {
  const path = outline(stay);
  const dim = !shown(stay);
  const px = 1 / view.scale;
  const colour = colourOf(colours, stay.stage);
  const draw = (context: CanvasRenderingContext2D): void => {
    context.save();
    context.transform(view.scale, 0, 0, -view.scale, view.x, view.y); // in metres of the floor
    context.globalAlpha = dim ? 0.12 : stale ? 0.45 : 0.78;
    context.fillStyle = colour;
    context.fill(path);
    context.globalAlpha = dim ? 0.25 : 1;
    context.strokeStyle = look.selected ? theme.accent : theme.text;
    context.lineWidth = (look.selected ? 4 : look.hovered ? 2.5 : 1.25) * px;
    if (look.doubt) context.setLineDash([5 * px, 4 * px]);
    context.stroke(path);
    context.restore();
    if (look.doubt === "unobserved" && !dim) fillHatched(context, view, stay.ring, hatch(context, theme.text));
  };
  return { box: boxOf(view, [stay.ring], 4), draw };
}

function fillHatched(context: CanvasRenderingContext2D, view: View, ring: Ring, style: CanvasPattern | string): void {
  context.beginPath();
  trace(context, view, ring);
  context.fillStyle = style;
  context.globalAlpha = 0.55;
  context.fill();
  context.globalAlpha = 1;
}

/** A block's number or name, with the sign of its doubt. */
function mark(stay: Stay, look: Look, { view, theme, names }: Picture): Piece {
  const name = names.get(stay.track) ?? short(stay.track);
  const [x, y] = toCanvas(view, stay.centre);
  return label(theme, `${name}${look.doubt ? ` ${SIGNS[look.doubt]}` : ""}`, x, y);
}

function across({ box }: Stay, view: View): number {
  return Math.min(box[2] - box[0], box[3] - box[1]) * view.scale;
}

function cornersOf(area: Area, width: number, view: View): Point[] {
  const [left, top] = toCanvas(view, [area.x[0], area.y[1]]);
  const [right, bottom] = toCanvas(view, [area.x[1], area.y[0]]);
  if (width + 6 > right - left || bottom - top < 18) return [];
  return [
    [left + 3, top + 3],
    [right - width - 3, top + 3],
    [left + 3, bottom - 15],
    [right - width - 3, bottom - 15],
  ];
}

/** Which corner of an area no block's own label lies in; the first where there is none, -1 where no name fits. */
function freeCorner(area: Area, view: View, taken: readonly Point[]): number {
  const width = textWidth(area.name, SMALL_FONT);
  const corners = cornersOf(area, width, view);
  const free = ([x, y]: Point): boolean =>
    !taken.some((at) => at[0] > x - 18 && at[0] < x + width + 18 && at[1] > y - 8 && at[1] < y + 20);
  return corners.length ? Math.max(0, corners.findIndex(free)) : -1;
}

function areaName(area: Area, corner: number, { view, theme }: Picture): Piece {
  const [x, y] = cornersOf(area, textWidth(area.name, SMALL_FONT), view)[corner] as Point;
  return label(theme, area.name, x, y, { colour: theme.muted, font: SMALL_FONT, centred: false });
}

/** Where a block came from: a ghost of the old place and an arrow to the new one. */
function trailPiece({ from, to }: Trail, recent: boolean, { view, theme }: Picture): Piece {
  const [start, end] = [toCanvas(view, from.centre), toCanvas(view, to.centre)];
  const draw = (context: CanvasRenderingContext2D): void => {
    context.strokeStyle = context.fillStyle = theme.accent;
    context.globalAlpha = recent ? 0.9 : 0.5;
    context.lineWidth = 1.5;
    context.setLineDash([3, 3]);
    context.beginPath();
    trace(context, view, from.ring);
    context.stroke();
    context.setLineDash([]);
    arrow(context, start, end);
    context.globalAlpha = 1;
  };
  return { box: boxOf(view, [from.ring, [to.centre]], ARROW_PX), draw };
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

function cameraPieces({ bay, view, theme, cameras }: Picture): Piece[] {
  const placed = bay.cameras.filter((camera) => camera.x !== null && camera.y !== null);
  return placed.map((camera) => cameraPiece(camera, Boolean(cameras.get(camera.name)?.failures_in_a_row), bay, view, theme));
}

function cameraPiece(camera: CameraView, failing: boolean, bay: BayDetail, view: View, theme: Theme): Piece {
  const floor: Point = [camera.x ?? 0, camera.y ?? 0];
  const [x, y] = toCanvas(view, floor);
  const draw = (context: CanvasRenderingContext2D): void => {
    context.fillStyle = failing ? theme.alarm : theme.text;
    context.save();
    context.translate(x, y);
    context.rotate(((camera.pan ?? 0) * Math.PI) / 180);
    context.beginPath();
    context.moveTo(0, 3);
    context.lineTo(-6, -8);
    context.lineTo(6, -8);
    context.closePath();
    context.fill();
    context.restore();
    context.font = FONT;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(failing ? `${camera.name} ✕` : camera.name, x, y + (floor[1] > bay.height / 2 ? -10 : 11));
  };
  return { box: boxOf(view, [[floor]], CAMERA_PX), draw };
}

function measurePieces({ measured, view, theme }: Picture): Piece[] {
  const [first, second] = measured;
  if (!first) return [];
  const from = toCanvas(view, first);
  const to = second && toCanvas(view, second);
  const draw = (context: CanvasRenderingContext2D): void => {
    context.fillStyle = context.strokeStyle = theme.accent;
    context.beginPath();
    context.arc(...from, 4, 0, 2 * Math.PI);
    context.fill();
    if (!to) return;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  };
  const line: Piece = { box: boxOf(view, [second ? [first, second] : [first]], 6), draw };
  if (!second || !to) return [line];
  const metres = Math.hypot(second[0] - first[0], second[1] - first[1]);
  return [line, label(theme, `${metres.toFixed(2)} m`, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2 - 10)];
}

/** The part of the canvas that holds points of the floor, and so many pixels around them. */
function boxOf(view: View, rings: readonly Ring[], around: number): Box {
  const box: Box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const ring of rings) {
    for (const point of ring) {
      const [x, y] = toCanvas(view, point);
      box.left = Math.min(box.left, x - around);
      box.top = Math.min(box.top, y - around);
      box.right = Math.max(box.right, x + around);
      box.bottom = Math.max(box.bottom, y + around);
    }
  }
  return box;
}
