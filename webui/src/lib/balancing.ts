// Balancing as people read it: gains and prices in parts of a full node, and the events of moves.

import type { Happening } from "./types";

const UNIT = 1_000_000; // of a full node
const MUST = 1_000 * UNIT; // worth any price

/** "2.5 %": how much of a full node something is worth. */
export function worth(millionths: number): string {
  if (millionths >= MUST / 2) return "a must";
  const percent = millionths / (UNIT / 100);
  return `${percent.toFixed(percent < 10 ? 1 : 0).replace(/\.0$/, "")} %`;
}

/** Whether an event says that something was moved to balance the nodes, or was asked to be. */
export function isOfBalancing(event: Happening): boolean {
  if (event.kind === "cluster") return ["rebalancing", "balanced"].includes(event.action);
  return (
    event.kind === "container" &&
    ["rebalancing", "relocating"].includes(event.action) &&
    event.why.includes("to balance the nodes")
  );
}
