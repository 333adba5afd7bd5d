/** The floor to look at: drawn without React, moved with pointer, touch and keys. */
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";

import { isDark, theme } from "./colours";
import { short, standing, type Stay, type Trail } from "./day";
import { Painter, type Layers } from "./draw";
import { fit, hit, MARGIN, toFloor, zoom, type View } from "./geometry";
import { word, type Translate } from "./i18n";
import { Tool } from "./Icon";
import { Pace, REST_MS, type Moment } from "./moment";
import type { BayDetail, CameraState, Point, Ring } from "./types";

interface Props {
  bay: BayDetail;
  stays: readonly Stay[];
  trails: readonly Trail[];
  unseen: readonly Ring[][];
  cameras: ReadonlyMap<string, CameraState>;
  names: ReadonlyMap<string, string>;
  colours: Map<string, string>;
  layers: Layers;
  moment: Moment;
  /** Drawn this long before the moment: the other half of a comparison. */
  before?: number;
  shown: (stay: Stay) => boolean;
  selected: string | null;
  stale: boolean;
  label: string;
  view: { current: View | null };
  onSelect: (track: string | null) => void;
  onView: () => void;
  redraw: number;
  t: Translate;
}

const ROOM = MARGIN.top + MARGIN.bottom;
const FIRST = "bay-floor";
const STEP_PX = 60;
const CLICK_PX = 5;

