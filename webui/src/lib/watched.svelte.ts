// Something from the API that is loaded again when an event concerns it.

import { untrack } from "svelte";
import { Problem } from "./api";
import { live } from "./live.svelte";
import type { Happening } from "./types";

const TOGETHER_MS = 250; // events come in bursts: one question answers them all
const SHARE = 10; // a page asks for at most a tenth of the time: what is slow is asked for rarely
const AGAIN_MS = 3_000;

export interface Watched<T> {
  readonly value: T | undefined;
  readonly problem: unknown;
  reload(): Promise<void>;
}

/** Whether asking again may help, without anything being changed. */
function mayPass(problem: unknown): boolean {
  return (
    problem instanceof Problem &&
    (problem.status === 0 || problem.status === 429 || problem.status >= 500)
  );
}

/**
 * For the life of a component. `load` is called anew when what it reads changes. `share`: asked for
 * at most one part in so many of the time.
 */
export function watched<T>(
  load: () => Promise<T>,
  concerns: (event: Happening) => boolean,
  share = SHARE,
): Watched<T> {
  let value = $state.raw<T>();
  let problem = $state.raw<unknown>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = 0;
  let isAsking = false;
  let isStale = false;
  let tookMs = 0;

  async function settle(loading: Promise<T>): Promise<void> {
    const mine = ++asked;
    isAsking = true;
    const beganMs = performance.now();
    try {
      const got = await loading;
      if (mine !== asked) return;
      value = got;
      problem = undefined;
    } catch (error) {
      if (mine !== asked) return;
      // A server that is away is said once, above the page; what is known stays to be seen.
      const isAway = error instanceof Problem && error.status === 0;
      if (error instanceof Problem && error.status === 404) value = undefined;
      if (!isAway || value === undefined) problem = error;
    }
    isAsking = false;
    tookMs = performance.now() - beganMs;
    if (isStale) soon();
  }

  function soon(afterMs = Math.max(TOGETHER_MS, tookMs * share)): void {
    isStale = true;
    if (timer !== undefined || isAsking) return;
    timer = setTimeout(() => {
      timer = undefined;
      isStale = false;
      void settle(load());
    }, afterMs);
  }

  $effect(() => {
    const loading = load();
    void untrack(() => settle(loading));
    return () => {
      asked++;
      isAsking = false;
    };
  });
  $effect(() => {
    const leave = live.subscribe((event) => {
      if (event === null || concerns(event)) soon();
    });
    return () => {
      leave();
      clearTimeout(timer);
    };
  });
  $effect(() => {
    // A failure that passes: the connection is there, and this was not answered.
    if (mayPass(problem) && live.status === "live") {
      const again = setTimeout(() => soon(0), AGAIN_MS);
      return () => clearTimeout(again);
    }
    return undefined;
  });

  return {
    get value() {
      return value;
    },
    get problem() {
      return problem;
    },
    reload: () => settle(load()),
  };
}
