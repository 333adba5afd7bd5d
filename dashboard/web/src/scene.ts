/** A canvas of which only what has changed is drawn again. */

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Something that is drawn, and where on the canvas it lies. The same object in two frames is the same picture. */
export interface Piece {
  box: Box;
  draw: (context: CanvasRenderingContext2D) => void;
}

export type Brush = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** A picture that is drawn once; sizes are pixels of the device. */
export function bitmap(width: number, height: number, draw: (brush: OffscreenCanvasRenderingContext2D) => void): ImageBitmap {
  const canvas = new OffscreenCanvas(Math.max(1, width), Math.max(1, height));
  const brush = canvas.getContext("2d");
  if (brush) draw(brush);
  return canvas.transferToImageBitmap();
}

/** More boxes than this cost more than the whole. */
const MOST_BOXES = 80;

export class Scene {
  private before: readonly Piece[] = [];

  /**
   * Draw the pieces in their order over a ground that covers the canvas.
   *
   * What overlaps a piece that came or went is drawn again, cut to that piece's box, so that the picture is the
   * same as if everything had been drawn.
   *
   * @param whole draw everything: the ground has changed, or the canvas was emptied.
   * @returns how many pieces came and went.
   */
  draw(
    context: CanvasRenderingContext2D,
    ground: ImageBitmap,
    pieces: readonly Piece[],
    ratio: number,
    whole: boolean,
  ): number {
    const { width, height } = ground;
    const changed = difference(this.before, pieces);
    this.before = pieces;
    const boxes = whole ? [] : merged(changed.map((piece) => onPixels(piece.box, ratio, width, height)));
    if (whole || boxes.length > MOST_BOXES) {
      paint(context, ground, pieces, ratio, { left: 0, top: 0, right: width, bottom: height });
    } else {
      for (const box of boxes) paint(context, ground, pieces, ratio, box);
    }
    return changed.length;
  }
}

/** Pieces that are in one of two frames alone. */
function difference(before: readonly Piece[], after: readonly Piece[]): Piece[] {
  const [old, young] = [new Set(before), new Set(after)];
  return [...after.filter((piece) => !old.has(piece)), ...before.filter((piece) => !young.has(piece))];
}

/** A box in pixels of the device: whole ones, or its edge would be drawn over what is there. */
function onPixels({ left, top, right, bottom }: Box, ratio: number, width: number, height: number): Box {
  return {
    left: Math.max(0, Math.floor(left * ratio)),
    top: Math.max(0, Math.floor(top * ratio)),
    right: Math.min(width, Math.ceil(right * ratio)),
    bottom: Math.min(height, Math.ceil(bottom * ratio)),
  };
}

/**
 * Boxes that cover the same, some of them joined. Those that overlap may stay apart: each is drawn whole. To join all
 * that touch would cover half of a dense floor.
 */
export function merged(boxes: readonly Box[]): Box[] {
  const found: Box[] = [];
  for (let box of boxes) {
    if (box.left >= box.right || box.top >= box.bottom) continue;
    for (let index = 0; index < found.length; index += 1) {
      const other = found[index] as Box;
      const both = around(box, other);
      if (area(both) > area(box) + area(other)) continue;
      box = both;
      found.splice(index, 1);
      index = -1; // what has grown may go with one that was passed
    }
    found.push(box);
  }
  return found;
}

function around(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

function area({ left, top, right, bottom }: Box): number {
  return (right - left) * (bottom - top);
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function paint(
  context: CanvasRenderingContext2D,
  ground: ImageBitmap,
  pieces: readonly Piece[],
  ratio: number,
  box: Box,
): void {
  const { left, top } = box;
  const [width, height] = [box.right - left, box.bottom - top];
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.drawImage(ground, left, top, width, height, left, top, width, height);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const inside = { left: left / ratio, top: top / ratio, right: box.right / ratio, bottom: box.bottom / ratio };
  for (const piece of pieces) if (overlap(piece.box, inside)) piece.draw(context);
  context.restore();
}
