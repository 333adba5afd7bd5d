/** The day as a strip: events above, missing slots below, and the slot that is shown. */
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";

import { theme } from "./colours";
import type { Translate } from "./i18n";
import { Icon, Tool } from "./Icon";
import { useRested, type Moment } from "./moment";
import { clock, dateAndClock } from "./times";
import type { BayEvent } from "./types";

interface Props {
  start: number;
  end: number;
  slot: number;
  last: number;
  zone: string;
  locale: string;
  moment: Moment;
  events: readonly BayEvent[];
  gaps: ReadonlySet<number>;
  t: Translate;
}

const PLAY_MS = 200;
const HOUR = 3_600_000;
/** So far the canvas of the mark reaches over either end of the day: at midnight half of the mark lies outside. */
const OVER_PX = 8;

export function Timeline(props: Props): ReactNode {
  const { start, end, slot, moment, t, zone, locale } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const clockText = useRef<HTMLCanvasElement>(null);
  const mark = useRef<HTMLCanvasElement>(null);
  const [playing, setPlaying] = useState(false);
  const rested = useRested(moment);
  const times = useMemo(
    () => [...new Set(props.events.map((event) => Date.parse(event.time)))].sort((a, b) => a - b),
    [props.events],
  );
  const counts = useMemo(() => countBySlot(props), [props.events, slot, start]);
  const go = (to: number): void => {
    const snapped = start + Math.round((to - start) / slot) * slot;
    moment.set(Math.min(Math.max(snapped, start), Math.min(props.last, end - slot)));
  };

  useEffect(() => {
    const paint = (): void => drawDay(canvas.current, props, counts);
    paint();
    const resized = new ResizeObserver(paint);
    if (canvas.current) resized.observe(canvas.current);
    const dark = new MutationObserver(paint);
    dark.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    return () => {
      resized.disconnect();
      dark.disconnect();
    };
  });
  // A step of a scrub moves the mark and writes the time. Both are drawn: with an element that moves or changes its text,
  // the browser lays out and layers the whole page once more, which takes a sixth of the step.
  useEffect(() => {
    const [above, beside] = [new Surface(mark.current), new Surface(clockText.current)];
    const show = (): void => {
      above.draw((brush, width) => drawMark(brush, OVER_PX + ((moment.value - start) / (end - start)) * (width - 2 * OVER_PX)));
      beside.draw((brush, _, height) => brush.fillText(dateAndClock(moment.value, zone, locale), 0, height / 2));
    };
    const refresh = (): void => {
      above.measure();
      beside.measure();
      show();
    };
    refresh();
    const resized = new ResizeObserver(refresh);
    for (const element of [mark.current, clockText.current]) if (element) resized.observe(element);
    const dark = new MutationObserver(refresh);
    dark.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    const leave = moment.subscribe(show);
    return () => {
      leave();
      resized.disconnect();
      dark.disconnect();
    };
  }, [moment, start, end, zone, locale]);
  useEffect(() => {
    if (!playing) return;
    const timer = window.setInterval(() => {
      if (moment.value + slot > Math.min(props.last, end - slot)) setPlaying(false);
      else moment.set(moment.value + slot);
    }, PLAY_MS);
    return () => window.clearInterval(timer);
  }, [playing, moment, slot, end, props.last]);

  const onPointer = (event: PointerEvent): void => {
    if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
    else if (!event.buttons) return;
    const edge = event.currentTarget.getBoundingClientRect();
    go(start + ((event.clientX - edge.left) / edge.width) * (end - start));
  };
  const onKey = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = {
      ArrowLeft: moment.value - slot,
      ArrowDown: moment.value - slot,
      ArrowRight: moment.value + slot,
      ArrowUp: moment.value + slot,
      PageDown: moment.value - HOUR,
      PageUp: moment.value + HOUR,
      Home: start,
      End: end,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  };
  const before = times.filter((time) => time < moment.value).at(-1);
  const after = times.find((time) => time > rested);

  return (
    <div className="bay-time bay-noprint">
      <button type="button" aria-pressed={playing} onClick={() => setPlaying(!playing)}>
        <Icon name={playing ? "pause" : "play"} /> {t(playing ? "pause" : "play")}
      </button>
      <Tool label={t("previousEvent")} icon="first" disabled={before === undefined} onClick={() => go(before ?? start)} />
      <Tool label={t("previousSlot")} icon="back" onClick={() => go(moment.value - slot)} />
      <Tool label={t("nextSlot")} icon="forward" onClick={() => go(moment.value + slot)} />
      <Tool label={t("nextEvent")} icon="last" disabled={after === undefined} onClick={() => go(after ?? end)} />
      <button type="button" onClick={() => go(props.last)}>
        {t("now")}
      </button>
      <canvas className="bay-now" ref={clockText} aria-hidden="true" />
      <div
        className="bay-track"
        role="slider"
        tabIndex={0}
        aria-label={t("timeline")}
        aria-valuemin={0}
        aria-valuemax={Math.max(1, Math.round((end - start) / slot) - 1)}
        aria-valuenow={Math.round((rested - start) / slot)}
        aria-valuetext={dateAndClock(rested, zone, locale)}
        onPointerDown={onPointer}
        onPointerMove={onPointer}
        onKeyDown={onKey}
      >
        <canvas ref={canvas} aria-hidden="true" />
        <canvas className="bay-mark" ref={mark} aria-hidden="true" />
      </div>
    </div>
  );
}

