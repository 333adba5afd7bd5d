/** What the REST API answers (dashboard/api/models.py). */
import type { Fact } from "./facts";

export type Point = [number, number];
export type Ring = Point[];

export interface BaySummary {
  bay_id: string;
  description: string;
  timezone: string;
  newest_slot: string | null;
  age_s: number | null;
  slot_s: number | null;
  closed: string | null;
  blocks: number;
  cameras: number;
  cameras_failed: string[];
  events_last_hour: number;
  slots_missing: number;
  alerts: number;
}

export interface AlertRow {
  fingerprint: string;
  name: string;
  severity: string;
  bay_id: string | null;
  summary: string;
  labels: Record<string, string>;
  runbook: string;
  since: string;
  until: string | null;
  seen: string | null;
  unsure: boolean;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  may_acknowledge: boolean;
}

export interface MuteRow {
  mute_id: string;
  bay_id: string | null;
  kind: string | null;
  made_at: string;
  until: string;
  author: string;
  reason: string;
  may_end: boolean;
}

export interface AlertList {
  bay_id: string;
  alerts: AlertRow[];
  mutes: MuteRow[];
}

export interface BayList {
  bays: BaySummary[];
  faults: { bay_id: string; fault: string }[];
}

export interface Area {
  name: string;
  x: [number, number];
  y: [number, number];
  kind: "work" | "turn_over" | "aisle";
}

export interface CameraView {
  name: string;
  x: number | null;
  y: number | null;
  z: number | null;
  pan: number | null;
  fusion: boolean;
  view: Ring;
}

export interface BayDetail {
  bay_id: string;
  description: string;
  timezone: string;
  width: number;
  height: number;
  areas: Area[];
  cameras: CameraView[];
  writable: boolean;
  newest_slot: string | null;
  slot_s: number | null;
  simulated: boolean;
}

export interface StayRow {
  track_id: string;
  since: string;
  until: string | null;
  standing_since: string;
  last_seen: string;
  sightings: number;
  status: string;
  class_name: string;
  area: string;
  stage: string | null;
  height_m: number;
  position_std_m: number;
  confidence: number;
  footprint: Ring;
  name: string | null;
  continues: string | null;
  seen_stage: string | null;
}

export interface StayList {
  bay_id: string;
  start: string;
  end: string;
  newest_slot: string | null;
  stays: StayRow[];
}

export interface BayEvent {
  key: string;
  slot: string;
  time: string;
  kind: string;
  track_id: string;
  from_area: string | null;
  to_area: string | null;
  from_stage: string | null;
  to_stage: string | null;
  others: string[];
  details: Record<string, unknown>;
  name: string | null;
  judgement: "confirmed" | "rejected" | null;
  comments: number;
}

export interface EventList {
  events: BayEvent[];
  next_cursor: string | null;
}

export interface GapList {
  gaps: { slot: string; outcome: string; reason: string }[];
  next_cursor: string | null;
}

export interface UnseenFloor {
  slot: string;
  known: boolean;
  reason: string;
  unseen: Ring[][];
  cameras: string[];
  missing_cameras: string[];
  out_of_pose: string[];
}

export interface CameraState {
  name: string;
  last_frame: string | null;
  failing_since: string | null;
  failures_in_a_row: number;
  reason: string;
  frames: number;
  failures: number;
  down: boolean;
}

export interface CameraList {
  cameras: CameraState[];
}

export interface FrameObject {
  class_name: string;
  confidence: number;
  box: [number, number, number, number];
  outline: Ring;
  stage: string | null;
}

export interface FusedBox {
  class_name: string;
  area: string | null;
  stage: string | null;
  foot: Ring;
  top: Ring;
  saw: string;
  work: Record<string, number>;
  confidence: number;
  centre: Point;
}

export interface SlotFrame {
  camera: string;
  captured_at: string | null;
  width: number | null;
  height: number | null;
  failure: string;
  out_of_pose: boolean;
  objects: FrameObject[];
  blocks: FusedBox[];
}

