// Graphs in SVG: the last minutes as lines and areas, and a histogram as bars.

import { draw, fill, write } from "./dom.js";
import { OUTCOMES, REMEMBERED } from "./figures.js";
import { rate } from "./words.js";

const LEFT = 44; // room for the labels of the axis
const BELOW = 18;
const ABOVE = 6;

/** How many seconds are shown: a minute at first, five in the end. */
export function shown(samples, now) {
  const known = samples.length ? now - samples[0].time : 0;
  return [60, 120, REMEMBERED].find((seconds) => seconds >= known) ?? REMEMBERED;
}

/** The lengths of this graph in its own pixels. */
function measure(svg, seconds) {
  const width = Math.max(svg.clientWidth, LEFT + 60);
  const height = Math.max(svg.clientHeight, 60);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const bottom = height - BELOW;
  return {
    right: width,
    bottom,
    x: (time, now) => LEFT + (width - LEFT) * (1 - (now - time) / seconds),
    y: (share) => bottom - (bottom - ABOVE) * share,
  };
}

/** The part of a graph with this class; made when it is first asked for. */
function part(svg, name) {
  return svg.querySelector(`.${name}`) ?? svg.appendChild(draw("g", { class: name }));
}

/** Levels with their labels at the left, and times with theirs below. */
function axes(svg, to, seconds, levels) {
  const lines = levels.map(([share, words]) => ({ x: LEFT - 8, y: to.y(share), words, across: true, anchor: "end" }));
  const step = seconds <= 120 ? seconds / 4 : 60;
  for (let ago = seconds; ago >= 0; ago -= step) {
    const anchor = ago === seconds ? "start" : ago ? "middle" : "end";
    const words = ago % 60 ? `−${ago} s` : ago ? `−${ago / 60} min` : "now";
    lines.push({ x: to.x(-ago, 0), y: to.bottom, words, across: false, anchor });
  }
  const create = () => draw("g", {}, draw("line"), draw("text"));
  fill(part(svg, "axes"), lines, create, (group, { x, y, words, across, anchor }) => {
    const [line, label] = group.children;
    const ends = across ? [LEFT, y, to.right, y] : [x, y, x, y + 4];
    ["x1", "y1", "x2", "y2"].forEach((name, place) => line.setAttribute(name, ends[place].toFixed(1)));
    label.setAttribute("x", x.toFixed(1));
    label.setAttribute("y", (across ? y + 3.5 : y + 15).toFixed(1));
    label.setAttribute("text-anchor", anchor);
    write(label, words);
  });
}

/** Runs of moments without a gap. */
function runs(samples, known) {
  const found = [];
  let open = null;
  for (const sample of samples) {
    if (!known(sample)) open = null;
    else if (open) open.push(sample);
    else found.push((open = [sample]));
  }
  return found;
}

const line = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function paths(svg, name, drawn) {
  fill(part(svg, name), drawn, () => draw("path"), (path, { kind, d }) => {
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
  });
}

/** A share over time, from 0 to 100 %. `samples`: when, and the share or null. */
export function shareOverTime(svg, samples, now) {
  const seconds = shown(samples, now);
  const to = measure(svg, seconds);
  axes(svg, to, seconds, [[1, "100 %"], [0.5, "50 %"], [0, "0 %"]]);
  const known = runs(samples.filter(({ time }) => time >= now - seconds), ({ share }) => share !== null);
  const at = ({ time, share }) => [to.x(time, now), to.y(share)];
  const under = (run) => {
    const points = run.map(at);
    return `${line([[points[0][0], to.bottom], ...points, [points.at(-1)[0], to.bottom]])}Z`;
  };
  paths(svg, "under", [{ kind: "share-under", d: known.map(under).join("") }]);
  // A moment alone is a dot: a line of no length with round ends.
  paths(svg, "lines", [{ kind: "share-line", d: known.map((run) => line([at(run[0]), ...run.map(at)])).join("") }]);
}

/** The next round number from a value on: 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}

/** Requests a second over time, one area on the other by outcome. */
export function outcomesOverTime(svg, samples, now) {
  const seconds = shown(samples, now);
  const to = measure(svg, seconds);
  const seen = samples.filter(({ time }) => time >= now - seconds);
  const sum = ({ each }) => (each ? OUTCOMES.reduce((all, outcome) => all + each[outcome], 0) : 0);
  const top = roundUp(Math.max(1, ...seen.map(sum)));
  axes(svg, to, seconds, [[1, rate(top)], [0.5, rate(top / 2)], [0, "0"]]);
  const known = runs(seen, ({ each }) => each !== null).filter((run) => run.length > 1);
  const floor = new Map(seen.map((sample) => [sample, 0]));
  const areas = OUTCOMES.map((outcome) => {
    const area = known.map((run) => {
      const lower = run.map((sample) => [to.x(sample.time, now), to.y(floor.get(sample) / top)]);
      for (const sample of run) floor.set(sample, floor.get(sample) + sample.each[outcome]);
      const upper = run.map((sample) => [to.x(sample.time, now), to.y(floor.get(sample) / top)]);
      return `${line([...upper, ...lower.reverse()])}Z`;
    });
    return { kind: `area ${outcome}`, d: area.join("") };
  });
  paths(svg, "areas", areas);
}

/** The place of a pointer on a graph of so many seconds as a time; null beside it. */
export function timeAt(svg, event, now, seconds) {
  const box = svg.getBoundingClientRect();
  const share = (event.clientX - box.left - LEFT) / (box.width - LEFT);
  return share < 0 || share > 1 ? null : now - seconds * (1 - share);
}

/** A mark at a time, or none. */
export function mark(svg, time, now, seconds) {
  const to = measure(svg, seconds);
  const d = time === null || time < now - seconds ? "" : `M${to.x(time, now).toFixed(1)} ${ABOVE}V${to.bottom}`;
  paths(svg, "marks", [{ kind: "mark", d }]);
}

/** A histogram's buckets as bars, each as high as its share of the fullest. */
export function bars(svg, buckets) {
  const most = Math.max(1, ...buckets);
  const height = (inside) => (inside ? Math.max(4, (inside / most) * 100) : 0);
  svg.setAttribute("viewBox", `0 0 ${buckets.length * 10} 100`);
  fill(svg, buckets, () => draw("rect", { width: 9 }), (bar, inside, place) => {
    bar.setAttribute("x", place * 10);
    bar.setAttribute("y", 100 - height(inside));
    bar.setAttribute("height", height(inside));
  });
}
