// Times and numbers in words.

let skew = 0; // server's clock minus ours, seconds

// The server says what time it is there.
export function follow(at) {
  skew = at - Date.now() / 1000;
}

export const now = () => Date.now() / 1000 + skew;

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d${two(Math.floor((s % 86400) / 3600))}h`;
}

export const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hourCycle: "h23" });
const day = (at) => new Date(at * 1000).toDateString();
// With its date where that is not today's: events of past days are shown, too.
export function moment(at) {
  if (day(at) === day(now())) return clock(at);
  return `${new Date(at * 1000).toLocaleDateString([], { month: "short", day: "numeric" })} ${clock(at)}`;
}

export const plural = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;
export const number = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");
export const rateText = (rate) => (rate === null ? "–" : rate >= 100 ? number(Math.round(rate)) : rate.toFixed(1));
export const lateText = (ms) => (ms ? (ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toPrecision(2)} ms`) : "–");
