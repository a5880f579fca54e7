// The figures: every panel that shows a report. Each function writes one panel; none remembers anything.

import { button, figure, fill, find, make, number, rows, text, write } from "./dom.js";
import { BOUNDS, OUTCOMES, hitRate, outcomes, quantile, total } from "./figures.js";
import { bars } from "./graphs.js";
import { count, moment, percent, rate, size, span, took, whole } from "./words.js";

const OTHER_COUNTS = [
  ["stored", "stored"],
  ["collapsed", "waited for another’s load"],
  ["refreshes", "refreshed behind"],
  ["failed_loads", "loads failed"],
  ["invalidations", "invalidations"],
];
const KINDS = [
  ["hit", "hit"],
  ["miss", "miss"],
  ["shared", "shared"],
  ["load", "load"],
];

/** Names and what they are worth: `[name, value, words]`. */
function facts(list, pairs) {
  const parts = pairs.flatMap(([name, value, words]) => [["dt", name], ["dd", value, words]]);
  if (list.children.length !== parts.length) list.replaceChildren(...parts.map(([tag]) => make(tag)));
  parts.forEach(([tag, first, words], place) => {
    if (tag === "dt") write(list.children[place], first);
    else figure(list.children[place], first, words);
  });
}

/** Requests by outcome, and what else was counted. */
export function showOutcomes(sum, rates, refusedTokens) {
  const totals = outcomes(sum);
  const all = total(totals);
  const items = OUTCOMES.map((outcome) => ({ outcome, total: totals[outcome], rate: rates?.[outcome] ?? null }));
  rows(find("outcomes"), items, [
    (cell, { outcome }) => {
      if (!cell.firstChild) cell.append(make("span", { class: `swatch ${outcome}` }), outcome);
    },
    number((item) => item.rate, rate),
    number((item) => (all ? item.total / all : null), percent),
    number((item) => item.total, whole),
  ]);
  figure(find("all-rate"), rates && total(pick(rates)), rate(rates && total(pick(rates))));
  figure(find("all-total"), all, whole(all));
  figure(find("hit-rate"), hitRate(totals), percent(hitRate(totals)));
  const counted = OTHER_COUNTS.map(([name, words]) => [words, sum.counts[name], whole(sum.counts[name])]);
  if (refusedTokens !== undefined) counted.push(["tokens refused", refusedTokens, whole(refusedTokens)]);
  facts(find("counts"), counted);
}

const pick = (rates) => Object.fromEntries(OUTCOMES.map((outcome) => [outcome, rates[outcome]]));

/** How long each kind took. `latency`: histograms by kind. */
export function showLatency(latency) {
  const items = KINDS.map(([kind, words]) => ({ kind, words, histogram: latency[kind] })).filter((item) => item.histogram);
  const within = (share) => number(({ histogram }) => quantile(histogram, share), took);
  rows(find("latency"), items, [
    text((item) => item.words),
    (cell, { kind, words, histogram }) => {
      let svg = cell.firstElementChild;
      if (!svg) {
        svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        svg.setAttribute("preserveAspectRatio", "none");
        svg.setAttribute("role", "img");
        cell.append(svg);
      }
      svg.setAttribute("class", `bars ${kind}`);
      svg.setAttribute("aria-label", `distribution of ${words}, ${BOUNDS.length + 1} buckets`);
      bars(svg, histogram.buckets);
    },
    within(0.5),
    within(0.95),
    within(0.99),
    number(({ histogram }) => histogram.count, whole),
  ]);
  const [hit, miss] = ["hit", "miss"].map((kind) => latency[kind] && quantile(latency[kind], 0.5));
  const known = hit && miss && hit < miss && miss !== Infinity;
  write(find("faster"), known ? `The median miss takes ${rate(miss / hit)} times as long as the median hit.` : "");
}

