/** A camera's frame to click points in, to the tenth of a pixel: wheel zooms, drag moves, arrows move the chosen point. */
import { useEffect, useRef, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";

import type { Translate } from "./i18n";
import { Tool } from "./Icon";
import type { ClickedPoint } from "./points";

interface Props {
  frame: HTMLImageElement;
  points: readonly ClickedPoint[];
  chosen: number;
  label: string;
  onAdd: (u: number, v: number) => void;
  onChoose: (index: number) => void;
  onMove: (du: number, dv: number) => void;
  t: Translate;
}

interface View {
  scale: number;
  x: number;
  y: number;
}

const NEAR_PX = 9;
const DRAG_PX = 4;
const STEP_PX = 0.1;

export function ClickingCanvas(props: Props): ReactNode {
  const { frame, points, chosen, t } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<View | null>(null);
  const drag = useRef<{ x: number; y: number; from: View; moved: boolean } | null>(null);

  const paint = (): void => {
    const element = canvas.current;
    if (!element) return;
    view.current ??= fitted(element, frame);
    draw(element, frame, points, chosen, view.current);
  };
  const latest = useRef(paint);
  latest.current = paint;
  useEffect(() => {
    view.current = null;
  }, [frame]);
  useEffect(() => latest.current());
  useEffect(() => {
    const resized = new ResizeObserver(() => {
      view.current = null;
      latest.current();
    });
    if (canvas.current) resized.observe(canvas.current);
    return () => resized.disconnect();
  }, []);

  const zoom = (factor: number, x: number, y: number): void => {
    const now = view.current;
    if (!now) return;
    const scale = Math.min(20, Math.max(0.05, now.scale * factor));
    const grown = scale / now.scale;
    view.current = { scale, x: x - (x - now.x) * grown, y: y - (y - now.y) * grown };
    paint();
  };
  const zoomMiddle = (factor: number): void =>
    zoom(factor, (canvas.current?.clientWidth ?? 0) / 2, (canvas.current?.clientHeight ?? 0) / 2);
  // The wheel must not scroll the page, which only a listener that is not passive can prevent.
  useEffect(() => {
    const element = canvas.current;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0015), event.offsetX, event.offsetY);
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => element?.removeEventListener("wheel", onWheel);
  });

  const at = (event: PointerEvent): [number, number] => {
    const edge = event.currentTarget.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };
  const onDown = (event: PointerEvent): void => {
    const [x, y] = at(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    if (view.current) drag.current = { x, y, from: view.current, moved: false };
  };
  const onMove = (event: PointerEvent): void => {
    const held = drag.current;
    if (!held) return;
    const [x, y] = at(event);
    if (Math.hypot(x - held.x, y - held.y) > DRAG_PX) held.moved = true;
    if (!held.moved) return;
    view.current = { ...held.from, x: held.from.x + x - held.x, y: held.from.y + y - held.y };
    paint();
  };
  const onUp = (event: PointerEvent): void => {
    const held = drag.current;
    const now = view.current;
    drag.current = null;
    if (!held || held.moved || !now) return;
    const [x, y] = at(event);
    const [u, v] = [(x - now.x) / now.scale, (y - now.y) / now.scale];
    const near = points.findIndex((point) => Math.hypot((point.u - u) * now.scale, (point.v - v) * now.scale) < NEAR_PX);
    if (near >= 0) props.onChoose(near);
    else if (u >= 0 && v >= 0 && u <= frame.naturalWidth && v <= frame.naturalHeight) props.onAdd(u, v);
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = STEP_PX * (event.shiftKey ? 10 : 1);
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    if (event.key === "+" || event.key === "=") zoomMiddle(1.25);
    else if (event.key === "-") zoomMiddle(0.8);
    else if (move && chosen >= 0) props.onMove(...move);
    else return;
    event.preventDefault();
  };

  return (
    <div className="bay-floor bay-clicking">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${props.label} ${t("clickingKeys")}`}
        tabIndex={0}
        style={{ cursor: "crosshair" }}
        onKeyDown={onKey}
        onPointerDown={onDown}
        onPointerMove={onMove}
        onPointerUp={onUp}
        onPointerCancel={() => (drag.current = null)}
      />
      <div className="bay-tools">
        <Tool label={t("zoomIn")} icon="plus" onClick={() => zoomMiddle(1.4)} />
        <Tool label={t("zoomOut")} icon="minus" onClick={() => zoomMiddle(1 / 1.4)} />
        <Tool
          label={t("wholeFrame")}
          icon="fit"
          onClick={() => {
            view.current = null;
            paint();
          }}
        />
      </div>
    </div>
  );
}

function fitted({ clientWidth, clientHeight }: HTMLCanvasElement, frame: HTMLImageElement): View {
  const scale = Math.min(clientWidth / frame.naturalWidth, clientHeight / frame.naturalHeight);
  return {
    scale,
    x: (clientWidth - frame.naturalWidth * scale) / 2,
    y: (clientHeight - frame.naturalHeight * scale) / 2,
  };
}

function draw(
  canvas: HTMLCanvasElement,
  frame: HTMLImageElement,
  points: readonly ClickedPoint[],
  chosen: number,
  { scale, x, y }: View,
): void {
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = "#15191d";
  context.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  context.imageSmoothingEnabled = scale < 3;
  context.drawImage(frame, x, y, frame.naturalWidth * scale, frame.naturalHeight * scale);
  context.font = "13px system-ui, sans-serif";
  points.forEach((point, index) => {
    const [left, top] = [x + point.u * scale, y + point.v * scale];
    for (const [colour, width] of [["#000", 3.5], [index === chosen ? "#ffd23f" : "#35f0a0", 1.5]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      cross(context, left, top);
    }
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.strokeText(point.name, left + 8, top - 8);
    context.fillStyle = "#fff";
    context.fillText(point.name, left + 8, top - 8);
  });
}

/** Four arms with a gap between them: what is clicked on stays visible. */
function cross(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
    context.moveTo(x + 2 * dx, y + 2 * dy);
    context.lineTo(x + 10 * dx, y + 10 * dy);
  }
  context.stroke();
}
