/** The page's few signs, drawn as lines of 20 by 20 units. */

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  menu: "M3 5h14M3 10h14M3 15h14",
  add: "M10 4v12M4 10h12",
  search: "M9 4a5 5 0 1 0 0 10a5 5 0 0 0 0-10M12.7 12.7L17 17",
  settings: "M3 6h7M14 6h3M12 4v4M3 14h3M10 14h7M8 12v4",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  copy: "M8 7h8v10H8zM12 7V3H4v10h4",
  edit: "M4 16l1-4l8-8l3 3l-8 8zM11 6l3 3",
  again: "M15.5 7A6.5 6.5 0 1 0 16.5 11M16 3v4.5h-4.5",
  onward: "M5 4l7 6l-7 6M15 4v12",
  before: "M12 5l-5 5l5 5",
  after: "M8 5l5 5l-5 5",
  down: "M5 8l5 5l5-5",
  attach: "M15.5 9.5l-5.7 5.7a3.6 3.6 0 0 1-5-5l6.3-6.3a2.4 2.4 0 0 1 3.4 3.4l-6 6a1.2 1.2 0 0 1-1.7-1.7l5.2-5.2",
  microphone: "M10 3a2 2 0 0 1 2 2v5a2 2 0 0 1-4 0V5a2 2 0 0 1 2-2M5.5 9.5a4.5 4.5 0 0 0 9 0M10 14v3M7.5 17h5",
  close: "M5 5l10 10M15 5L5 15",
} as const;

export type Icon = keyof typeof PATHS;

export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
