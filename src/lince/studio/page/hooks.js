// Hooks that several pages use: events that show a component anew, and values that are kept in this browser.

import { useEffect, useReducer, useRef, useState } from "./vendor/preact.js";

/** Show the component anew at each of the events `names` of `target`. */
export function useEvents(target, ...names) {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    for (const name of names) target.addEventListener(name, again);
    return () => names.forEach((name) => target.removeEventListener(name, again));
  }, [target]);
}

/** Return a value and a function that sets it; it is kept in this browser under `name`. */
export function useStored(name, first) {
  const [value, setValue] = useState(() => localStorage.getItem(name) ?? first);
  const store = (next) => {
    localStorage.setItem(name, next);
    setValue(next);
  };
  return [value, store];
}

/** Return a reference that always holds the newest `value`, for listeners that are added once. */
export function useLatest(value) {
  const kept = useRef(value);
  kept.current = value;
  return kept;
}
