// What the page uses of preact.js, for tsc alone; templates are not looked into.
export const html: (strings: TemplateStringsArray, ...values: any[]) => any;
export function render(what: any, place: Element): void;
export function useState<T>(first: T | (() => T)): [T, (next: T | ((old: T) => T)) => void];
export function useReducer<T>(reduce: (state: T, action: any) => T, first: T): [T, (action?: any) => void];
export function useRef<T = any>(first: T): { current: any };
export function useEffect(act: () => any, causes?: any[]): void;
export function useLayoutEffect(act: () => any, causes?: any[]): void;