/** What is kept in the processes' memory. */
export function showMemory(sum, rates) {
  figure(find("bytes"), sum.bytes, size(sum.bytes));
  figure(find("max-bytes"), sum.max_bytes, size(sum.max_bytes));
  const share = sum.max_bytes ? sum.bytes / sum.max_bytes : 0;
  const meter = find("fullness");
  meter.value = share;
  meter.textContent = percent(share);
  figure(find("entries"), sum.entries, whole(sum.entries));
  figure(find("evictions"), sum.counts.evictions, whole(sum.counts.evictions));
  figure(find("evictions-rate"), rates?.evictions ?? null, rate(rates?.evictions ?? null));
}

/** How one process stands with the shared tier: a word, and how grave it is. */
function standing({ shared }) {
  if (!shared) return ["in memory", "none"];
  if (!shared.up) return [shared.breaker === "open" ? "down, breaker open" : "down", "bad"];
  if (shared.breaker && shared.breaker !== "closed") return [`breaker ${shared.breaker}`, "poor"];
  return shared.certain ? ["up", "good"] : ["up, log not read", "poor"];
}

const GRAVITY = ["none", "good", "poor", "bad"];

/** The shared tier as all processes see it; the worst of them decides the word. */
export function showTier(processes) {
  const seen = processes.map((report) => ({ report, standing: standing(report) }));
  seen.sort((one, other) => GRAVITY.indexOf(other.standing[1]) - GRAVITY.indexOf(one.standing[1]));
  const [words, gravity] = seen[0].standing;
  const shared = processes.map((report) => report.shared).filter(Boolean);
  find("tier-light").className = `light ${gravity}`;
  write(find("tier-word"), words[0].toUpperCase() + words.slice(1));
  write(find("tier-trouble"), trouble(seen[0].report, processes.length));
  if (!shared.length) return facts(find("tier-facts"), []);
  const sum = (name) => shared.reduce((all, one) => all + (one[name] ?? 0), 0);
  const most = (name) => Math.max(...shared.map((one) => one[name] ?? 0));
  const servers = [...new Set(shared.map((one) => one.server).filter(Boolean))].join(", ") || "–";
  const breakers = [...new Set(shared.map((one) => one.breaker).filter(Boolean))].join(", ") || "–";
  const up = shared.filter((one) => one.up).length;
  const reasons = (name) =>
    Object.entries(merged(shared, name)).map(([reason, times]) => [`${name}, ${reason}`, times, whole(times)]);
  return facts(find("tier-facts"), [
    ["server", servers, servers],
    ["connected", up, `${whole(up)} of ${whole(shared.length)}`],
    ["breaker", breakers, breakers],
    ["position", most("position"), whole(most("position"))],
    ["log lag", most("log_lag"), count(most("log_lag"), "record", "records")],
    ["epoch", most("epoch"), whole(most("epoch"))],
    ["found", sum("hits"), whole(sum("hits"))],
    ["not found", sum("misses"), whole(sum("misses"))],
    ["written", sum("stored"), whole(sum("stored"))],
    ...reasons("faults"),
    ...reasons("unreadable"),
  ]);
}

function trouble({ shared }, processes) {
  if (shared) return shared.trouble ?? "";
  return processes === 1 ? "No server: what is stored is this process’s own." : "Each process stores for itself.";
}

function merged(shared, name) {
  const sums = {};
  for (const one of shared)
    for (const [reason, times] of Object.entries(one[name] ?? {})) sums[reason] = (sums[reason] ?? 0) + times;
  return sums;
}

/** One row for each process. */
export function showProcesses(processes, rateOf) {
  rows(find("processes"), processes, [
    text((report) => report.process),
    number((report) => report.at - report.started, span),
    number((report) => total(outcomes(report)), whole),
    number((report) => requestRate(rateOf(report.process)), rate),
    number((report) => hitRate(outcomes(report)), percent),
    number((report) => report.entries, whole),
    number((report) => report.bytes, size),
    number((report) => report.bridge_queue, whole),
    number((report) => report.shared?.log_lag ?? null, whole),
    (cell, report) => {
      const [words, gravity] = standing(report);
      if (!cell.firstChild) cell.append(make("span"), make("span"));
      cell.children[0].className = `light ${gravity}`;
      write(cell.children[1], words);
    },
  ]);
}

