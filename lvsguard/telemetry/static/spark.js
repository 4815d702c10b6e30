// Sparklines: what was a moment ago.

const SAMPLES = 120; // of a sparkline, one a second
const SVG = "http://www.w3.org/2000/svg";

export class Samples {
  values = [];
  add(value) {
    this.values.push(value === null ? NaN : value);
    if (this.values.length > SAMPLES) this.values.shift();
  }
}

export function spark(kind) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `spark ${kind}`);
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const area = document.createElementNS(SVG, "path");
  area.setAttribute("class", "area");
  svg.append(area, document.createElementNS(SVG, "path"));
  return svg;
}

export function draw(svg, samples) {
  const known = samples.values;
  let most = 0;
  for (const value of known) if (value > most) most = value;
  let path = "";
  let first = null;
  // The first ones fill a part of the width that can be read, the later ones all of it.
  const room = Math.max(known.length, SAMPLES / 4);
  const from = room - known.length;
  for (let at = 0; at < known.length; at++) {
    if (Number.isNaN(known[at])) continue;
    const x = ((from + at) * 100) / (room - 1);
    const y = most ? 19 - (known[at] * 18) / most : 19;
    first ??= x;
    path += `${path ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  svg.lastChild.setAttribute("d", path);
  svg.firstChild.setAttribute("d", path ? `${path}L100 20L${first.toFixed(1)} 20Z` : "");
}
