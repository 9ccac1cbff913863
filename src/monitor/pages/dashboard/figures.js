// Figures as people read them, and cells to put them into. Text goes into the page as text, whoever wrote it.

// With `digits` digits that count, and the zeros behind the point too: what changes every second must not change its width.
const scaled = (value, step, digits, units) => {
  let unit = 0;
  while (value >= step * 0.9995 && unit < units.length - 1) { value /= step; unit++; }
  // Whole things have no fractions.
  if (!unit && Number.isInteger(value)) return value + units[0];
  const behind = Math.max(0, digits - Math.max(1, Math.trunc(value).toString().length));
  return value.toFixed(behind) + units[unit];
};

// No line ends between a number and its unit.
export const count = value => scaled(Math.round(value), 1000, 3, ["", "\u00a0k", "\u00a0M", "\u00a0G", "\u00a0T"]);
export const bytes = value => scaled(Math.round(value), 1024, 3, ["\u00a0B", "\u00a0KiB", "\u00a0MiB", "\u00a0GiB", "\u00a0TiB"]);
export const span = seconds => scaled(seconds * 1e6, 1000, 2, ["\u00a0µs", "\u00a0ms", "\u00a0s"]);
export const percent = share => (share * 100).toFixed(share < 0.0995 ? 1 : 0) + "\u00a0%";
// The same without zeros behind the point, for what stands still.
export const mark = text => text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");
// Go writes 1h2m3s and 1.234567ms: the first two parts, two digits behind the point.
export const shorter = text => (text || "").replace(/^(\d+\w\d+\w).*$/, "$1").replace(/(\.\d\d)\d+/, "$1");

// A time of the day, with the day unless it is this one.
export const clock = time => {
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday ? time.toLocaleTimeString() : time.toLocaleString();
};

// Names come from clients: controls, and marks that turn the direction of what stands around them, are shown as what they are.
export const plain = text => String(text).replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, "\ufffd");

export const at = id => document.getElementById(id);

export function made(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content.map(one => one instanceof Node ? one : plain(one)));
  return element;
}

// Nothing is touched that says so already, so that what reads the page aloud stays silent.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function say(id, text, rest) {
  at(id).replaceChildren(text, ...(rest ? [" ", made("small", "", rest)] : []));
}

export function bar(share, text) {
  const fill = made("i");
  fill.style.width = Math.min(100, share * 100).toFixed(1) + "%";
  const frame = made("span", share >= 0.9 ? "bar full" : "bar", fill);
  frame.setAttribute("aria-hidden", "true");
  return made("span", "measure", frame, text);
}

// One row; a value may be an element, or a pair of a value and the class of its cell.
export function row(values) {
  return made("tr", "", ...values.map(value => {
    const [content, className] = Array.isArray(value) ? value : [value, ""];
    const cell = made("td", className, content);
    if (className.includes("long")) cell.title = cell.textContent;
    return cell;
  }));
}

// Puts new rows into a table, unless somebody is just copying from it.
export function fill(id, rows) {
  const body = at(id);
  const chosen = getSelection();
  if (!chosen.isCollapsed && body.contains(chosen.anchorNode)) return;
  body.replaceChildren(...rows);
}
