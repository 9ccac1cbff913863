// Two lines over the last five minutes. They are drawn by the time: where nothing was heard there is a gap.

import { made } from "./figures.js";

const SECONDS_MAX = 300;
// A young page shows what it has, on this width.
const SECONDS_MIN = 60;
// Events come every second; after a longer silence a line begins anew.
const GAP_SECONDS = 4;
const WIDTH = 300;
const drawing = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
};
const y = share => (100 - Math.min(1, Math.max(0, share)) * 96 - 2).toFixed(2);

export class Chart {
  #points = [];
  // Where somebody points at, as a share of the width.
  #pointed = null;

  // `scale` gives the height of a value, 0 to 1, and the marks beside it, for the largest value that is shown; `told` says two values.
  constructor(place, label, scale, told) {
    Object.assign(this, { label, scale, told });
    this.picture = drawing("svg", { viewBox: `0 0 ${WIDTH} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label });
    this.marks = made("div", "marks");
    this.marks.setAttribute("aria-hidden", "true");
    this.since = made("span");
    this.reading = made("span", "reading");
    place.replaceChildren(this.marks, this.picture, made("div", "since", this.since, this.reading, made("span", "", "now")));
    this.picture.addEventListener("pointermove", event => {
      const frame = this.picture.getBoundingClientRect();
      this.#pointed = (event.clientX - frame.left) / frame.width;
      this.draw();
    });
    this.picture.addEventListener("pointerleave", () => { this.#pointed = null; this.draw(); });
  }

  // At a time in seconds. A value that is null leaves a gap.
  add(now, values) {
    this.#points.push({ now, values });
    while (this.#points[0].now < now - SECONDS_MAX) this.#points.shift();
    this.draw();
  }

  draw() {
    if (!this.#points.length) return;
    const last = this.#points.at(-1);
    const known = this.#points.flatMap(point => point.values).filter(value => value !== null);
    const largest = Math.max(0, ...known);
    const { height, marks } = this.scale(largest);
    const seconds = Math.max(SECONDS_MIN, last.now - this.#points[0].now);
    const x = point => ((1 - (last.now - point.now) / seconds) * WIDTH).toFixed(2);
    const parts = marks.map(([share]) => drawing("line", { x1: 0, x2: WIDTH, y1: y(share), y2: y(share) }));
    const pointed = this.#nearest(last.now - (1 - this.#pointed) * seconds);
    if (pointed) parts.push(drawing("line", { x1: x(pointed), x2: x(pointed), y1: 0, y2: 100, class: "pointed" }));
    for (const index of [0, 1]) {
      const line = this.#line(index, x, height);
      parts.push(drawing("path", index ? { d: line, class: "other" } : { d: line }));
    }
    this.picture.replaceChildren(...parts);
    this.picture.setAttribute("aria-label", `${this.label} over the last five minutes. Now ${this.told(last.values)}; at most ${this.told([largest])}`);
    this.marks.replaceChildren(...marks.map(([share, text]) => {
      const mark = made("span", "", text);
      mark.style.top = y(share) + "%";
      return mark;
    }));
    this.since.textContent = seconds < SECONDS_MAX - 1 ? `${Math.round(seconds)} s ago` : "5 min ago";
    this.reading.textContent = pointed ? `${Math.round(last.now - pointed.now)} s ago: ${this.told(pointed.values)}` : "";
  }

  #line(index, x, height) {
    let before = null;
    return this.#points.map(point => {
      const value = point.values[index];
      if (value === null) { before = null; return ""; }
      const continues = before && point.now - before.now <= GAP_SECONDS;
      before = point;
      const place = `${x(point)} ${y(height(value))}`;
      // A step of no length is a dot, for a value that stands alone.
      return continues ? `L${place}` : `M${place}h0`;
    }).join("");
  }

  #nearest(now) {
    if (this.#pointed === null) return null;
    return this.#points.reduce((nearest, point) => Math.abs(point.now - now) < Math.abs(nearest.now - now) ? point : nearest);
  }
}
