// What nodes have used since this page was opened. Kept nowhere else: the server stores none of it.

import type { Measured } from "./types";

const POINTS_MAX = 360; // half an hour

export interface Point {
  s: number;
  cpu: number | null; // thousandths of a core
  memory: number | null; // MiB
}

class History {
  /** The newest of each node, by cluster/name. */
  latest = $state.raw<ReadonlyMap<string, Measured>>(new Map());
  #points = new Map<string, Point[]>();

  take(measured: Measured[]): void {
    const s = Date.now() / 1000;
    const latest = new Map<string, Measured>();
    for (const one of measured) {
      const key = `${one.cluster}/${one.name}`;
      latest.set(key, one);
      const points = this.#points.get(key) ?? [];
      const known = (value: number | undefined) =>
        value === undefined || value < 0 || one.status === "lost" ? null : value;
      points.push({
        s,
        cpu: known(one.usage?.cpu_used_millis),
        memory: known(one.usage?.memory_used_mib),
      });
      if (points.length > POINTS_MAX) points.shift();
      this.#points.set(key, points);
    }
    for (const key of this.#points.keys()) if (!latest.has(key)) this.#points.delete(key);
    this.latest = latest;
  }

  points(key: string): readonly Point[] {
    return this.#points.get(key) ?? [];
  }
}

export const history = new History();
