// Where we are, from the address; links are ordinary links.

export const ROOT = "/ui";

class Here {
  path = $state(location.pathname);
  search = $state(location.search);

  constructor() {
    addEventListener("popstate", () => this.#read());
  }

  get parts(): string[] {
    return this.path
      .slice(ROOT.length)
      .split("/")
      .filter(Boolean)
      .map((part) => decode(part));
  }

  query(name: string): string {
    return new URLSearchParams(this.search).get(name) ?? "";
  }

  go(to: string, replace = false): void {
    if (to === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"](null, "", to);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  /** Change what the address says after `?`, without a step in the history. */
  refine(changes: Record<string, string>): void {
    const query = new URLSearchParams(this.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    this.go(this.path + (query.size ? `?${query}` : ""), true);
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const here = new Here();

/** The address of a page: `to("clusters", "default", "nodes")`. */
export function to(...parts: string[]): string {
  return [ROOT, ...parts.map(encodeURIComponent)].join("/") + (parts.length ? "" : "/");
}

/** Follow our own links without loading the page anew; leave all others to the browser. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.origin !== location.origin || link.hasAttribute("download"))
    return;
  if (link.pathname !== ROOT && !link.pathname.startsWith(`${ROOT}/`)) return;
  event.preventDefault();
  here.go(link.pathname + link.search);
}
