// A cluster's policy in plain words, as `pfi` and docs/scheduling.md have them.

import { cores, plural, size } from "./format";
import type { Amounts, Cluster, Policy } from "./types";

const PLACEMENT = {
  spread: "All nodes are filled alike: a new container goes where most is left.",
  pack: "The fullest node is filled up first, so that others stay empty.",
};

const PREEMPTION = {
  none: "Nobody has to go for a container of higher priority: it waits.",
  stateless:
    "A container of higher priority that fits nowhere takes the place of STATELESS ones of lower " +
    "priority, as far as their deployments can do without them.",
  all:
    "A container of higher priority that fits nowhere takes the place of any of lower priority, " +
    "STATEFUL ones included, whose root disk is then discarded.",
};

/** 1500 -> "1.5 times". */
export function times(permille: number): string {
  return `${(permille / 1000).toFixed(2).replace(/\.?0+$/, "")} times`;
}

function overcommit({ overcommit: { cpu_permille, memory_permille } }: Policy): string {
  const parts = [
    ...(cpu_permille > 1000 ? [`${times(cpu_permille)} its CPU`] : []),
    ...(memory_permille > 1000 ? [`${times(memory_permille)} its memory`] : []),
  ];
  if (!parts.length) return "Nothing is reserved twice: a node gives away what it has.";
  return (
    `Up to ${parts.join(" and ")} may be reserved on a node, as far as what runs there is ` +
    "measured to leave unused."
  );
}

function amounts(of: Amounts): string {
  return [
    ...(of.cpu_millis ? [`${cores(of.cpu_millis)} CPU`] : []),
    ...(of.memory_mib ? [`${size(of.memory_mib)} memory`] : []),
    ...(of.disk_mib ? [`${size(of.disk_mib)} disk`] : []),
  ].join(", ");
}

function limits({ limits: { memory_percent, containers, stateful } }: Cluster): string {
  const parts = [
    ...(memory_percent ? [`${memory_percent} % of its memory is used`] : []),
    ...(containers ? [`it has ${plural(containers, "container")}`] : []),
    ...(stateful ? [`it has ${plural(stateful, "STATEFUL container")}`] : []),
  ];
  return parts.length ? `A node takes no more once ${parts.join(", or ")}.` : "";
}

export function budget(policy: Policy): string {
  return policy.moves_per_hour
    ? `Up to ${plural(policy.moves_per_hour, "container")} an hour may be moved without anybody ` +
        "asking, from full nodes to emptier ones."
    : "Containers that run are moved only when somebody asks.";
}

/** What each part of the policy means: its name, its value in a word, and a sentence. */
export function sentences(cluster: Cluster): [string, string, string][] {
  const { policy } = cluster;
  const kept = amounts(policy.reserved);
  const { cpu_permille: cpu, memory_permille: memory } = policy.overcommit;
  const lends = [
    ...(cpu > 1000 ? [`CPU ${times(cpu)}`] : []),
    ...(memory > 1000 ? [`memory ${times(memory)}`] : []),
  ];
  const most = limits(cluster);
  return [
    ["Placement", policy.placement, PLACEMENT[policy.placement]],
    ["Over-commit", lends.join(", ") || "none", overcommit(policy)],
    [
      "Reserved",
      kept || "nothing",
      kept
        ? "Kept on each node for the node itself, unless its operator has said what it grants."
        : "All that a node reports is for containers.",
    ],
    ["Preemption", policy.preemption, PREEMPTION[policy.preemption]],
    ["Balancing", policy.moves_per_hour ? `${policy.moves_per_hour} an hour` : "on request", budget(policy)],
    ...(most ? [["Limits", "of each node", most] as [string, string, string]] : []),
  ];
}

/** A policy as people write it, field by field; "": as if it were not there. */
export interface Written {
  placement: Policy["placement"];
  preemption: Policy["preemption"];
  moves_per_hour: number;
  overcommit_cpu: string;
  overcommit_memory: string;
  reserved_cpu: string;
  reserved_memory: string;
  reserved_disk: string;
  quota_cpu: string;
  quota_memory: string;
  quota_disk: string;
  quota_processes: string;
  quota_containers: string;
}

export function written({ overcommit, reserved, quota, ...policy }: Policy): Written {
  const amount = (millis: number | undefined) => (millis ? String(millis / 1000) : "");
  const factor = (permille: number) => (permille > 1000 ? String(permille / 1000) : "");
  const mib = (amount: number | undefined) =>
    !amount ? "" : amount % 1024 ? `${amount}MiB` : `${amount / 1024}GiB`;
  const count = (amount: number | undefined) => (amount ? String(amount) : "");
  return {
    placement: policy.placement,
    preemption: policy.preemption,
    moves_per_hour: policy.moves_per_hour,
    overcommit_cpu: factor(overcommit.cpu_permille),
    overcommit_memory: factor(overcommit.memory_permille),
    reserved_cpu: amount(reserved.cpu_millis),
    reserved_memory: mib(reserved.memory_mib),
    reserved_disk: mib(reserved.disk_mib),
    quota_cpu: amount(quota.cpu_millis),
    quota_memory: mib(quota.memory_mib),
    quota_disk: mib(quota.disk_mib),
    quota_processes: count(quota.processes),
    quota_containers: count(quota.containers),
  };
}

/** The document that changes what differs; null when nothing does. */
export function document(
  name: string,
  before: Written,
  now: Written,
): Record<string, unknown> | null {
  const groups: Record<string, Record<string, keyof Written>> = {
    overcommit: { cpu: "overcommit_cpu", memory: "overcommit_memory" },
    reserved: { cpu: "reserved_cpu", memory: "reserved_memory", disk: "reserved_disk" },
    quota: {
      cpu: "quota_cpu",
      memory: "quota_memory",
      disk: "quota_disk",
      processes: "quota_processes",
      containers: "quota_containers",
    },
  };
  const changes: Record<string, unknown> = {};
  for (const key of ["placement", "preemption", "moves_per_hour"] as const)
    if (before[key] !== now[key]) changes[key] = now[key];
  for (const [group, fields] of Object.entries(groups)) {
    const entries = Object.entries(fields);
    if (entries.every(([, field]) => before[field] === now[field])) continue;
    const told = entries.map(([key, field]) => [key, String(now[field]).trim()]);
    changes[group] = Object.fromEntries(
      told.filter(([, text]) => text).map(([key, text]) => [key, number(text ?? "")]),
    );
  }
  return Object.keys(changes).length ? { kind: "Cluster", name, ...changes } : null;
}

/** What is a number is one; of anything else the server says what it thinks. */
function number(text: string): string | number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
