// Numbers and times as people read them. A number that is not known is a dash.

const UNKNOWN = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const missing = (value) => value === null || value === undefined;

/** 1,234,567 */
export const whole = (value) => (missing(value) ? UNKNOWN : grouped.format(value));

/** A rate: 0.4, 12, 1,250. */
export function rate(value) {
  if (missing(value)) return UNKNOWN;
  if (value > 0 && value < 0.05) return "< 0.1";
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : grouped.format(value);
}

/** 97.3 %. Only all is 100 %: what is left never disappears in rounding. */
export function percent(share) {
  if (missing(share)) return UNKNOWN;
  return share === 1 ? "100 %" : `${(Math.floor(share * 1000 + 1e-9) / 10).toFixed(1)} %`;
}

/** Three digits of a number and a unit. */
function digits(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** 512 B, 1.50 KiB, 64.0 MiB: powers of 1024, as the settings are. */
export function size(bytes) {
  if (missing(bytes)) return UNKNOWN;
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : digits(value)} ${units[unit]}`;
}

/** A duration of a request: 8.2 µs, 41.0 ms, 1.20 s. */
export function took(seconds) {
  if (missing(seconds)) return UNKNOWN;
  if (seconds === Infinity) return "> 10 s";
  if (seconds < 0.0009995) return `${digits(seconds * 1e6)} µs`;
  return seconds < 0.9995 ? `${digits(seconds * 1e3)} ms` : `${digits(seconds)} s`;
}

/** A span of time: 12 s, 4 min 10 s, 3 h 5 min, 2 d 7 h. */
export function span(seconds) {
  if (missing(seconds)) return UNKNOWN;
  const all = Math.round(Math.abs(seconds));
  if (Math.abs(seconds) < 10) return `${Number(Math.abs(seconds).toFixed(1))} s`;
  if (all < 60) return `${all} s`;
  const steps = [
    [86400, "d", 3600, "h"],
    [3600, "h", 60, "min"],
    [60, "min", 1, "s"],
  ];
  const [large, name, small, rest] = steps.find(([unit]) => all >= unit);
  const left = Math.floor((all % large) / small);
  return `${Math.floor(all / large)} ${name}${left ? ` ${left} ${rest}` : ""}`;
}

/** A moment: its time of day, with the date where it was not today. */
export function moment(unixSeconds) {
  const then = new Date(unixSeconds * 1000);
  const time = then.toLocaleTimeString("en-GB");
  if (then.toDateString() === new Date().toDateString()) return time;
  return `${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** 1 process, 2 processes. */
export const count = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;
