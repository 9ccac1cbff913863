// The server as a whole and its shards, from the events that it sends.

import { Chart } from "./chart.js";
import { at, bar, bytes, count, percent, row, say, shorter, span } from "./figures.js";

const rates = new Chart(at("rates"), "Messages per second", largest => {
  // Up to a round number.
  const power = 10 ** Math.floor(Math.log10(Math.max(1, largest)));
  const top = [1, 2, 5, 10].map(factor => factor * power).find(top => top >= Math.max(1, largest));
  return {
    height: value => value / top,
    marks: [[0, "0"], [0.5, count(top / 2)], [1, count(top)]],
    told: `at most ${count(largest)}`,
  };
});

// A class of times ends at twice the time of the one before, the first at 1.024 µs.
const classEnd = index => 1.024e-6 * 2 ** index;

const turns = new Chart(at("turns"), "Time of a turn", largest => {
  const top = Math.max(10, Math.ceil(Math.log2(Math.max(1, largest / classEnd(0)))));
  const marked = [0, Math.round(top / 2), top];
  return {
    height: value => Math.log2(value / classEnd(0)) / top,
    marks: marked.map(index => [index / top, span(classEnd(index))]),
    told: `at most ${span(largest)}`,
  };
});

// The end of the class in which a share of the times is, or null if there was none.
function quantile(classes, share) {
  const all = classes.reduce((sum, times) => sum + times, 0);
  if (!all) return null;
  let left = Math.max(1, Math.ceil(all * share));
  return classEnd(classes.findIndex(times => (left -= times) <= 0));
}

// The last class has no end.
function bound(classes, share) {
  const end = quantile(classes, share);
  const last = classEnd(classes.length - 2);
  if (end === null) return "–";
  return end > last ? "> " + span(last) : "≤ " + span(end);
}

let last = null;

// What comes next does not continue what came before.
export function interrupt() { last = null; }

export function show(event) {
  const before = last;
  last = event;
  tell(event);
  say("connections_now", count(event.connections), "of " + count(event.connections_max));
  say("subscriptions_now", count(event.subscriptions));
  say("cpu", percent(event.cpu / 100), "of a core");
  say("mem", bytes(event.mem));
  say("slow_now", count(event.slow_consumers), "ever");
  at("slow_now").className = before && event.slow_consumers > before.slow_consumers ? "bad" : "";
  const seconds = before ? (Date.parse(event.now) - Date.parse(before.now)) / 1000 : 0;
  if (!(seconds > 0)) return;
  const rate = (now, then) => Math.max(0, now - then) / seconds;
  for (const name of ["in_msgs", "out_msgs", "dropped"]) say(name, count(Math.round(rate(event[name], before[name]))), "/s");
  for (const name of ["in_bytes", "out_bytes"]) say(name, bytes(rate(event[name], before[name])), "/s");
  rates.add([rate(event.in_msgs, before.in_msgs), rate(event.out_msgs, before.out_msgs)]);
  const since = name => event.shards.map((shard, index) => {
    const then = before.shards[index] || shard;
    return shard[name].map((times, place) => Math.max(0, times - then[name][place]));
  });
  const [lately, onLanes] = [since("turn_times"), since("lane_times")];
  const together = lately.reduce((sums, classes) => sums.map((sum, place) => sum + classes[place]));
  turns.add([quantile(together, 0.5), quantile(together, 0.99)]);
  at("shards").replaceChildren(...event.shards.map((shard, index) => {
    const then = before.shards[index] || shard;
    const work = Math.min(1, rate(shard.busy_us, then.busy_us) / 1e6);
    return row([
      index, [bar(work, percent(work)), "left"], count(Math.round(rate(shard.turns, then.turns))),
      bound(lately[index], 0.99), bound(onLanes[index], 0.99), count(Math.round(rate(shard.in_msgs, then.in_msgs))),
      count(Math.round(rate(shard.out_msgs, then.out_msgs))), count(shard.connections), [count(shard.waiting), shard.waiting ? "bad" : ""],
    ]);
  }));
}

// Whether it is well.
function tell(event) {
  const state = at("state");
  state.dataset.is = event.lame_duck ? "lame" : "live";
  const text = `${event.lame_duck ? "lame duck mode" : "live"} · up ${shorter(event.uptime)} · trunkline ${event.version}`;
  // Read out only when it says something new.
  if (state.textContent !== text) state.textContent = text;
  const banner = at("banner");
  const alarm = event.lame_duck
    ? `Lame duck mode: the server takes no new clients and sends away those it has. ${count(event.connections)} left.`
    : "";
  if (banner.textContent !== alarm) banner.textContent = alarm;
  banner.hidden = !alarm;
}

export function tellLost() {
  at("state").dataset.is = "lost";
  at("state").textContent = "no connection, trying again";
}
