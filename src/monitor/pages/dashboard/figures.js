// Figures as people read them, and cells to put them into. Text goes into the page as text, whoever wrote it.

// With `digits` digits that count, and no zeros behind the point.
const scaled = (value, step, digits, units) => {
  let unit = 0;
  while (value >= step * 0.9995 && unit < units.length - 1) { value /= step; unit++; }
  const behind = Math.max(0, digits - Math.max(1, Math.trunc(value).toString().length));
  return parseFloat(value.toFixed(behind)) + units[unit];
};

export const count = value => scaled(value, 1000, 3, ["", " k", " M", " G", " T"]);
export const bytes = value => scaled(Math.round(value), 1024, 3, [" B", " KiB", " MiB", " GiB", " TiB"]);
export const span = seconds => scaled(seconds * 1e6, 1000, 2, [" µs", " ms", " s"]);
export const percent = share => scaled(share * 100, 1e9, 2, [" %"]);
// Go writes 1h2m3s and 1.234567ms: the first two parts, two digits behind the point.
export const shorter = text => (text || "").replace(/^(\d+\w\d+\w).*$/, "$1").replace(/(\.\d\d)\d+/, "$1");

export const at = id => document.getElementById(id);

export function made(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

export function say(id, text, rest) {
  at(id).replaceChildren(text, ...(rest ? [" ", made("small", "", rest)] : []));
}

export function bar(share, text) {
  const fill = made("i");
  fill.style.width = Math.min(100, share * 100).toFixed(1) + "%";
  const frame = made("span", share >= 0.9 ? "bar full" : "bar", fill);
  frame.setAttribute("aria-hidden", "true");
  return made("span", "", frame, text);
}

// One row; a value may be an element, or a pair of a value and the class of its cell.
export function row(values) {
  return made("tr", "", ...values.map(value => {
    const [content, className] = Array.isArray(value) ? value : [value, ""];
    const cell = made("td", className, content);
    if (className.includes("long") && typeof content === "string") cell.title = content;
    return cell;
  }));
}
