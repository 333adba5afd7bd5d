/** Texts with a halo, drawn once each: the halo of five hundred of them takes longer than a frame of a scrub may. */
import type { Theme } from "./colours";
import type { Box, Piece } from "./scene";

export const FONT = "12px system-ui, 'Noto Sans KR', sans-serif";
export const SMALL_FONT = FONT.replace("12px", "11px");
const MOST_LABELS = 4000;
const HALO_PX = 2;
const drawn = new Map<string, HTMLCanvasElement>();

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
): Piece {
  const ratio = window.devicePixelRatio || 1;
  const image = picture(text, font, colour, theme.dark ? "#000000" : "#ffffff", ratio);
  const [width, height] = [image.width / ratio, image.height / ratio];
  // On whole pixels, or the text is blurred.
  const left = Math.round((centred ? x - width / 2 : x - HALO_PX) * ratio) / ratio;
  const top = Math.round((centred ? y - height / 2 : y - HALO_PX) * ratio) / ratio;
  const box: Box = { left, top, right: left + width, bottom: top + height };
  return { box, draw: (context) => context.drawImage(image, left, top, width, height) };
}

function picture(text: string, font: string, colour: string, halo: string, ratio: number): HTMLCanvasElement {
  const key = `${ratio}|${font}|${colour}|${halo}|${text}`;
  const known = drawn.get(key);
  if (known) return known;
  if (drawn.size >= MOST_LABELS) drawn.clear();
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
  drawn.set(key, made);
  return made;
}
