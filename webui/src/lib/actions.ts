// What can be done, as tables: another action is another line.
// Each is first asked as a dry run, so that the plan is seen before anything happens.

import { ask, inCluster } from "./api";
import { ifDrained } from "./question";
import type { Container, Deployment, Node, User } from "./types";

export interface Request {
  path: string;
  method: string;
  body?: unknown;
  query?: Record<string, string | boolean>;
}

export interface Action<T> {
  key: string;
  label: string;
  /** What it does, for who has never used it. */
  text: string;
  verb: "write" | "admin";
  isDangerous?: boolean;
  /** Whether it makes sense now; without it: always. */
  when?: (thing: T) => boolean;
  /** What has to be said besides, if anything. */
  input?: Input<T>;
  /** A page that tells beforehand what its plan does not. */
  link?: (thing: T) => { text: string; address: string };
  request: (thing: T, said: string) => Request;
}

export interface Input<T> {
  label: string;
  isRequired?: boolean;
  /** What can be chosen from; without it: any text. */
  choices?: (thing: T) => Promise<string[]>;
}

const REASON = { label: "Reason, for the events" };

const ofContainer = (container: Container, ...more: string[]) =>
  inCluster(container.cluster, "containers", container.name, ...more);

async function otherNodes(container: Container): Promise<string[]> {
  const page = await ask<{ items: Node[] }>(inCluster(container.cluster, "nodes"));
  return page.items.map((node) => node.name).filter((name) => name !== container.node);
}

export const CONTAINER_ACTIONS: Action<Container>[] = [
  {
    key: "reschedule",
    label: "Reschedule",
    text: "Make it anew, on the node where it fits best now. The old one goes first.",
    verb: "write",
    when: (container) => container.wanted,
    input: REASON,
    request: (container, reason) => ({
      method: "POST",
      path: ofContainer(container, "reschedule"),
      body: { reason },
    }),
  },
  {
    key: "rebootstrap",
    label: "Bootstrap again",
    text: "Run its bootstrap again, from the first step, where it runs. Its disk stays as it is.",
    verb: "write",
    when: (container) => container.wanted && !!container.bootstrap,
    input: REASON,
    request: (container, reason) => ({
      method: "POST",
      path: ofContainer(container, "rebootstrap"),
      body: { reason },
    }),
  },
  {
    key: "relocate",
    label: "Relocate",
    text:
      "Move it with its data to another node; without a choice, to the one where it fits best. It " +
      "runs while its data is copied, and stops only for what has changed meanwhile.",
    verb: "write",
    when: (container) =>
      container.wanted &&
      !container.relocation &&
      container.spec.kind !== "application" &&
      ["BOOTSTRAPPED", "BOOTSTRAP_ERROR"].includes(container.phase),
    input: { label: "Node", choices: otherNodes },
    request: (container, node) => ({
      method: "POST",
      path: ofContainer(container, "relocate"),
      body: { node },
    }),
  },
  {
    key: "stay",
    label: "Cancel relocation",
    text: "Leave it where it is. What has been copied goes away.",
    verb: "write",
    when: (container) => !!container.relocation,
    request: (container) => ({ method: "DELETE", path: ofContainer(container, "relocation") }),
  },
  {
    key: "delete",
    label: "Delete",
    text: "Let it go, with everything on its root disk. A deployment makes another in its place.",
    verb: "write",
    isDangerous: true,
    when: (container) => container.wanted,
    request: (container) => ({ method: "DELETE", path: ofContainer(container) }),
  },
];

export const DEPLOYMENT_ACTIONS: Action<Deployment>[] = [
  {
    key: "delete",
    label: "Delete",
    text: "Let it go, with all of its replicas.",
    verb: "write",
    isDangerous: true,
    when: (deployment) => deployment.wanted,
    request: (deployment) => ({
      method: "DELETE",
      path: inCluster(deployment.cluster, "deployments", deployment.name),
    }),
  },
];

/** Whether it is drained and not empty yet. */
export const isDraining = (node: Node) => !!node.drain && !node.drain.ended_ms;

const ofNode = (node: Node) => inCluster(node.cluster, "nodes", node.name);

