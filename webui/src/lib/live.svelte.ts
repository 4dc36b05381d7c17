// One connection for everything that happens. Pages reload what an event concerns; nothing is polled.

import { open, Problem } from "./api";
import { clock } from "./clock.svelte";
import { history } from "./history.svelte";
import type { Happening, Measured } from "./types";

const SILENCE_MS_MAX = 13_000; // the server says something each 5 s
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 5_000;
const HIDDEN_MS_MAX = 30_000; // a browser has few connections for all its tabs

type Listener = (event: Happening | null) => void;

class Live {
  /** connecting: for the first time; lost: what is shown may be old. */
  status = $state<"connecting" | "live" | "lost">("connecting");
  /** When what is shown was last known to be true. */
  heardMs = $state(0);
  #listeners = new Set<Listener>();
  #stopping: AbortController | null = null;
  #wake: () => void = () => {};
  #hiding: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => this.#onVisibility());
  }

  /** Be told of each event; of null when anything may have happened meanwhile. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#stopping) return;
    this.status = "connecting";
    const stopping = (this.#stopping = new AbortController());
    void this.#run(stopping.signal);
  }

  stop(): void {
    this.#stopping?.abort();
    this.#stopping = null;
    this.#wake();
  }

  retry(): void {
    this.#wake();
  }

  #onVisibility(): void {
    clearTimeout(this.#hiding);
    if (document.visibilityState === "hidden") {
      if (this.#stopping) this.#hiding = setTimeout(() => this.#pause(), HIDDEN_MS_MAX);
    } else if (this.#isPaused) {
      this.#isPaused = false;
      this.start();
    }
  }

  #isPaused = false;
  #pause(): void {
    this.#isPaused = true;
    this.stop();
  }

  async #run(stopped: AbortSignal): Promise<void> {
    let pauseMs = PAUSE_MS_MIN;
    while (!stopped.aborted) {
      try {
        await this.#listen(stopped, () => (pauseMs = PAUSE_MS_MIN));
      } catch (error) {
        if (stopped.aborted) return;
        if (error instanceof Problem && error.status === 401) {
          this.stop();
          return;
        }
      }
      if (stopped.aborted) return;
      this.status = "lost";
      await this.#sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }

  async #listen(stopped: AbortSignal, onGood: () => void): Promise<void> {
    const silent = new AbortController();
    let watchdog = setTimeout(() => silent.abort(), SILENCE_MS_MAX);
    const stillThere = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => silent.abort(), SILENCE_MS_MAX);
      this.heardMs = Date.now();
    };
    try {
      const response = await open("/events", {
        query: { follow: true, measurements: true },
        signal: AbortSignal.any([stopped, silent.signal]),
      });
      onGood();
      const now = Date.parse(response.headers.get("date") ?? "");
      if (now) clock.set(now);
      this.status = "live";
      this.#tell(null);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        stillThere();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #take(block: string): void {
    let kind = "";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data = line.slice(6);
    }
    if (!data) return;
    if (kind === "measured") {
      history.take(JSON.parse(data) as Measured[]);
    } else {
      const event = JSON.parse(data) as Happening;
      clock.tell(event.time_ms);
      this.#tell(event);
    }
  }

  #tell(event: Happening | null): void {
    for (const listener of this.#listeners) listener(event);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

export const live = new Live();
