/** What the page asks for, kept until it changes. */
import { useCallback, useEffect, useRef, useState } from "react";

import { ApiError } from "./api";

export interface Loaded<Value> {
  value: Value | undefined;
  error: Error | undefined;
  loading: boolean;
  again: () => void;
}

/** Answers that another part of the page starts from, such as the bays that Home has shown already. */
const kept = new Map<string, unknown>();

/**
 * Ask when the key changes, and again every `everyMs`. While a new key is loading, the value of the one before stays.
 * Without a key nothing is asked.
 *
 * @param keepAs the answer is kept under this name, and what is kept under it is shown until the first answer.
 */
export function useLoaded<Value>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<Value>,
  everyMs = 0,
  keepAs?: string,
): Loaded<Value> {
  const [state, setState] = useState<{ value?: Value; error?: Error; loading: boolean }>(() => ({
    ...(keepAs !== undefined && kept.has(keepAs) && { value: kept.get(keepAs) as Value }),
    loading: key !== null,
  }));
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const again = useCallback(() => setRound((count) => count + 1), []);
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    setState((before) => ({ ...(before.value !== undefined && { value: before.value }), loading: true }));
    latest.current(stop.signal).then(
      (value) => {
        if (keepAs !== undefined) kept.set(keepAs, value);
        setState({ value, loading: false });
      },
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const known = error instanceof Error ? error : new Error(String(error));
        setState((before) => ({
          ...(before.value !== undefined && !(known instanceof ApiError) && { value: before.value }),
          error: known,
          loading: false,
        }));
      },
    );
    return () => stop.abort();
  }, [key, round, keepAs]);
  useEffect(() => {
    if (!everyMs || key === null) return;
    const timer = window.setInterval(() => document.visibilityState === "visible" && again(), everyMs);
    return () => window.clearInterval(timer);
  }, [key, everyMs, again]);
  return { value: state.value, error: state.error, loading: state.loading, again };
}
