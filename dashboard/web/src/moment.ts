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
const REST_MS = 250;

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
