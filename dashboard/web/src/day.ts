/** A day of stays, ready to be drawn at any slot of it. */
import type { Point, Ring, StayRow } from "./types";

export interface Stay {
  id: number;
  track: string;
  since: number;
  until: number;
  standingSince: number;
  lastSeen: number;
  status: string;
  className: string;
  area: string;
  stage: string | null;
  height: number;
  deviation: number;
  confidence: number;
  sightings: number;
  name: string | null;
  continues: string | null;
  seenStage: string | null;
  ring: Ring;
  centre: Point;
  box: [number, number, number, number];
}

export function toStay(row: StayRow, id: number): Stay {
  const xs = row.footprint.map(([x]) => x);
  const ys = row.footprint.map(([, y]) => y);
  const box: Stay["box"] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  return {
    id,
    track: row.track_id,
    since: Date.parse(row.since),
    until: row.until === null ? Infinity : Date.parse(row.until),
    standingSince: Date.parse(row.standing_since),
    lastSeen: Date.parse(row.last_seen),
    status: row.status,
    className: row.class_name,
    area: row.area,
    stage: row.stage,
    height: row.height_m,
    deviation: row.position_std_m,
    confidence: row.confidence,
    sightings: row.sightings,
    name: row.name,
    continues: row.continues,
    seenStage: row.seen_stage,
    ring: row.footprint,
    centre: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
    box,
  };
}

/** What stood at a moment. */
export function standing(stays: readonly Stay[], moment: number): Stay[] {
  return stays.filter((stay) => stay.since <= moment && moment < stay.until);
}

/** Where a block stood before each of its stays: from the end of one place to the begin of the next. */
export interface Trail {
  track: string;
  from: Stay;
  to: Stay;
  at: number;
}

export function trails(stays: readonly Stay[]): Trail[] {
  const found: Trail[] = [];
  const sorted = [...stays].sort((a, b) => (a.track < b.track ? -1 : a.track > b.track ? 1 : a.since - b.since));
  sorted.forEach((to, index) => {
    const from = sorted[index - 1];
    if (from?.track === to.track && to.standingSince > from.standingSince) {
      found.push({ track: to.track, from, to, at: to.since });
    }
  });
  return found;
}

/** The short name of a block: what follows the bay in its id, without zeros in front. */
export function short(track: string): string {
  const number = /(\d+)$/.exec(track)?.[1];
  return number ? `#${Number(number)}` : track;
}

/** Whether a block answers to what a person typed: its number, its id, its given name, its area. */
export function matches(stay: Stay, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return true;
  if (stay.name?.toLowerCase().includes(wanted)) return true;
  if (/^#?\d+$/.test(wanted)) return short(stay.track) === `#${Number(wanted.replace("#", ""))}`;
  return [stay.track, stay.area].some((value) => value.toLowerCase().includes(wanted));
}

/** Why a stay is shown with doubt; null where there is none. */
export function doubt(stay: Stay, moment: number): "unobserved" | "missed" | "moved" | "unsure" | null {
  // The status is that of the stay's latest slot: earlier within it, the block was seen as usual.
  const current = stay.until === Infinity && moment >= stay.lastSeen;
  if (current && (stay.status === "unobserved" || stay.status === "missed" || stay.status === "moved")) {
    return stay.status;
  }
  return stay.deviation > 0.5 ? "unsure" : null;
}