const requestRate = (rates) => rates && total(pick(rates));

/** The keys and tags that are hit most, or weigh most. `by`: "hits" or "bytes". */
export function showTopKeys(sum, by, press) {
  const keys = sum.top[`keys_by_${by}`] ?? [];
  rows(find("top-keys"), keys, [
    button((item) => item.name, "Look up", press),
    number((item) => item.hits, whole),
    number((item) => item.bytes, size),
  ]);
  const none = by === "hits" ? "Nothing that is stored has been hit." : "Nothing is stored.";
  write(find("no-keys"), keys.length ? "" : none);
}

/** The same for tags. */
export function showTopTags(sum, by, press) {
  const tags = sum.top[`tags_by_${by}`] ?? [];
  rows(find("top-tags"), tags, [
    button((item) => item.name, "Invalidate tag", press),
    number((item) => item.entries, whole),
    number((item) => item.hits, whole),
    number((item) => item.bytes, size),
  ]);
  const none = by === "hits" ? "Nothing that has a tag has been hit." : "Nothing that is stored has a tag.";
  write(find("no-tags"), tags.length ? "" : none);
}

/** Outcomes by rule, and why requests were not answered from the cache. */
export function showRules(sum) {
  rows(find("rules"), sum.rules, [
    text((item) => item.rule),
    ...OUTCOMES.map((outcome) => number((item) => item[outcome], whole)),
    number(hitRate, percent),
  ]);
  for (const [place, reasons] of [["bypass", sum.bypass], ["not-stored", sum.not_stored]]) {
    const sorted = Object.entries(reasons).sort((one, other) => other[1] - one[1]);
    const shown = sorted.map(([reason, times]) => [reason, times, whole(times)]);
    facts(find(place), shown.length ? shown : [["none", null, ""]]);
  }
}

/** The last invalidations, newest first. */
export function showLog(invalidations) {
  const create = () => make("li", {}, make("time"), make("b"), make("span", { class: "note" }));
  fill(find("log"), invalidations, create, (item, { at, target, soft, position, process }) => {
    when(item.children[0], at);
    write(item.children[1], target);
    const where = [soft ? "soft" : "hard", position ? `position ${whole(position)}` : "", process];
    write(item.children[2], where.filter(Boolean).join(" · "));
  });
  find("no-log").hidden = invalidations.length > 0;
}

/** The last decisions with these letters in them, newest first. */
export function showDecisions(decisions, filter, press) {
  const wanted = filter.trim().toLowerCase();
  const has = (one) => [one.method, one.url, one.outcome, one.reason, one.sentence].join(" ").toLowerCase().includes(wanted);
  const shown = decisions.filter(has);
  const create = () => {
    const [outcome, name, spent] = [make("span", { class: "outcome" }), make("b"), make("span", { class: "took" })];
    const request = make("p", { class: "request" }, outcome, name, spent);
    return make("li", {}, make("time"), request, make("p", { class: "sentence" }));
  };
  const name = button(({ method, url }) => `${method} ${url}`, "Look up", press);
  fill(find("decisions-list"), shown, create, (item, decision) => {
    const { at, outcome, sentence, seconds } = decision;
    const [time, head, why] = item.children;
    when(time, at);
    head.children[0].className = `outcome ${OUTCOMES.includes(outcome) ? outcome : ""}`;
    write(head.children[0], outcome);
    name(head.children[1], decision);
    write(head.children[2], seconds === null ? "" : took(seconds));
    write(why, sentence);
  });
  find("no-decisions").hidden = shown.length > 0;
}

function when(node, unixSeconds) {
  node.setAttribute("datetime", new Date(unixSeconds * 1000).toISOString());
  write(node, moment(unixSeconds));
}
