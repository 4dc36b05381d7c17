// One way to the API: JSON in, JSON out, and errors that say what to do next.

const OWN_PAGE = { "X-Pathfinder-Web": "1" };

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

export interface Ask {
  method?: string;
  body?: unknown;
  query?: Record<string, string | number | boolean | undefined>;
  revision?: number;
  key?: string;
  signal?: AbortSignal;
}

let onSignedOut: () => void = () => {};

/** Called whenever the server says that nobody is signed in (any more). */
export function whenSignedOut(told: () => void): void {
  onSignedOut = told;
}

export async function open(path: string, ask: Ask = {}): Promise<Response> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(ask.query ?? {})) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const headers: Record<string, string> = { ...OWN_PAGE };
  if (ask.body !== undefined) headers["Content-Type"] = "application/json";
  if (ask.revision !== undefined) headers["If-Match"] = `"${ask.revision}"`;
  if (ask.key !== undefined) headers["Idempotency-Key"] = ask.key;
  const search = query.size ? `?${query}` : "";
  const init: RequestInit = {
    method: ask.method ?? "GET",
    headers,
    cache: "no-store",
    credentials: "same-origin",
  };
  if (ask.body !== undefined) init.body = JSON.stringify(ask.body);
  if (ask.signal) init.signal = ask.signal;
  let response: Response;
  try {
    response = await fetch(`/api/v3${path}${search}`, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    const hint = "The page tries again by itself; containers run on meanwhile.";
    throw new Problem(0, "unreachable", "The server does not answer.", hint);
  }
  if (!response.ok) throw await problemOf(response, path);
  return response;
}

export async function ask<T>(path: string, asked: Ask = {}): Promise<T> {
  const response = await open(path, asked);
  return (await response.json()) as T;
}

async function problemOf(response: Response, path: string): Promise<Problem> {
  let error: { code?: string; message?: string; hint?: string } = {};
  try {
    error = ((await response.json()) as { error?: typeof error }).error ?? {};
  } catch {
    // Not ours: a proxy in between, say. The status has to do.
  }
  if (response.status === 401 && path !== "/sign-in") onSignedOut();
  return new Problem(
    response.status,
    error.code ?? "unexpected",
    error.message ?? `The answer was ${response.status} ${response.statusText}.`,
    error.hint ?? "",
  );
}

/** The path of things of a cluster, or of one of them. */
export function inCluster(cluster: string, ...parts: string[]): string {
  return ["/clusters", ...[cluster, ...parts].map(encodeURIComponent)].join("/");
}

/** Makes a request that is sent twice have the effect of one. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
