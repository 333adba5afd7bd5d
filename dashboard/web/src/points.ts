/** Points that a person clicked in a frame: their file, and where they are kept until they are done. */
export interface ClickedPoint {
  name: string;
  u: number;
  v: number;
  x: number | null;
  y: number | null;
  z: number | null;
}

const COLUMNS = ["name", "u", "v", "x", "y", "z"] as const;

/** A name that no point has yet. */
export function freeName(points: readonly ClickedPoint[]): string {
  for (let number = points.length + 1; ; number += 1) {
    const name = `P${number}`;
    if (!points.some((point) => point.name === name)) return name;
  }
}

/** Whether every coordinate is there. */
export function complete(points: readonly ClickedPoint[]): boolean {
  return points.every(({ name, x, y, z }) => name.trim() !== "" && x !== null && y !== null && z !== null);
}

/** The file of `bay-observation calibrate --points`. */
export function toCsv(points: readonly ClickedPoint[]): string {
  const rows = points.map((point) => COLUMNS.map((column) => quoted(point[column] ?? "")).join(","));
  return [COLUMNS.join(","), ...rows, ""].join("\n");
}

/** Points of such a file, and of a survey (`name,x,y,z`), whose points have no place in the frame yet. */
export function fromCsv(text: string): { points: ClickedPoint[]; survey: ClickedPoint[] } {
  const [head = "", ...lines] = text.replace(/^\uFEFF/, "").split(/\r?\n/).filter((line) => line.trim());
  const columns = cells(head).map((name) => name.trim());
  if (!columns.includes("x") || !columns.includes("y")) throw new Error(COLUMNS.join(","));
  const found = lines.map((line, index) => {
    const values = new Map(cells(line).map((value, column) => [columns[column], value.trim()]));
    const number = (name: string): number | null => {
      const value = values.get(name);
      if (value === undefined || value === "") return null;
      if (!Number.isFinite(Number(value))) throw new Error(`${name}: ${value}`);
      return Number(value);
    };
    const [u, v] = [number("u"), number("v")];
    const point = { name: values.get("name") || `P${index + 1}`, x: number("x"), y: number("y"), z: number("z") ?? 0 };
    return { ...point, u: u ?? 0, v: v ?? 0, placed: u !== null && v !== null };
  });
  const plain = ({ placed: _, ...point }: (typeof found)[number]): ClickedPoint => point;
  return {
    points: found.filter((point) => point.placed).map(plain),
    survey: found.filter((point) => !point.placed).map(plain),
  };
}

function quoted(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function cells(line: string): string[] {
  const found = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...found].map(([, inQuotes, plain]) => inQuotes?.replaceAll('""', '"') ?? plain ?? "");
}

/** Points that were clicked and not finished, from an earlier visit of this browser. */
export function kept(key: string): ClickedPoint[] {
  try {
    const found: unknown = JSON.parse(window.localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? (found as ClickedPoint[]) : [];
  } catch {
    return [];
  }
}

export function keep(key: string, points: readonly ClickedPoint[]): void {
  window.localStorage.setItem(key, JSON.stringify(points));
}
