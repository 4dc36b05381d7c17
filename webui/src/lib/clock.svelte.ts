// The time, so that ages grow while one looks at them.

const EACH_MS = 1000;

class Clock {
  ms = $state(Date.now());
  #skew = 0;

  constructor() {
    setInterval(() => (this.ms = Date.now() + this.#skew), EACH_MS);
  }

  /** What the server's clock says now, to the second: ages are differences of its moments. */
  set(serverMs: number): void {
    const skew = serverMs - Date.now();
    this.#skew = Math.abs(skew) < 1_500 ? 0 : skew;
    this.ms = Date.now() + this.#skew;
  }

  /** Something has just happened by the server's clock: ages are not to be negative. */
  tell(serverMs: number): void {
    if (serverMs > this.ms) {
      this.#skew += serverMs - this.ms;
      this.ms = serverMs;
    }
  }
}

export const clock = new Clock();
