/**
 * Blocks drawn once each, for a scrub. To lay down five hundred small pictures takes half as long as to fill their
 * outlines, whose edges are smoothed each time; to make one takes as long as to fill ten. So they are made while the page
 * rests, and a block without its sprite is drawn as it is without a scrub.
 */
import type { Stay } from "./day";
import { toCanvas, type View } from "./geometry";
import { bitmap, type Brush } from "./ground";

/** Four bytes each. Blocks hardly lie on one another: those of one slot have fewer pixels than the floor. */
const MOST_PIXELS = 24e6;
/** Half of a line of four pixels, and its corners. */
const EDGE_PX = 5;
/** A floor that is moved about is not worth sprites yet. */
const REST_MS = 250;
/** Of a browser that does not say when it is idle. */
const AT_ONCE_MS = 4;

/** A block in a look, and how to draw it where it lies. */
export interface Wanted {
  stay: Stay;
  look: string;
  draw: (brush: Brush) => void;
}

type Looks = Map<string, ImageBitmap>;

export class Sprites {
  private byPlace = new Map<string, Looks>();
  private byStay = new WeakMap<Stay, Looks>();
  private room = MOST_PIXELS;
  private stop = (): void => undefined;

  constructor(
    private readonly view: View,
    private readonly ratio: number,
  ) {}

  /** Lay down a block in a look; false where its sprite is not made. */
  draw(context: Brush, stay: Stay, look: string): boolean {
    const sprite = this.looksOf(stay).get(look);
    if (!sprite) return false;
    const { ratio } = this;
    const [left, top] = this.edges(stay);
    context.drawImage(sprite, left / ratio, top / ratio, sprite.width / ratio, sprite.height / ratio);
    return true;
  }

  /** Make what is not made yet, the first ones first, once the page rests. */
  prepare(wanted: () => Wanted[]): void {
    this.stop();
    const timer = window.setTimeout(() => {
      if (this.room <= 0) this.clear();
      const todo = wanted().filter(({ stay, look }) => !this.looksOf(stay).has(look));
      const work = (leftMs: () => number): void => {
        while (todo.length && this.room > 0 && leftMs() > 1) this.make(todo.shift() as Wanted);
        if (todo.length && this.room > 0) this.stop = whenIdle(work);
      };
      this.stop = whenIdle(work);
    }, REST_MS);
    this.stop = () => window.clearTimeout(timer);
  }

  /** Make no more. */
  close(): void {
    this.stop();
  }

  private make({ stay, look, draw }: Wanted): void {
    const [left, top, right, bottom] = this.edges(stay);
    const [width, height] = [right - left, bottom - top];
    this.room -= width * height;
    if (this.room <= 0) return;
    const made = bitmap(width, height, (brush) => {
      brush.setTransform(this.ratio, 0, 0, this.ratio, -left, -top);
      draw(brush);
    });
    this.looksOf(stay).set(look, made);
  }

  /** A block that stood there before in the same look, perhaps of the answer before this one, has the same sprite. */
  private looksOf(stay: Stay): Looks {
    let looks = this.byStay.get(stay);
    if (!looks) {
      const place = JSON.stringify(stay.ring);
      looks = this.byPlace.get(place) ?? new Map<string, ImageBitmap>();
      this.byPlace.set(place, looks);
      this.byStay.set(stay, looks);
    }
    return looks;
  }

  /** Left, top, right and bottom in whole pixels of the device: between them a sprite would be blurred. */
  private edges({ box }: Stay): [number, number, number, number] {
    const [left, top] = toCanvas(this.view, [box[0], box[3]]);
    const [right, bottom] = toCanvas(this.view, [box[2], box[1]]);
    const { ratio } = this;
    return [
      Math.floor((left - EDGE_PX) * ratio),
      Math.floor((top - EDGE_PX) * ratio),
      Math.ceil((right + EDGE_PX) * ratio),
      Math.ceil((bottom + EDGE_PX) * ratio),
    ];
  }

  private clear(): void {
    this.byPlace = new Map();
    this.byStay = new WeakMap();
    this.room = MOST_PIXELS;
  }
}

/** Call `work` with a clock of the time that is left; returns how to stop it. */
function whenIdle(work: (leftMs: () => number) => void): () => void {
  if ("requestIdleCallback" in window) {
    const handle = window.requestIdleCallback((deadline) => work(() => deadline.timeRemaining()));
    return () => window.cancelIdleCallback(handle);
  }
  const timer = setTimeout(() => {
    const began = performance.now();
    work(() => AT_ONCE_MS - (performance.now() - began));
  }, AT_ONCE_MS);
  return () => clearTimeout(timer);
}
