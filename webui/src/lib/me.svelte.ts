// Who has signed in, and what he may.

import { ask, Problem, whenSignedOut } from "./api";
import type { Caller } from "./types";

const AGAIN_MS = 1_000;

class Me {
  caller = $state.raw<Caller | null>(null);
  /** Whether it is known who asks; before, nothing is shown. */
  isKnown = $state(false);
  /** Why the sign-in page is there although somebody was signed in. */
  notice = $state("");

  constructor() {
    whenSignedOut(() => {
      if (this.caller) this.notice = "Your sign-in has ended. Please sign in again.";
      this.caller = null;
    });
  }

  /** Find out; a server that is starting or away is asked until it answers. */
  async look(): Promise<void> {
    for (;;) {
      try {
        this.caller = await ask<Caller>("/sign-in");
        break;
      } catch (error) {
        if (error instanceof Problem && error.status === 401) break;
        this.notice = error instanceof Error ? error.message : String(error);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
    this.notice = "";
    this.isKnown = true;
  }

  async signIn(name: string, password: string): Promise<void> {
    this.caller = await ask<Caller>("/sign-in", { method: "POST", body: { name, password } });
    this.notice = "";
  }

  async signOut(): Promise<void> {
    try {
      await ask("/sign-in", { method: "DELETE" });
    } finally {
      this.caller = null;
      this.notice = "";
    }
  }

  may(verb: string): boolean {
    return this.caller?.verbs.includes(verb) ?? false;
  }
}

export const me = new Me();
