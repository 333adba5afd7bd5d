/** The floor's areas, drawn with the pointer or typed. What is drawn becomes a change of the bay's file. */
import { useRef, useState, type PointerEvent, type ReactNode } from "react";

import { send } from "./api";
import { NumberField } from "./CalibratePage";
import { useLanguage, type Translate } from "./i18n";
import { useLoaded } from "./load";
import { Failure, Note } from "./Notes";
import { Table } from "./Table";
import type { Area, BayDetail, CheckedFile, Point } from "./types";

interface Props {
  bay: BayDetail;
  /** The file's text as it is in the editor. */
  text: string;
  onText: (text: string) => void;
}

/** What is drawn lies on half metres; finer numbers are typed. */
const GRID_M = 0.5;
const KINDS = ["work", "turn_over", "aisle"] as const;

export function AreasPage({ bay, text, onText }: Props): ReactNode {
  const { t } = useLanguage();
  const file = useLoaded(text, () => send<CheckedFile>(`bays/${bay.bay_id}/file/check`, { text }));
  if (file.error) return <Failure error={file.error} again={file.again} t={t} />;
  if (!file.value) return <p role="status">{t("loading")}</p>;
  if (file.value.faults.length) return <Faults faults={file.value.faults} />;
  return <Editor bay={bay} file={file.value} text={text} onText={onText} />;
}

function Editor({ bay, file, text, onText }: Props & { file: CheckedFile }): ReactNode {
  const { t } = useLanguage();
  const [areas, setAreas] = useState<Area[]>(file.areas);
  const [chosen, setChosen] = useState(-1);
  const [faults, setFaults] = useState<string[]>([]);
  const set = (index: number, changes: Partial<Area>): void =>
    setAreas(areas.map((area, at) => (at === index ? { ...area, ...changes } : area)));
  const propose = (): void => {
    send<CheckedFile>(`bays/${bay.bay_id}/areas/check`, { text, areas }).then(
      (found) => {
        setFaults(found.faults);
        if (!found.faults.length) onText(found.text);
      },
      (reason: unknown) => setFaults([reason instanceof Error ? reason.message : String(reason)]),
    );
  };
  return (
    <>
      <p className="bay-muted">{t("areasHint")}</p>
      <Drawing width={file.width} height={file.height} areas={areas} chosen={chosen} onChoose={setChosen} t={t}
        onDraw={(x, y) => {
          setAreas([...areas, { name: freeArea(areas), x, y, kind: "work" }]);
          setChosen(areas.length);
        }} />
      <div className="bay-row">
        <button type="button" onClick={() => {
          setAreas([...areas, { name: freeArea(areas), x: [0, 1], y: [0, 1], kind: "work" }]);
          setChosen(areas.length);
        }}>
          {t("addArea")}
        </button>
        <button type="button" onClick={() => setAreas(file.areas)}>
          {t("asItIs")}
        </button>
        <button type="button" onClick={propose}>
          {t("takeIntoFile")}
        </button>
      </div>
      {faults.length > 0 && <Faults faults={faults} />}
      <Table
        name={t("areas")}
        columns={[t("name"), "x, m", "", "y, m", " ", t("areaKind"), t("remove")]}
        rows={areas.map((area, index) => {
          const edge = (axis: "x" | "y", end: 0 | 1): ReactNode => (
            <NumberField
              key={`${axis}${end}`}
              label={`${axis} ${end + 1}, ${area.name}`}
              value={area[axis][end]}
              onFocus={() => setChosen(index)}
              onValue={(value) => {
                const span: Point = [...area[axis]];
                span[end] = value ?? 0;
                set(index, { [axis]: span });
              }}
            />
          );
          return [
            <input key="name" type="text" size={8} maxLength={96} aria-label={`${t("name")}, ${area.name}`} value={area.name}
              onFocus={() => setChosen(index)} onChange={(event) => set(index, { name: event.target.value })} />,
            edge("x", 0),
            edge("x", 1),
            edge("y", 0),
            edge("y", 1),
            <select key="kind" aria-label={`${t("areaKind")}, ${area.name}`} value={area.kind}
              onChange={(event) => set(index, { kind: event.target.value as Area["kind"] })}>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {t(`ar_${kind}`)}
                </option>
              ))}
            </select>,
            <button key="remove" type="button" aria-label={`${t("remove")}, ${area.name}`}
              onClick={() => setAreas(areas.filter((_, at) => at !== index))}>
              ✕
            </button>,
          ];
        })}
      />
    </>
  );
}

