// Numbers and moments as people read them; the same words as pfi's.

export function age(durationMs: number): string {
  const seconds = Math.floor(Math.max(durationMs, 0) / 1000);
  const units: [string, string, number, number, number][] = [
    ["m", "s", 60, 1, 3600],
    ["h", "m", 3600, 60, 86_400],
    ["d", "h", 86_400, 3600, Infinity],
  ];
  for (const [unit, smaller, unitS, smallerS, endS] of units) {
    if (unitS <= seconds && seconds < endS) {
      const whole = Math.floor(seconds / unitS);
      const rest = Math.floor((seconds % unitS) / smallerS);
      return whole < 10 && rest ? `${whole}${unit}${rest}${smaller}` : `${whole}${unit}`;
    }
  }
  return `${seconds}s`;
}

export function size(mib: number): string {
  for (const [unit, one] of [["TiB", 1 << 20], ["GiB", 1 << 10]] as const) {
    if (mib >= one) return `${(mib / one).toFixed(1).replace(/\.0$/, "")} ${unit}`;
  }
  return `${mib} MiB`;
}

export function cores(millis: number): string {
  return (millis / 1000).toFixed(millis < 10_000 ? 2 : 1).replace(/\.?0+$/, "") || "0";
}

export function moment(timeMs: number): string {
  const at = new Date(timeMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}

export function plural(count: number, one: string): string {
  return `${count} ${count === 1 ? one : `${one}s`}`;
}

/** What a priority means, in a few words. */
export function priorityText(priority: number): string {
  return priority ? `${priority}: before all of less, and in their place if need be` : "0, as by default";
}

/** What a definition is made from: `remote:alias`, or the beginning of a fingerprint. */
export function imageText(spec: Record<string, unknown>): string {
  const image = spec.image as { alias?: string; fingerprint?: string; remote?: string } | undefined;
  const what = image?.alias || image?.fingerprint?.slice(0, 12) || "";
  return image?.remote ? `${image.remote}:${what}` : what;
}