export interface FrameList {
  slot: string;
  frames: SlotFrame[];
}

export interface Report {
  start: string;
  end: string;
  made_at: string;
  known_until: string | null;
  counts: Record<string, number>;
  dwell: { area: string; stage: string | null; blocks: number; hours: number; longest_hours: number }[];
  missing: { slot: string; outcome: string; reason: string }[];
}

export interface Health {
  checked_at: string;
  checks: { name: string; state: "ok" | "warning" | "failed" | "unknown"; detail: string; facts: Fact[] }[];
  cameras: {
    name: string;
    state: "ok" | "failing" | "down" | "unknown";
    last_frame: string | null;
    failing_since: string | null;
    failures: number;
    frames: number;
    reason: string;
    detail: string;
    advice: string;
    latency_s: number | null;
    median_latency_s: number | null;
    brightness: number | null;
    dark: boolean;
    clock_offset_s: number | null;
    clock_wrong: boolean;
    out_of_pose: boolean | null;
  }[];
  queues: {
    queue: string;
    waiting: number;
    oldest_s: number | null;
    running: number;
    deferred: number;
    unclaimed: number;
    triggerers: number;
  }[];
}

export interface PoseList {
  batches: string[];
  cameras: {
    camera: string;
    verdict: "ok" | "out of pose" | "undecided";
    reason: string;
    blocks: number;
    residual_px: number | null;
    angle_deg: number | null;
    pan_deg: number | null;
    tilt_deg: number | null;
    roll_deg: number | null;
  }[];
}

export interface ReviewRow {
  review_id: string;
  made_at: string;
  author: string;
  kind: "confirmed" | "rejected" | "comment" | "name" | "same" | "stage";
  track_id: string;
  at: string;
  event_kind: string | null;
  value: string;
  comment: string;
  cameras: string[];
}

export interface ReviewList {
  reviews: ReviewRow[];
  next_cursor: string | null;
}

export interface Rightness {
  name: string;
  confirmed: number;
  rejected: number;
}

export interface ReviewFigures {
  events: number;
  kinds: Rightness[];
  cameras: Rightness[];
}

export interface BlockCrop {
  slot: string;
  camera: string;
  box: [number, number, number, number];
}

export interface CropList {
  crops: BlockCrop[];
}

export interface CalendarDay {
  date: string;
  due: number;
  missing: number;
  outcomes: Record<string, number>;
}

export interface CalendarList {
  days: CalendarDay[];
}

export interface BayFile {
  bay_id: string;
  name: string;
  text: string;
}

export interface CheckedFile {
  faults: string[];
  diff: string;
  width: number;
  height: number;
  areas: Area[];
  cameras: CameraView[];
  text: string;
}

export interface CalibratedCamera {
  camera: string;
  values: { name: string; value: number; std: number | null; held: string }[];
  points: { name: string; pixels: number; floor_cm: number; unseen_cm: number | null; left_out: boolean }[];
  rms_px: number;
  rms_cm: number;
  unseen_cm: number | null;
  floor_std_cm: number;
  doubts: string[];
  notes: string[];
  diff: string;
  text: string;
}

export type CameraWord = "seen" | "missed" | "not needed" | "in view" | "no frame" | "out of pose";

export interface BlockWhy {
  slot: string;
  doubt: string;
  cameras: { camera: string; says: CameraWord }[];
  fused: {
    class_name: string;
    stage: string | null;
    confidence: number;
    stage_confidence: number;
    position_std_m: number;
    height_std_m: number;
    work: Record<string, number>;
  } | null;
  tracked: {
    status: string;
    probability: number;
    sightings: number;
    misses: number;
    missed_since: string | null;
    not_before: string | null;
    stage_readings: number;
    against: { of: "class" | "area" | "stage" | "work"; value: string; count: number; weight: number; since: string }[];
    events: {
      kind: string;
      time: string;
      probability: number;
      alternatives: { what: string; probability: number }[];
      reason: string;
    }[];
  } | null;
}
