// A what-if question, as the address, the API and `pfi plan` have it.

import { plural } from "./format";
import { to } from "./route.svelte";

export interface Question {
  /** Nodes, or requirements on labels such as `rack=r1`. */
  lose: string[];
  drain: string[];
  add: { count: number; like: string } | null;
  scale: [string, number][];
  /** On the state as it was at this time (ISO 8601); "": as it is. */
  at: string;
}

export const NOTHING: Question = { lose: [], drain: [], add: null, scale: [], at: "" };

/** What an address asks; whatever is no question in it is left out. */
export function read(search: string): Question {
  const query = new URLSearchParams(search);
  const count = Number(query.get("add"));
  const like = query.get("like") ?? "";
  const at = query.get("at") ?? "";
  return {
    lose: words(query.getAll("lose")),
    drain: words(query.getAll("drain")),
    add: Number.isInteger(count) && count > 0 && like ? { count, like } : null,
    scale: words(query.getAll("scale")).flatMap((text): [string, number][] => {
      const [name, number] = split(text);
      return name && /^\d{1,6}$/.test(number) ? [[name, Number(number)]] : [];
    }),
    at: at && !Number.isNaN(Date.parse(at)) ? at : "",
  };
}

export function write(question: Question): string {
  const query = new URLSearchParams();
  for (const each of question.lose) query.append("lose", each);
  for (const each of question.drain) query.append("drain", each);
  if (question.add) {
    query.set("add", String(question.add.count));
    query.set("like", question.add.like);
  }
  for (const [name, count] of question.scale) query.append("scale", `${name}=${count}`);
  if (question.at) query.set("at", question.at);
  return query.size ? `?${query}` : "";
}

/** The page that says what would go where if a node were drained. */
export function ifDrained(cluster: string, node: string): string {
  return to("clusters", cluster, "what-if") + write({ ...NOTHING, drain: [node] });
}

/** The body of the request. */
export function body(question: Question): Record<string, unknown> {
  return {
    lose: question.lose,
    drain: question.drain,
    add: question.add ? [question.add] : [],
    scale: Object.fromEntries(question.scale),
  };
}

export function isEmpty(question: Question): boolean {
  const { lose, drain, add, scale } = question;
  return !lose.length && !drain.length && !add && !scale.length;
}

/** The command that asks the same. */
export function command(cluster: string, question: Question): string {
  const parts = [
    ...question.lose.flatMap((each) => ["--lose", each]),
    ...question.drain.flatMap((each) => ["--drain", each]),
    ...(question.add ? ["--add-nodes", String(question.add.count), "--like", question.add.like] : []),
    ...question.scale.flatMap(([name, count]) => ["--scale", `${name}=${count}`]),
    ...(question.at ? ["--at", question.at] : []),
  ];
  return ["pfi", "-c", cluster, "plan", ...parts].map(quoted).join(" ");
}

export type Part = { key: string; text: string; without: Question };

/** Everything that happens, in words and in its order, each with the question without it. */
export function parts(question: Question): Part[] {
  const { lose, drain, add, scale } = question;
  const less = <T,>(all: T[], each: T) => all.filter((one) => one !== each);
  return [
    ...(add
      ? [{ key: "add", text: `${plural(add.count, "node")} like ${add.like} more`, without: { ...question, add: null } }]
      : []),
    ...scale.map((each) => ({
      key: `scale ${each[0]}`,
      text: `${each[0]} has ${plural(each[1], "replica")}`,
      without: { ...question, scale: less(scale, each) },
    })),
    ...drain.map((each) => ({
      key: `drain ${each}`,
      text: `${each} is drained`,
      without: { ...question, drain: less(drain, each) },
    })),
    ...lose.map((each) => ({
      key: `lose ${each}`,
      text: /^[\w.-]+$/.test(each) ? `${each} is lost` : `every node with ${each} is lost`,
      without: { ...question, lose: less(lose, each) },
    })),
  ];
}

function words(all: string[]): string[] {
  return [...new Set(all.map((each) => each.trim()).filter(Boolean))];
}

function split(text: string): [string, string] {
  const at = text.lastIndexOf("=");
  return at < 0 ? ["", ""] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
