// YAML, in a file of its own: it is loaded when a definition is looked at.

import { dump, load } from "js-yaml";

export function write(value: unknown): string {
  return dump(value, { lineWidth: 100, noRefs: true });
}

/** Error with the place, when it is none. */
export function read(text: string): unknown {
  return load(text);
}