export function Faults({ faults }: { faults: readonly string[] }): ReactNode {
  return (
    <Note bad>
      <ul className="bay-said">
        {faults.map((fault, index) => (
          <li key={index}>{fault}</li>
        ))}
      </ul>
    </Note>
  );
}

interface DrawingProps {
  width: number;
  height: number;
  areas: readonly Area[];
  chosen: number;
  onChoose: (index: number) => void;
  onDraw: (x: Point, y: Point) => void;
  t: Translate;
}

/** The floor; a rectangle that is pulled on it is a new area, a click chooses one. */
function Drawing({ width, height, areas, chosen, onChoose, onDraw, t }: DrawingProps): ReactNode {
  const svg = useRef<SVGSVGElement>(null);
  const [pulled, setPulled] = useState<{ from: Point; to: Point } | null>(null);
  const up = (y: number): number => height - y;
  const at = (event: PointerEvent): Point | null => {
    const matrix = svg.current?.getScreenCTM();
    if (!matrix) return null;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return [snapped(point.x, width), snapped(up(point.y), height)];
  };
  const onDown = (event: PointerEvent): void => {
    const from = at(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    if (from) setPulled({ from, to: from });
  };
  const onMove = (event: PointerEvent): void => {
    const to = at(event);
    if (pulled && to) setPulled({ ...pulled, to });
  };
  const onUp = (): void => {
    if (!pulled) return;
    const [x, y] = spans(pulled);
    setPulled(null);
    if (x[0] < x[1] && y[0] < y[1]) onDraw(x, y);
    else onChoose(smallest(areas, pulled.from));
  };
  const drawn = pulled && spans(pulled);
  return (
    <svg
      ref={svg}
      className="bay-preview bay-drawing"
      viewBox={`-2 -2 ${width + 4} ${height + 4}`}
      role="img"
      aria-label={t("areasDrawing")}
      onPointerDown={onDown}
      onPointerMove={onMove}
      onPointerUp={onUp}
      onPointerCancel={() => setPulled(null)}
    >
      <rect x={0} y={0} width={width} height={height} className="bay-preview-floor" />
      {areas.map((area, index) => (
        <g key={index}>
          <rect
            className={`bay-preview-area${area.kind === "work" ? "" : " bay-preview-other"}${index === chosen ? " bay-preview-chosen" : ""}`}
            x={area.x[0]}
            y={up(area.y[1])}
            width={Math.max(0, area.x[1] - area.x[0])}
            height={Math.max(0, area.y[1] - area.y[0])}
          />
          <text x={area.x[0] + 0.6} y={up(area.y[1]) + 2.4}>
            {area.name}
          </text>
        </g>
      ))}
      {drawn && (
        <rect
          className="bay-preview-area bay-preview-chosen"
          x={drawn[0][0]}
          y={up(drawn[1][1])}
          width={drawn[0][1] - drawn[0][0]}
          height={drawn[1][1] - drawn[1][0]}
        />
      )}
    </svg>
  );
}

/** On the grid, and on the floor. */
export function snapped(value: number, most: number): number {
  return Math.min(most, Math.max(0, Math.round(value / GRID_M) * GRID_M));
}

export function spans({ from, to }: { from: Point; to: Point }): [Point, Point] {
  return [
    [Math.min(from[0], to[0]), Math.max(from[0], to[0])],
    [Math.min(from[1], to[1]), Math.max(from[1], to[1])],
  ];
}

/** Index of the area that names what stands at a place; -1 where none does. */
function smallest(areas: readonly Area[], place: Point): number {
  const size = ({ x, y }: Area): number => (x[1] - x[0]) * (y[1] - y[0]);
  const holding = areas.filter((area) => holds(area, place)).sort((a, b) => size(a) - size(b));
  return holding[0] ? areas.indexOf(holding[0]) : -1;
}

function holds({ x, y }: Area, [px, py]: Point): boolean {
  return x[0] <= px && px <= x[1] && y[0] <= py && py <= y[1];
}

function freeArea(areas: readonly Area[]): string {
  for (let number = 1; ; number += 1) {
    if (!areas.some((area) => area.name === `NEW${number}`)) return `NEW${number}`;
  }
}