/** A canvas in its element's font and colour, which are looked up when something about them may have changed. */
class Surface {
  private width = 0;
  private height = 0;

  constructor(private readonly element: HTMLCanvasElement | null) {}

  measure(): void {
    const context = this.element?.getContext("2d");
    if (!this.element || !context) return;
    const { clientWidth, clientHeight } = this.element;
    // Not `font`: it is empty where a part of it, as tabular numbers, cannot be said in one line.
    const { fontWeight, fontSize, fontFamily, color } = getComputedStyle(this.element);
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [clientWidth, clientHeight];
    this.element.width = Math.round(clientWidth * ratio);
    this.element.height = Math.round(clientHeight * ratio);
    context.scale(ratio, ratio);
    context.font = `${fontWeight} ${fontSize} ${fontFamily}`;
    context.fillStyle = color;
    context.textBaseline = "middle";
  }

  draw(what: (brush: CanvasRenderingContext2D, width: number, height: number) => void): void {
    const context = this.element?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, this.width, this.height);
    what(context, this.width, this.height);
  }
}

function drawMark(brush: CanvasRenderingContext2D, x: number): void {
  brush.beginPath();
  brush.arc(x, 8, 5, 0, 2 * Math.PI);
  brush.fill();
  brush.fillRect(x - 1.5, 3, 3, 33);
}

/** The day without the mark of the slot that is shown. */
function drawDay(element: HTMLCanvasElement | null, props: Props, counts: ReadonlyMap<number, number>): void {
  const context = element?.getContext("2d");
  if (!element || !context) return;
  const { start, end, slot, zone, locale, last, gaps } = props;
  const { clientWidth: width, clientHeight: height } = element;
  const ratio = window.devicePixelRatio || 1;
  element.width = Math.round(width * ratio);
  element.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  const colours = theme();
  const x = (time: number): number => ((time - start) / (end - start)) * width;
  context.fillStyle = colours.outside;
  context.fillRect(0, 14, width, 18);
  context.fillStyle = colours.floor;
  context.fillRect(0, 14, x(Math.min(last + slot, end)), 18);
  context.fillStyle = colours.alarm;
  for (const gap of gaps) context.fillRect(x(gap), 26, Math.max(1, x(gap + slot) - x(gap)), 6);
  context.fillStyle = colours.accent;
  drawEvents(context, counts, slot, x);
  context.fillStyle = colours.muted;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "bottom";
  const every = width < 500 ? 6 : width < 900 ? 3 : 2;
  for (let hour = 0, time = start; time < end; time += HOUR, hour += 1) {
    context.fillRect(x(time), 32, 1, hour % every ? 3 : 5);
    if (hour % every === 0) context.fillText(clock(time, zone, locale), x(time) + 2, height);
  }
  context.strokeStyle = colours.line;
  context.strokeRect(0.5, 14.5, width - 1, 17);
}

/** How much happened in each slot. */
function countBySlot({ events, slot, start }: Props): Map<number, number> {
  const counts = new Map<number, number>();
  for (const event of events) {
    const at = start + Math.floor((Date.parse(event.time) - start) / slot) * slot;
    counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  return counts;
}

function drawEvents(
  context: CanvasRenderingContext2D,
  counts: ReadonlyMap<number, number>,
  slot: number,
  x: (time: number) => number,
): void {
  const most = Math.max(1, ...counts.values());
  for (const [at, count] of counts) {
    const tall = 3 + (9 * count) / most;
    context.fillRect(x(at), 26 - tall, Math.max(2, x(at + slot) - x(at) - 1), tall);
  }
}
