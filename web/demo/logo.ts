/** The mark: a fanlight, the half-round window above a door. */

const SVG = "http://www.w3.org/2000/svg";
const RAYS = [36, 72, 108, 144]; // degrees

export function logo(): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 32 20", class: "logo", "aria-hidden": "true" })) svg.setAttribute(name, value);
  const arcs = "M2 18a14 14 0 0 1 28 0zM11 18a5 5 0 0 1 10 0";
  const rays = RAYS.map((angle) => ray((angle * Math.PI) / 180)).join("");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", arcs + rays);
  svg.append(path);
  return svg;
}

function ray(angle: number): string {
  const at = (radius: number): string => `${(16 + radius * Math.cos(angle)).toFixed(2)} ${(18 - radius * Math.sin(angle)).toFixed(2)}`;
  return `M${at(5)}L${at(14)}`;
}