export function FloorCanvas(props: Props): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const frame = useRef(0);
  const rest = useRef(0);
  const [tip, setTip] = useState<{ stay: Stay; x: number; y: number } | null>(null);
  const [measuring, setMeasuring] = useState(false);
  const measured = useRef<Point[]>([]);
  const { t } = props;

  const surface = useMemo(() => {
    const paint = (): void => {
      frame.current = 0;
      const element = canvas.current;
      if (!element) return;
      const { bay, moment, before = 0, view } = latest.current;
      view.current ??= fit(element.clientWidth, element.clientHeight, bay.width, bay.height);
      const at = moment.value - before;
      const hurried = pace.step(at, performance.now());
      window.clearTimeout(rest.current);
      if (hurried) rest.current = window.setTimeout(ask, REST_MS);
      const blocks = painter.paint(element, {
        ...latest.current,
        view: view.current,
        theme: theme(),
        standing: standing(latest.current.stays, at),
        moment: at,
        hovered: hovered.current,
        measured: measured.current,
        hurried,
      });
      // For who measures a scrub: which floor is drawn, and how many blocks stand on it.
      element.dataset.moment = String(at);
      element.dataset.blocks = String(blocks);
      // For who measures how long a person waits for the first floor.
      if (latest.current.stays.length && !performance.getEntriesByName(FIRST).length) performance.mark(FIRST);
    };
    const hovered = { current: null as string | null };
    const painter = new Painter();
    const pace = new Pace();
    const ask = (): number => (frame.current ||= requestAnimationFrame(paint));
    const close = (): void => painter.close();
    return { ask, close, hovered };
  }, []);

  useEffect(() => {
    const leave = props.moment.subscribe(surface.ask);
    const resized = new ResizeObserver(() => {
      latest.current.view.current = null;
      surface.ask();
    });
    if (canvas.current) resized.observe(canvas.current);
    const dark = new MutationObserver(surface.ask);
    dark.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    return () => {
      leave();
      resized.disconnect();
      dark.disconnect();
      window.clearTimeout(rest.current);
      cancelAnimationFrame(frame.current);
      frame.current = 0;
      surface.close();
    };
  }, [props.moment, surface]);
  useEffect(() => {
    surface.ask();
  });

  const change = (made: (view: View, least: number, width: number, height: number) => View): void => {
    const element = canvas.current;
    const view = props.view.current;
    if (!element || !view) return;
    const { clientWidth: width, clientHeight: height } = element;
    const least = fit(width, height, props.bay.width, props.bay.height).scale * 0.8;
    props.view.current = made(view, least, width, height);
    props.onView();
    surface.ask();
  };
  const zoomBy = (factor: number, at?: Point): void =>
    change((view, least, width, height) => zoom(view, factor, at ?? [width / 2, height / 2], least));
  const fitAll = (): void =>
    change((_, __, width, height) => fit(width, height, props.bay.width, props.bay.height));
  const pan = (dx: number, dy: number): void => change((view) => ({ ...view, x: view.x + dx, y: view.y + dy }));

  // The wheel must not scroll the page, which only a listener that is not passive can prevent.
  useEffect(() => {
    const element = canvas.current;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => element?.removeEventListener("wheel", onWheel);
  });

  const pointers = useRef(new Map<number, Point>());
  const travelled = useRef(0);
  const under = (point: Point): Stay | undefined => {
    const { view, moment, before = 0, stays, shown } = latest.current;
    if (!view.current) return undefined;
    return hit(standing(stays, moment.value - before).filter(shown), toFloor(view.current, point));
  };
  const at = (event: PointerEvent): Point => {
    const edge = event.currentTarget.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };
  const onDown = (event: PointerEvent): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, at(event));
    travelled.current = 0;
  };
  const onMove = (event: PointerEvent): void => {
    const point = at(event);
    const last = pointers.current.get(event.pointerId);
    if (!last) {
      const stay = under(point);
      surface.hovered.current = stay?.track ?? null;
      setTip(stay ? { stay, x: point[0], y: point[1] } : null);
      surface.ask();
      return;
    }
    setTip(null);
    const others = [...pointers.current].filter(([id]) => id !== event.pointerId);
    const other = others[0]?.[1];
    pointers.current.set(event.pointerId, point);
    travelled.current += Math.hypot(point[0] - last[0], point[1] - last[1]);
    if (other) {
      const spread = ([x, y]: Point): number => Math.hypot(x - other[0], y - other[1]);
      zoomBy(spread(point) / Math.max(1, spread(last)), [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2]);
    } else if (travelled.current > CLICK_PX) {
      pan(point[0] - last[0], point[1] - last[1]);
    }
  };
  const onUp = (event: PointerEvent): void => {
    const clicked = pointers.current.size === 1 && travelled.current <= CLICK_PX && event.type === "pointerup";
    pointers.current.delete(event.pointerId);
    if (!clicked) return;
    const point = at(event);
    if (measuring && props.view.current) {
      const begun = measured.current.length === 1 ? measured.current : [];
      measured.current = [...begun, toFloor(props.view.current, point)];
      surface.ask();
    } else {
      props.onSelect(under(point)?.track ?? null);
    }
  };
  const stopMeasuring = (): void => {
    measured.current = [];
    setMeasuring(false);
    surface.ask();
  };
  const onKey = (event: KeyboardEvent): void => {
    const moves: Record<string, () => void> = {
      ArrowLeft: () => pan(STEP_PX, 0),
      ArrowRight: () => pan(-STEP_PX, 0),
      ArrowUp: () => pan(0, STEP_PX),
      ArrowDown: () => pan(0, -STEP_PX),
      "+": () => zoomBy(1.25),
      "=": () => zoomBy(1.25),
      "-": () => zoomBy(0.8),
      "0": fitAll,
      Escape: () => (measuring ? stopMeasuring() : props.onSelect(null)),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  };

  return (
    <div className="bay-floor" style={{ paddingBottom: `calc(${Math.min(0.6, props.bay.height / props.bay.width) * 100}% + ${ROOM}px)` }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${props.label} ${t("keys")}`}
        tabIndex={0}
        data-dark={isDark()}
        style={{ cursor: measuring ? "crosshair" : "grab" }}
        onKeyDown={onKey}
        onPointerDown={onDown}
        onPointerMove={onMove}
        onPointerUp={onUp}
        onPointerCancel={onUp}
        onPointerLeave={() => setTip(null)}
      />
      <div className="bay-tools">
        <Tool label={t("zoomIn")} icon="plus" onClick={() => zoomBy(1.4)} />
        <Tool label={t("zoomOut")} icon="minus" onClick={() => zoomBy(1 / 1.4)} />
        <Tool label={t("fit")} icon="fit" onClick={fitAll} />
        <Tool
          label={t("measure")}
          icon="ruler"
          pressed={measuring}
          onClick={() => (measuring ? stopMeasuring() : setMeasuring(true))}
        />
      </div>
      {measuring && (
        <div className="bay-then" role="status">
          {t("measureHint")}
        </div>
      )}
      {tip && (
        <div className="bay-tip" style={{ left: Math.max(4, tip.x - 60), top: tip.y + 18 }}>
          <strong>{tip.stay.name ?? short(tip.stay.track)}</strong> {tip.stay.className} · {tip.stay.area}
          <br />
          {tip.stay.stage ?? t("noStage")} · {word(t, "", tip.stay.status)} · {tip.stay.height.toFixed(1)} m
        </div>
      )}
    </div>
  );
}
