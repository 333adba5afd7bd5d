/** The moment that is shown. It changes sixty times a second while a person scrubs: what draws subscribes to it
 * without React, and what is made by React follows when it rests. */
import { useEffect, useState } from "react";

export class Moment {
  private readonly listeners = new Set<(value: number) => void>();

  constructor(private current: number) {}

  get value(): number {
    return this.current;
  }

  set(value: number): void {
    if (value === this.current) return;
    this.current = value;
    for (const listener of this.listeners) listener(value);
  }

  subscribe(listener: (value: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** Longer than a step takes on a busy machine: what React makes must not come between two steps. */
export const REST_MS = 250;

/** Less than a step of *Play* takes. */
const HURRY_MS = 120;

/** Whether steps follow one another faster than a person reads. */
export class Pace {
  private moment = NaN;
  private at = -Infinity;
  private fast = false;

  /** Take a drawing of `moment` at a time (milliseconds): whether it is one of a fast row. */
  step(moment: number, at: number): boolean {
    if (moment !== this.moment) this.fast = at - this.at < HURRY_MS;
    else if (at - this.at >= HURRY_MS) this.fast = false;
    if (moment !== this.moment) this.at = at;
    this.moment = moment;
    return this.fast;
  }
}

/** The moment once it has rested. */
export function useRested(moment: Moment): number {
  const [value, setValue] = useState(moment.value);
  useEffect(() => {
    setValue(moment.value);
    let timer = 0;
    const leave = moment.subscribe((next) => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setValue(next), REST_MS);
    });
    return () => {
      window.clearTimeout(timer);
      leave();
    };
  }, [moment]);
  return value;
}
