// What the reports of the processes come to: outcomes, rates, percentiles. Numbers only; nothing here is drawn.

/** How a request can end, in the order in which it is shown. */
export const OUTCOMES = ["hit", "stale", "validated", "miss", "bypass"];

/** Upper bounds of a histogram's buckets in seconds, as `hotplate.watching.BOUNDS`; one more bucket is above them. */
export const BOUNDS = [
  5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** How long back the page remembers, and over how long it says what is the case now. Seconds. */
export const REMEMBERED = 300;
export const NOW = 10;

/** The sum of counts by name. */
export const total = (counts) => Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);

/** The requests of a report by outcome. */
export function outcomes({ counts, bypass }) {
  const { hits, stale, validated, misses } = counts;
  return { hit: hits, stale, validated, miss: misses, bypass: total(bypass) };
}

/** The share of what the cache could have answered that it did answer; null where nothing was asked. */
export function hitRate({ hit, stale, validated, miss }) {
  const answered = hit + stale + validated;
  return answered + miss > 0 ? answered / (answered + miss) : null;
}

/**
 * The time within which this share of a histogram lies, in seconds: null of an empty one, Infinity above the bounds.
 * Within a bucket the times are taken to be spread evenly.
 */
export function quantile({ count, buckets }, share) {
  const rank = share * count;
  let below = 0;
  for (const [place, inside] of buckets.entries()) {
    if (inside > 0 && below + inside >= rank) {
      const lower = place === 0 ? 0 : BOUNDS[place - 1];
      return place === BOUNDS.length ? Infinity : lower + ((BOUNDS[place] - lower) * (rank - below)) / inside;
    }
    below += inside;
  }
  return null;
}

function between(later, earlier) {
  if (!earlier) return later;
  const buckets = later.buckets.map((inside, place) => Math.max(0, inside - earlier.buckets[place]));
  return { buckets, count: buckets.reduce((sum, inside) => sum + inside, 0), sum: later.sum - earlier.sum };
}

function together(histograms) {
  const buckets = Array(BOUNDS.length + 1).fill(0);
  for (const one of histograms) one.buckets.forEach((inside, place) => (buckets[place] += inside));
  return { buckets, count: buckets.reduce((sum, inside) => sum + inside, 0), sum: 0 };
}

/**
 * What was reported in the last minutes. Rates are taken process by process: of a sum, a process that ends or begins
 * would look like traffic. A process reports at times of its own, and keeps its rate until it reports again.
 */
export class History {
  /** Moments, oldest first: when, and how many of each a second; `each` is null where nothing was heard. */
  samples = [];
  #processes = new Map();
  #heard = null;

  /** Takes in what all processes report now. `now` is this machine's time in seconds. */
  add(reports, now) {
    const each = Object.fromEntries([...OUTCOMES, "evictions"].map((name) => [name, 0]));
    const processes = new Map();
    const latest = Math.max(...reports.map((report) => report.at));
    for (const report of reports) {
      const known = this.#known(report);
      processes.set(report.process, known);
      const silent = report.at < latest - NOW;
      for (const name of Object.keys(each)) each[name] += silent ? 0 : known.rates[name];
    }
    const first = this.#processes.size === 0;
    this.#processes = processes;
    this.#heard = latest;
    this.samples.push({ time: now, each: first ? null : each });
    this.#forget(now);
  }

  /** Nothing was heard. */
  gap(now) {
    if (this.samples.at(-1)?.each !== null) this.samples.push({ time: now, each: null });
    this.#forget(now);
  }

  /** The mean of the seconds before a moment: a rate by outcome, or null. */
  around(time) {
    const near = this.samples.filter((one) => one.each && one.time <= time && one.time > time - NOW);
    if (!near.length) return null;
    const mean = (name) => near.reduce((sum, one) => sum + one.each[name], 0) / near.length;
    return Object.fromEntries(Object.keys(near[0].each).map((name) => [name, mean(name)]));
  }

  /** Requests a second of one process by outcome. */
  rateOf(process) {
    return this.#processes.get(process)?.rates ?? null;
  }

  /** The histogram of the minutes that are remembered. */
  latency(kind) {
    const parts = [...this.#processes.values()].map(({ reports }) => {
      const last = reports.at(-1).latency[kind];
      return last && between(last, reports[0].latency[kind]);
    });
    return together(parts.filter(Boolean));
  }

  #known(report) {
    const known = this.#processes.get(report.process) ?? { reports: this.#born(report), rates: null };
    const last = known.reports.at(-1);
    if (!known.rates || last.at !== report.at) {
      const seconds = last ? report.at - last.at : 0;
      const sofar = { ...outcomes(report), evictions: report.counts.evictions };
      const before = last && { ...outcomes(last), evictions: last.counts.evictions };
      const speed = ([name, count]) => [name, seconds > 0 ? Math.max(0, count - before[name]) / seconds : 0];
      known.rates = Object.fromEntries(Object.entries(sofar).map(speed));
      const { at, counts, bypass, latency } = report;
      known.reports.push({ at, counts, bypass, latency });
    }
    while (known.reports.length > 2 && known.reports[0].at < report.at - REMEMBERED) known.reports.shift();
    return known;
  }

  /** Where a process begins: from nothing, if it started since the last answer; else with what it reports first. */
  #born(report) {
    if (this.#heard === null || report.started <= this.#heard) return [];
    const counts = { hits: 0, stale: 0, validated: 0, misses: 0, evictions: 0 };
    return [{ at: report.started, counts, bypass: {}, latency: {} }];
  }

  #forget(now) {
    while (this.samples.length && this.samples[0].time < now - REMEMBERED - NOW) this.samples.shift();
  }
}