export const NODE_ACTIONS: Action<Node>[] = [
  {
    key: "cordon",
    label: "Cordon",
    text: "Let no new containers come to it. Those that are there stay.",
    verb: "admin",
    when: (node) => !node.cordoned,
    request: (node) => ({ method: "PATCH", path: ofNode(node), body: { cordoned: true } }),
  },
  {
    key: "drain",
    label: "Drain",
    text:
      "Nothing new comes to it, and what is on it goes elsewhere, a few at a time: STATELESS " +
      "containers are made anew, STATEFUL ones go with their data. Never below what a deployment " +
      "needs ready. What has no other place runs on here, and says why. It can be stopped.",
    verb: "admin",
    // From a lost node nothing can leave.
    when: (node) => !node.drain && node.status !== "lost",
    input: REASON,
    link: (node) => ({ text: "What would go where?", address: ifDrained(node.cluster, node.name) }),
    request: (node, reason) => ({
      method: "PATCH",
      path: ofNode(node),
      body: { draining: true, reason },
    }),
  },
  {
    key: "stop",
    label: "Stop draining",
    text:
      "What is left stays, and what is on its way arrives. The node stays cordoned: nothing new " +
      "comes to it until it is uncordoned.",
    verb: "admin",
    when: (node) => isDraining(node),
    request: (node) => ({ method: "PATCH", path: ofNode(node), body: { draining: false } }),
  },
  {
    key: "uncordon",
    label: "Uncordon",
    text: "Let containers come to it again. What waits for room may be placed at once.",
    verb: "admin",
    when: (node) => node.cordoned && !isDraining(node),
    request: (node) => ({ method: "PATCH", path: ofNode(node), body: { cordoned: false } }),
  },
  {
    key: "keep",
    label: "Uncordon",
    text:
      "The drain ends: what is left stays, and what is on its way arrives. Containers come to the " +
      "node again; what waits for room may be placed at once.",
    verb: "admin",
    when: (node) => isDraining(node),
    request: (node) => ({ method: "PATCH", path: ofNode(node), body: { cordoned: false } }),
  },
  {
    key: "forget",
    label: "Forget",
    text: "Take a node that has no containers out of the cluster. Its agent may join again.",
    verb: "admin",
    isDangerous: true,
    when: (node) => node.containers === 0,
    request: (node) => ({ method: "DELETE", path: ofNode(node) }),
  },
  {
    key: "bury",
    label: "Confirm that it is dead",
    text:
      "You confirm that this machine does not run any more, and will not come back as it was. " +
      "What ran there may start elsewhere. If it does run after all, a STATEFUL container may run twice.",
    verb: "admin",
    isDangerous: true,
    when: (node) => node.status === "lost",
    request: (node) => ({ method: "DELETE", path: ofNode(node), query: { force: true } }),
  },
];

const ofUser = (user: User) => `/users/${encodeURIComponent(user.name)}`;

const roles = ["reader", "app", "admin"] as const;

export const USER_ACTIONS: Action<User>[] = [
  ...roles.map(
    (role): Action<User> => ({
      key: role,
      label: `Make ${role}`,
      text: "Holds from the next click on.",
      verb: "admin",
      when: (user) => user.role !== role,
      request: (user) => ({ method: "PATCH", path: ofUser(user), body: { role } }),
    }),
  ),
  {
    key: "disable",
    label: "Disable",
    text: "Signing in is refused, and whatever sign-ins there are end.",
    verb: "admin",
    when: (user) => !user.disabled,
    request: (user) => ({ method: "PATCH", path: ofUser(user), body: { disabled: true } }),
  },
  {
    key: "enable",
    label: "Enable",
    text: "May sign in again, with the password there was.",
    verb: "admin",
    when: (user) => user.disabled,
    request: (user) => ({ method: "PATCH", path: ofUser(user), body: { disabled: false } }),
  },
  {
    key: "delete",
    label: "Delete",
    text: "Forget this user. Whatever sign-ins there are end.",
    verb: "admin",
    isDangerous: true,
    request: (user) => ({ method: "DELETE", path: ofUser(user) }),
  },
];

/** What can be done with a thing now. */
export function possible<T>(actions: Action<T>[], thing: T, may: (verb: string) => boolean) {
  return actions.filter((action) => may(action.verb) && (action.when?.(thing) ?? true));
}
