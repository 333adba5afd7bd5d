/** Days and hours of a bay's own clock. Moments are milliseconds since 1970. */

export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;

const cache = new Map<string, Intl.DateTimeFormat>();

function formatter(locale: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify([locale, zone, options]);
  let found = cache.get(key);
  if (!found) cache.set(key, (found = new Intl.DateTimeFormat(locale, { timeZone: zone, ...options })));
  return found;
}

/** How far a zone's clock is ahead of UTC at a moment, milliseconds. */
function offset(moment: number, zone: string): number {
  const parts = formatter("en-US", zone, {
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(moment);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  const shown = Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
  return shown - Math.floor(moment / 1000) * 1000;
}

/** The date of a moment by the zone's clock: 2026-07-02. */
export function dateOf(moment: number, zone: string): string {
  return new Date(moment + offset(moment, zone)).toISOString().slice(0, 10);
}

/** Begin and end of a date by the zone's clock; 23 to 25 hours where clocks are changed. */
export function dayOf(date: string, zone: string): [number, number] {
  const noon = Date.parse(`${date}T12:00:00Z`);
  return [midnight(noon, zone), midnight(noon + DAY, zone)];
}

function midnight(noon: number, zone: string): number {
  const wanted = Math.floor(noon / DAY) * DAY;
  const guess = wanted - offset(wanted, zone);
  return wanted - offset(guess, zone);
}

export function clock(moment: number, zone: string, locale: string): string {
  return formatter(locale, zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(moment);
}

export function dateAndClock(moment: number, zone: string, locale: string): string {
  // In English, 2026-07-02 08:10 is read the same on both sides of the ocean; Swedish writes it so.
  return formatter(locale === "en" ? "sv" : locale, zone, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(moment);
}

/** A moment as the API reads it. */
export function iso(moment: number): string {
  return new Date(moment).toISOString();
}
