/**
 * The floor on a canvas. What stands still for a whole day lies in one picture, the ground; over it lie all blocks, those
 * that look the same in one stroke of the brush, or, in a scrub, each as its sprite. To draw again only what changed is
 * slower where blocks stand close: each place overlaps with dozens of others.
 */
import { colourOf, type Theme } from "./colours";
import { doubt, short, type Stay, type Trail } from "./day";
import { toCanvas, type View } from "./geometry";
import { bitmap, drawGround, hatch, trace, type Brush } from "./ground";
import { FONT, FONT_PX, label, SMALL_FONT, textWidth, type Label } from "./labels";
import { Sprites, type Wanted } from "./sprites";
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
  /** Those of the day. */
  stays: readonly Stay[];
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
  /** The next step is about to come: numbers and names of many blocks wait until a person can read them. */
  hurried: boolean;
}

type Doubt = ReturnType<typeof doubt>;

const LEAST_LABEL_PX = 26;
const TRAIL_MS = 60 * 60_000;
/** The labels of more blocks take longer than there is time for between two steps of a scrub. */
const MOST_HURRIED = 150;
const SIGNS = { unobserved: "", missed: "?", moved: "↗", unsure: "±" } as const;

interface Look {
  colour: string;
  dim: boolean;
  doubt: Doubt;
  selected: boolean;
  hovered: boolean;
  stale: boolean;
}

/** Blocks that look the same; the key is the look in one word. */
export interface Group extends Look {
  key: string;
  stays: Stay[];
}

/** Draws floors, one after the other, on one canvas. */
export class Painter {
  private ground: ImageBitmap | null = null;
  private setting: readonly unknown[] = [];
  private paths = new WeakMap<Stay, Path2D>();
  private labels = new WeakMap<object, Map<unknown, Label>>();
  private sprites: Sprites | null = null;
  private prepared: readonly unknown[] = [];

  /** Draw a picture; returns how many blocks it has. */
  paint(canvas: HTMLCanvasElement, picture: Picture): number {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    const { bay, view, theme, layers, unseen, cameras, names, standing } = picture;
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) return 0;
    const setting = [width, height, ratio, bay, view, theme, layers, unseen, cameras, names];
    if (!this.ground || differ(setting, this.setting)) {
      this.prepare(canvas, picture, ratio);
      this.setting = setting;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.ground) context.drawImage(this.ground, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const group of groups(picture)) this.drawGroup(context, group, picture);
    if (!picture.hurried) this.prepareSprites(picture);
    if (layers.labels) this.drawAreaNames(context, picture);
    this.drawLabels(context, picture);
    if (layers.cameras) drawCameras(context, picture);
    this.drawTrails(context, picture);
    drawMeasured(context, picture);
    return standing.length;
  }

  /** Draw nothing more. */
  close(): void {
    this.sprites?.close();
    this.prepared = [];
  }

  private prepare(canvas: HTMLCanvasElement, picture: Picture, ratio: number): void {
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    this.paths = new WeakMap();
    this.labels = new WeakMap();
    this.ground?.close();
    this.ground = bitmap(canvas.width, canvas.height, (brush) => {
      brush.scale(ratio, ratio);
      drawGround(brush, width, height, picture);
    });
  }

  private drawGroup(context: Brush, group: Group, { view, theme, hurried }: Picture): void {
    const path = new Path2D();
    for (const stay of group.stays) {
      if (!(hurried && this.sprites?.draw(context, stay, group.key))) path.addPath(this.outline(stay, view));
    }
    drawBlocks(context, path, group, theme);
  }

  /** The sprites that a scrub of the day needs, those of the slots close by first. */
  private prepareSprites(picture: Picture): void {
    const { view, theme, stays, shown, stale, moment } = picture;
    const ratio = window.devicePixelRatio || 1;
    const setting = [view, theme, ratio, stays, shown, stale];
    if (!differ(setting, this.prepared)) return;
    if (!this.sprites || differ(setting.slice(0, 3), this.prepared)) {
      this.sprites?.close();
      this.sprites = new Sprites(view, ratio);
    }
    this.prepared = setting;
    const away = (stay: Stay): number => Math.max(stay.since - moment, moment - stay.until, 0);
    this.sprites.prepare(() =>
      [...stays]
        .sort((a, b) => away(a) - away(b))
        .map((stay): Wanted => {
          const look = lookOf(stay, { ...picture, moment: Math.max(stay.since, Math.min(moment, stay.until)) });
          return { stay, look: keyOf(look), draw: (brush) => drawBlocks(brush, this.outline(stay, view), look, theme) };
        }),
    );
  }

  private outline(stay: Stay, view: View): Path2D {
    let path = this.paths.get(stay);
    if (!path) {
      path = new Path2D();
      trace(path, view, stay.ring);
      this.paths.set(stay, path);
    }
    return path;
  }

  /** Numbers or names of blocks, with the sign of their doubt. */
  private drawLabels(context: Brush, { standing, view, theme, names, layers, shown, moment, selected, hurried }: Picture): void {
    const readable = layers.labels && !(hurried && standing.length > MOST_HURRIED);
    for (const stay of standing) {
      const wanted = stay.track === selected || (readable && across(stay, view) >= LEAST_LABEL_PX);
      if (!wanted || !shown(stay)) continue;
      const found = doubt(stay, moment);
      const made = this.label(stay, found, () => {
        const name = names.get(stay.track) ?? short(stay.track);
        return label(theme, `${name}${found ? ` ${SIGNS[found]}` : ""}`, ...toCanvas(view, stay.centre));
      });
      context.drawImage(made.image, made.left, made.top, made.width, made.height);
    }
  }

  private drawAreaNames(context: Brush, { bay, view, theme, standing }: Picture): void {
    const taken = standing.map((stay) => toCanvas(view, stay.centre));
    for (const area of bay.areas) {
      const corner = freeCorner(area, view, taken);
      if (corner < 0) continue;
      const made = this.label(area, corner, () => {
        const [x, y] = cornersOf(area, textWidth(area.name, SMALL_FONT), view)[corner] as Point;
        return label(theme, area.name, x, y, { colour: theme.muted, font: SMALL_FONT, centred: false });
      });
      context.drawImage(made.image, made.left, made.top, made.width, made.height);
    }
  }

  /** Where blocks came from: the old place and an arrow to the new one; of the last hour, and of the selected block. */
  private drawTrails(context: Brush, { trails, layers, moment, selected, view, theme }: Picture): void {
    if (!layers.trails) return;
    context.strokeStyle = context.fillStyle = theme.accent;
    const recent = trails.filter((trail) => moment >= trail.at && moment - trail.at < TRAIL_MS);
    const earlier = trails.filter((trail) => trail.track === selected && moment - trail.at >= TRAIL_MS);
    this.drawMoves(context, recent, 0.9, view);
    this.drawMoves(context, earlier, 0.5, view);
    context.globalAlpha = 1;
  }

  /** Their lines one by one: edges that cross the whole floor in one path take several times as long. */
  private drawMoves(context: Brush, moves: readonly Trail[], opacity: number, view: View): void {
    if (!moves.length) return;
    const places = new Path2D();
    context.globalAlpha = opacity;
    context.lineWidth = 2;
    for (const { from, to } of moves) {
      places.addPath(this.outline(from, view));
      drawArrow(context, toCanvas(view, from.centre), toCanvas(view, to.centre));
    }
    context.lineWidth = 1;
    context.stroke(places);
  }

  /** The label of something in one look, made once. */
  private label(of: object, look: unknown, make: () => Label): Label {
    let looks = this.labels.get(of);
    if (!looks) this.labels.set(of, (looks = new Map()));
    let made = looks.get(look);
    if (!made) looks.set(look, (made = make()));
    return made;
  }
}

