/** The page's place in its address: bay, page, time, block, camera. Links into it go on working. */
import { useCallback } from "react";
import { useSearchParams } from "react-router-dom";

export type Place = "bay" | "page" | "at" | "track" | "camera";

export function usePlace(): [(name: Place) => string | null, (changes: Partial<Record<Place, string | null>>) => void] {
  const [query, setQuery] = useSearchParams();
  const change = useCallback(
    (changes: Partial<Record<Place, string | null>>) =>
      setQuery(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changes)) {
            if (value) after.set(name, value);
            else after.delete(name);
          }
          return after;
        },
        { replace: true },
      ),
    [setQuery],
  );
  return [(name) => query.get(name), change];
}
