// Two lines over the last five minutes.

import { made } from "./figures.js";

const POINTS = 300;
const drawing = name => document.createElementNS("http://www.w3.org/2000/svg", name);

export class Chart {
  // `scale` gives the height of a value, 0 to 1, and the marks beside it, for the largest value that is shown.
  constructor(place, label, scale) {
    this.scale = scale;
    this.lines = [[], []];
    this.picture = drawing("svg");
    this.picture.setAttribute("viewBox", `0 0 ${POINTS} 100`);
    this.picture.setAttribute("preserveAspectRatio", "none");
    this.picture.setAttribute("role", "img");
    this.label = label;
    this.marks = made("div", "marks");
    this.marks.setAttribute("aria-hidden", "true");
    this.since = made("span");
    place.replaceChildren(this.marks, this.picture, made("div", "since", this.since, made("span", "", "now")));
  }

  // A value that is null leaves a gap.
  add(values) {
    values.forEach((value, index) => {
      this.lines[index].push(value);
      if (this.lines[index].length > POINTS) this.lines[index].shift();
    });
    this.draw();
  }

  draw() {
    const known = this.lines.flat().filter(value => value !== null);
    const { height, marks, told } = this.scale(Math.max(0, ...known));
    const shown = this.lines[0].length;
    // A young page shows what it has, on at least a minute's width.
    const steps = Math.min(POINTS, Math.max(60, shown)) - 1;
    const y = share => (100 - Math.min(1, Math.max(0, share)) * 96 - 2).toFixed(2);
    const parts = marks.map(([share]) => {
      const line = drawing("line");
      for (const [name, value] of Object.entries({ x1: 0, x2: POINTS, y1: y(share), y2: y(share) })) line.setAttribute(name, value);
      return line;
    });
    this.lines.forEach((values, index) => {
      const path = drawing("path");
      let isDown = false;
      const text = values.map((value, place) => {
        if (value === null) { isDown = false; return ""; }
        const step = (isDown ? "L" : "M") + ((steps + 1 - shown + place) / steps * POINTS).toFixed(2) + " " + y(height(value));
        isDown = true;
        return step;
      });
      path.setAttribute("d", text.join(""));
      if (index) path.setAttribute("class", "other");
      parts.push(path);
    });
    this.picture.replaceChildren(...parts);
    this.picture.setAttribute("aria-label", `${this.label} over the last five minutes, ${told}`);
    this.marks.replaceChildren(...marks.map(([share, text]) => {
      const mark = made("span", "", text);
      mark.style.top = y(share) + "%";
      return mark;
    }));
    this.since.textContent = steps < POINTS - 1 ? `${steps + 1} s ago` : "5 min ago";
  }
}
