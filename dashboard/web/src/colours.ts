/** Colours of stages, told apart by eyes of every kind (Okabe and Ito, "Color universal design", 2008), and of the theme. */

const STAGES = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const UNKNOWN = "#999999";

/** A colour for each stage that occurs, in order of the names, so that a day keeps its colours. */
export function stageColours(stages: Iterable<string | null>): Map<string, string> {
  const names = [...new Set([...stages].filter((stage): stage is string => stage !== null))].sort();
  return new Map(names.map((name, index) => [name, STAGES[index % STAGES.length] as string]));
}

export function colourOf(colours: Map<string, string>, stage: string | null): string {
  return (stage !== null && colours.get(stage)) || UNKNOWN;
}

export interface Theme {
  dark: boolean;
  floor: string;
  outside: string;
  line: string;
  text: string;
  muted: string;
  hatch: string;
  accent: string;
  alarm: string;
}

const LIGHT: Theme = {
  dark: false,
  floor: "#ffffff",
  outside: "#eceff3",
  line: "#b4bcc8",
  text: "#14181f",
  muted: "#4a5463",
  hatch: "#7d8797",
  accent: "#0b5cad",
  alarm: "#b3261e",
};
const DARK: Theme = {
  dark: true,
  floor: "#181c22",
  outside: "#0e1116",
  line: "#4b5563",
  text: "#f2f4f7",
  muted: "#b3bcc9",
  hatch: "#8a94a4",
  accent: "#7cc0ff",
  alarm: "#ff8a80",
};

export function isDark(): boolean {
  return document.documentElement.classList.contains("dark");
}

export function theme(): Theme {
  return isDark() ? DARK : LIGHT;
}
