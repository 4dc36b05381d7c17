// What the API v3 answers, as far as these pages use it. The whole of it: /api/v3/openapi.json.

export interface Page<T> {
  items: T[];
  next: string;
  revision: number;
}

export interface Caller {
  name: string;
  user: string;
  role: string;
  clusters: string[];
  verbs: string[];
}

export interface Amounts {
  cpu_millis?: number;
  memory_mib?: number;
  disk_mib?: number;
  processes?: number;
}

export interface Quota extends Amounts {
  containers?: number;
}

export interface Policy {
  placement: "spread" | "pack";
  overcommit: { cpu_permille: number; memory_permille: number };
  reserved: Amounts;
  quota: Quota;
  preemption: "none" | "stateless" | "all";
  moves_per_hour: number;
}

export interface Cluster {
  name: string;
  nodes: number;
  deployments: number;
  containers: number;
  limits: { memory_percent?: number; containers?: number; stateful?: number };
  policy: Policy;
  quota_used: Quota;
  moves_left: number;
  moving: string[];
  moved_in_hour: number;
  created_ms: number;
}

/** What nodes that take containers have of one resource. */
export interface Room {
  capacity: number;
  reserved: number;
  free: number;
  most_free: number;
  most_free_on: string;
}

/** N+1: whether any one node may be lost. fails: how many would fit nowhere, by node. */
export interface Spare {
  holds: boolean;
  checked: number;
  nodes: number;
  fails: Record<string, number>;
}

export type Rooms = Record<"cpu_millis" | "memory_mib" | "disk_mib", Room>;

export interface Moved {
  name: string;
  deployment: string;
  type: string;
  action: string;
  source: string;
  target: string;
  why: string;
  remedies: string[];
  confirmation: boolean;
}

export interface WhatIf {
  revision: number;
  lost: string[];
  moves: Moved[];
  pending_before: string[];
  blocked: string[];
  settled: boolean;
  room_before: Rooms;
  room_after: Rooms;
  spare_before: Spare;
  spare_after: Spare;
}

export interface Balance {
  badness: number;
  cpu_most: number;
  cpu_least: number;
  memory_most: number;
  memory_least: number;
  disk_most: number;
}

export interface PlannedMove {
  name: string;
  deployment: string;
  type: string;
  way: "relocate" | "remake";
  source: string;
  target: string;
  gain: number;
  price: number;
  why: string;
}

export interface RebalancePlan {
  revision: number;
  basis: "measured" | "reserved";
  note: string;
  moves: PlannedMove[];
  before: Balance;
  after: Balance;
  done: boolean;
}

export interface Usage {
  cpu_used_millis: number;
  memory_total_mib: number;
  memory_used_mib: number;
  load_1m: number;
  load_5m: number;
  load_15m: number;
  disk_total_mib: number;
  disk_used_mib: number;
  pool_total_mib: number;
  pool_used_mib: number;
}

/** A container that cannot leave a drained node for the moment, and what would help. */
export interface Stays {
  name: string;
  why: string;
  hint: string;
}

/** How far a node's drain is. ends_in_ms: null while not known; ended_ms 0: it is not empty. */
export interface Drain {
  since_ms: number;
  reason: string;
  containers: number;
  left: number;
  moving: number;
  stays: Stays[];
  ends_in_ms: number | null;
  ended_ms: number;
}

export interface Node {
  cluster: string;
  name: string;
  status: string;
  note?: string;
  labels: Record<string, string>;
  cordoned: boolean;
  drain: Drain | null;
  address: string;
  capacity: Amounts;
  reserved: Amounts;
  containers: number;
  runtime_error: string;
  orphans: string[];
  facts: {
    agent_version?: string;
    hostname?: string;
    kernel?: string;
    os?: string;
    architecture?: string;
    runtime?: string;
    runtime_version?: string;
    kinds?: string[];
    images?: string[];
    limits_missing?: Record<string, string>;
  };
  usage: Usage | null;
  heard_ms_ago: number | null;
  created_ms: number;
  revision: number;
}

export interface Explanation {
  text?: string;
  nodes_total?: number;
  reasons?: { code: string; count: number; text: string }[];
  nearest?: { node: string; lacks: string }[];
  remedies?: string[];
}

/** Why a container is where it is, nowhere, or gone: what `pfi explain` says. */
export interface Explained {
  name: string;
  phase: string;
  node: string;
  why: string;
  hint: string;
  explanation: Explanation | null;
  placed: string;
  choices: { node: string; why: string; is_here: boolean }[];
  revision: number;
}

/** size_mib -1: not counted by its node. made_ms -1: not known. */
export interface Snapshot {
  name: string;
  made_ms: number;
  size_mib: number;
}

/** How far the setting up of a container is: its latest try. exit_code -1: not known. */
export interface Bootstrap {
  round: number;
  tries: number;
  exit_code: number;
}

export interface Container {
  cluster: string;
  name: string;
  labels: Record<string, string>;
  deployment: string;
  priority: number;
  generation: number;
  phase: string;
  ready: boolean;
  node: string;
  ipaddress: string | null;
  addresses: string[];
  image: string;
  spec: Record<string, unknown>;
  bootstrap?: Bootstrap | null;
  restarts: number;
  started_ms: number;
  created_ms: number;
  changed_ms: number;
  wanted: boolean;
  why: string;
  hint: string;
  error_code: string;
  explanation: Explanation | null;
  leaving: { node: string; generation: number }[];
  relocation: { node: string; stage: string; failures: number } | null;
  relocation_error: string;
  usage: { cpu_millis: number; memory_mib: number; disk_mib: number; processes: number } | null;
  revision: number;
  [more: string]: unknown;
}

export interface Deployment {
  cluster: string;
  name: string;
  labels: Record<string, string>;
  replicas: number;
  min_available: number;
  priority: number;
  current: number;
  updated: number;
  ready: number;
  progress: string;
  blocked: string;
  last_error?: string;
  last_error_ms?: number;
  wanted: boolean;
  spec: Record<string, unknown>;
  created_ms: number;
  changed_ms: number;
  revision: number;
  [more: string]: unknown;
}

export interface Happening {
  revision: number;
  index: number;
  time_ms: number;
  kind: string;
  cluster: string;
  name: string;
  node: string;
  action: string;
  why: string;
  who: string;
}

export interface Measured {
  cluster: string;
  name: string;
  status: string;
  heard_ms_ago: number | null;
  usage: Usage | null;
}

export interface PlanItem {
  kind: string;
  cluster: string;
  name: string;
  action: string;
  node: string;
  why: string;
  warnings: string[];
}

export interface Plan {
  dry_run: boolean;
  revision: number;
  changes: PlanItem[];
  warnings: string[];
}

export interface User {
  name: string;
  role: string;
  clusters: string[];
  disabled: boolean;
  password_ms: number;
  created_by: string;
  created_ms: number;
  revision: number;
}
