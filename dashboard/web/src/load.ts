/** What the page asks for, kept until it changes. */
import { useCallback, useEffect, useRef, useState } from "react";

import { ApiError } from "./api";

export interface Loaded<Value> {
  value: Value | undefined;
  error: Error | undefined;
  loading: boolean;
  again: () => void;
}

/**
 * Ask when the key changes, and again every `everyMs`. While a new key is loading, the value of the one before stays.
 * Without a key nothing is asked.
 */
export function useLoaded<Value>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<Value>,
  everyMs = 0,
): Loaded<Value> {
  const [state, setState] = useState<{ value?: Value; error?: Error; loading: boolean }>({ loading: key !== null });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const again = useCallback(() => setRound((count) => count + 1), []);
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    setState((before) => ({ ...(before.value !== undefined && { value: before.value }), loading: true }));
    latest.current(stop.signal).then(
      (value) => setState({ value, loading: false }),
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
  }, [key, round]);
  useEffect(() => {
    if (!everyMs || key === null) return;
    const timer = window.setInterval(() => document.visibilityState === "visible" && again(), everyMs);
    return () => window.clearInterval(timer);
  }, [key, everyMs, again]);
  return { value: state.value, error: state.error, loading: state.loading, again };
}