/** Blocks that look the same, in one stroke. */
function drawBlocks(context: Brush, path: Path2D, look: Look, theme: Theme): void {
  context.globalAlpha = look.dim ? 0.12 : look.stale ? 0.45 : 0.78;
  context.fillStyle = look.colour;
  context.fill(path);
  context.globalAlpha = look.dim ? 0.25 : 1;
  context.strokeStyle = look.selected ? theme.accent : theme.text;
  // A line of one pixel is drawn several times as fast as a wider one.
  context.lineWidth = look.selected ? 4 : look.hovered ? 2.5 : 1;
  if (look.doubt) context.setLineDash([5, 4]);
  context.stroke(path);
  context.setLineDash([]);
  if (look.doubt === "unobserved" && !look.dim) {
    context.fillStyle = hatch(context, theme.text);
    context.globalAlpha = 0.55;
    context.fill(path);
  }
  context.globalAlpha = 1;
}

function lookOf(stay: Stay, { colours, shown, moment, selected, hovered, stale }: Picture): Look {
  return {
    colour: colourOf(colours, stay.stage),
    dim: !shown(stay),
    doubt: doubt(stay, moment),
    selected: stay.track === selected,
    hovered: stay.track === hovered,
    stale,
  };
}

function keyOf({ colour, dim, doubt: why, selected, hovered, stale }: Look): string {
  return `${colour} ${dim} ${why} ${selected} ${hovered} ${stale}`;
}

/** What stands, by how it looks; what is selected or under the pointer comes last, over the others. */
export function groups(picture: Picture): Group[] {
  const found = new Map<string, Group>();
  for (const stay of picture.standing) {
    const look = lookOf(stay, picture);
    const key = keyOf(look);
    const group = found.get(key);
    if (group) group.stays.push(stay);
    else found.set(key, { key, ...look, stays: [stay] });
  }
  const rank = (group: Group): number => 2 * Number(group.selected) + Number(group.hovered) - Number(group.dim);
  return [...found.values()].sort((a, b) => rank(a) - rank(b));
}

function differ(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.some((value, index) => value !== others[index]);
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

function drawArrow(context: Brush, [x1, y1]: Point, [x2, y2]: Point): void {
  const direction = Math.atan2(y2 - y1, x2 - x1);
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

function drawCameras(context: Brush, { bay, view, theme, cameras }: Picture): void {
  for (const camera of bay.cameras) {
    if (camera.x === null || camera.y === null) continue;
    drawCamera(context, camera, [camera.x, camera.y], Boolean(cameras.get(camera.name)?.failures_in_a_row), bay, view, theme);
  }
}

function drawCamera(
  context: Brush,
  camera: CameraView,
  floor: Point,
  failing: boolean,
  bay: BayDetail,
  view: View,
  theme: Theme,
): void {
  const [x, y] = toCanvas(view, floor);
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
  context.fillText(failing ? `${camera.name} ✕` : camera.name, x, y + (floor[1] > bay.height / 2 ? 2 - FONT_PX : FONT_PX - 1));
}

function drawMeasured(context: Brush, { measured, view, theme }: Picture): void {
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
  const made = label(theme, `${metres.toFixed(2)} m`, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2 - 10);
  context.drawImage(made.image, made.left, made.top, made.width, made.height);
}
