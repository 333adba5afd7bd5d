/** Texts with a halo, drawn once each: the halo of five hundred of them takes longer than a frame of a scrub may. */
import type { Theme } from "./colours";
import { WALL } from "./geometry";
import { bitmap } from "./ground";

export const FONT_PX = WALL ? 22 : 12;
export const FONT = `${FONT_PX}px system-ui, 'Noto Sans KR', sans-serif`;
export const SMALL_FONT = `${WALL ? 18 : 11}px system-ui, 'Noto Sans KR', sans-serif`;
const MOST_LABELS = 4000;
const HALO_PX = 2;
const drawn = new Map<string, ImageBitmap>();

/** A text and where on the canvas it lies. */
export interface Label {
  image: ImageBitmap;
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Look {
  colour?: string;
  font?: string;
  centred?: boolean;
}

/** A text centred on (x, y), or with its top left corner there. */
export function label(
  theme: Theme,
  text: string,
  x: number,
  y: number,
  { colour = theme.text, font = FONT, centred = true }: Look = {},
): Label {
  const ratio = window.devicePixelRatio || 1;
  const image = picture(text, font, colour, theme.dark ? "#000000" : "#ffffff", ratio);
  const [width, height] = [image.width / ratio, image.height / ratio];
  // On whole pixels, or the text is blurred.
  const left = Math.round((centred ? x - width / 2 : x - HALO_PX) * ratio) / ratio;
  const top = Math.round((centred ? y - height / 2 : y - HALO_PX) * ratio) / ratio;
  return { image, left, top, width, height };
}

/** A bitmap, not a canvas: of that the browser makes a copy each time that it is drawn. */
function picture(text: string, font: string, colour: string, halo: string, ratio: number): ImageBitmap {
  const key = `${ratio}|${font}|${colour}|${halo}|${text}`;
  const known = drawn.get(key);
  if (known) return known;
  if (drawn.size >= MOST_LABELS) drawn.clear();
  const line = parseInt(font, 10) + 2;
  const width = Math.ceil((textWidth(text, font) + 2 * HALO_PX) * ratio);
  const height = Math.ceil((line + 2 * HALO_PX) * ratio);
  const made = bitmap(width, height, (brush) => {
    brush.scale(ratio, ratio);
    brush.font = font;
    brush.textBaseline = "middle";
    brush.lineWidth = 3;
    brush.lineJoin = "round";
    brush.strokeStyle = halo;
    brush.globalAlpha = 0.85;
    brush.strokeText(text, HALO_PX, height / ratio / 2);
    brush.globalAlpha = 1;
    brush.fillStyle = colour;
    brush.fillText(text, HALO_PX, height / ratio / 2);
  });
  drawn.set(key, made);
  return made;
}

const widths = new Map<string, number>();
let ruler: OffscreenCanvasRenderingContext2D | null = null;

/** How wide a text is, pixels. */
export function textWidth(text: string, font: string): number {
  const key = `${font}|${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    ruler ??= new OffscreenCanvas(1, 1).getContext("2d");
    if (ruler) ruler.font = font;
    width = ruler?.measureText(text).width ?? 0;
    if (widths.size >= MOST_LABELS) widths.clear();
    widths.set(key, width);
  }
  return width;
}
