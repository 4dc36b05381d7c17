// Light, dark, or as the system has it. `public/theme.js` does the first paint.

export type Theme = "system" | "light" | "dark";
const KEY = "pathfinder-theme";
const THEMES: Theme[] = ["system", "light", "dark"];

function chosen(): Theme {
  const now = document.documentElement.dataset.theme;
  return now === "light" || now === "dark" ? now : "system";
}

class Choice {
  now = $state<Theme>(chosen());
  readonly all = THEMES;

  set(theme: Theme): void {
    this.now = theme;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Storage is forbidden: it holds until the page is closed.
    }
  }
}

export const theme = new Choice();
