// The page: who may see it, when it asks, and what it shows of the answers.

import { Away, Outdated, Refused, Wrong, get, token } from "./api.js";
import { announce, figure, find, write } from "./dom.js";
import { History, OUTCOMES, hitRate } from "./figures.js";
import { mark, outcomesOverTime, shareOverTime, shown, timeAt } from "./graphs.js";
import { prepareInvalidation } from "./invalidate.js";
import { prepareLookup, urlOf } from "./lookup.js";
import * as panels from "./panels.js";
import { count, moment, percent, rate } from "./words.js";

const POLL_MILLISECONDS = 2000;
const DECISIONS = 100;
const TOKEN = /^[\x21-\x7e]+$/;

let history = new History();
let answer = null; // the last {stats, decisions}
let away = null; // since when there is no answer, and why
let timer = null;
let paused = false;
let turn = 0; // counts up with every question of the poll: an answer to an older one is not shown
let pointer = null; // the time at which the pointer is on a graph

const now = () => Date.now() / 1000;

// --- Asking --------------------------------------------------------------------------------------------------------

async function poll() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const stats = await get("stats");
    const { decisions } = await get("decisions", { most: DECISIONS });
    if (mine !== turn) return;
    answer = { stats, decisions };
    history.add(stats.processes, now());
    back();
    show();
  } catch (error) {
    if (mine !== turn || error instanceof Outdated) return;
    if (error instanceof Refused) return refuse(error);
    if (!(error instanceof Away || error instanceof Wrong)) console.error(error);
    history.gap(now());
    lost(error);
  }
  plan();
}

/** The next question, unless nobody looks. */
function plan() {
  clearTimeout(timer);
  if (!paused && !document.hidden && find("sign-in").hidden) timer = setTimeout(poll, POLL_MILLISECONDS);
}

/** Runs a request of a form. A refused token leads to the sign-in; other trouble is told by `tell`, or shown above. */
async function guard(request, tell) {
  try {
    await request();
  } catch (error) {
    if (error instanceof Outdated) return;
    if (error instanceof Refused) refuse(error);
    else if (!(error instanceof Away || error instanceof Wrong)) throw error;
    else if (tell) tell(error);
    else if (error instanceof Away) lost(error);
  }
}

// --- Who may see it ------------------------------------------------------------------------------------------------

/** The token is missing or no longer good: nothing is shown any more, and one is asked for. */
function refuse(error) {
  const had = token.get() !== null;
  const seen = answer !== null;
  const kept = seen ? "You are not let in any more." : error.status === 403 ? "You are not let in." : "";
  const why = !had ? kept : seen ? "The token has expired." : "This token is not accepted.";
  token.forget();
  clear();
  write(find("sign-in-why"), why && error.message ? `${why} The server says: ${error.message}` : why);
  find("sign-in").hidden = false;
  find("token").value = "";
  find("token").focus();
}

/** Takes everything away that was shown. */
function clear() {
  turn += 1;
  clearTimeout(timer);
  history = new History();
  answer = away = null;
  for (const place of ["main", "sections", "pause", "forget", "notice"]) find(place).hidden = true;
  write(find("state"), "");
  document.title = "hotplate";
  for (const list of document.querySelectorAll("main tbody, main dl, main ol")) if (list.id) list.replaceChildren();
  lookup.clear();
  invalidation.clear();
}

find("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = find("token").value.trim();
  if (!TOKEN.test(typed)) {
    write(find("sign-in-why"), "A token is made of visible ASCII characters, without blanks.");
    return;
  }
  write(find("sign-in-why"), "");
  token.set(typed);
  find("sign-in").hidden = true;
  poll();
});

find("forget").addEventListener("click", () => {
  token.forget();
  clear();
  write(find("sign-in-why"), "");
  find("sign-in").hidden = false;
  find("token").focus();
});

// --- Whether the server answers ------------------------------------------------------------------------------------

function lost(error) {
  if (!away) {
    away = { since: now() };
    announce("The server does not answer.");
  }
  const known = error instanceof Away || error instanceof Wrong;
  const what = known ? "No answer from the server" : "The answers could not be shown";
  const before = answer ? " What is shown is from before." : "";
  write(find("notice"), `${what} since ${moment(away.since)} (${error.message}).${paused ? "" : " Trying again."}${before}`);
  find("notice").hidden = false;
  document.body.classList.add("away");
  if (answer) graphs();
}

function back() {
  if (away) announce("The server answers again.");
  away = null;
  find("notice").hidden = true;
  document.body.classList.remove("away");
}

// --- Showing -------------------------------------------------------------------------------------------------------

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function show() {
  const { stats, decisions } = answer;
  const { sum, processes } = stats;
  const first = find("main").hidden;
  for (const place of ["main", "sections", "pause"]) find(place).hidden = false;
  find("forget").hidden = token.get() === null;

  const rates = history.around(now());
  panels.showOutcomes(sum, rates, stats.auth_failures);
  panels.showMemory(sum, rates);
  panels.showTier(processes);
  panels.showProcesses(processes, (process) => history.rateOf(process));
  panels.showRules(sum);
  panels.showLog(sum.invalidations);
  chosenPanels();
  decided(decisions);
  graphs();
  state(processes);
  if (first) {
    announce("The figures are shown.");
    if (document.activeElement === document.body) find("main").focus({ preventScroll: true });
  }
}

function decided(decisions) {
  panels.showDecisions(decisions, find("decisions-filter").value, (decision) => lookup.show(urlOf(decision.url)));
}

/** The panels with a choice of their own. */
function chosenPanels() {
  if (!answer) return;
  const { sum } = answer.stats;
  const recent = chosen("latency") === "recent";
  const kinds = Object.entries(sum.latency).map(([kind, all]) => [kind, recent ? history.latency(kind) : all]);
  panels.showLatency(Object.fromEntries(kinds));
  panels.showTopKeys(sum, chosen("keys"), (item) => lookup.show(item.key || item.name));
  panels.showTopTags(sum, chosen("tags"), (item) => invalidation.name("tags", item.name));
}

function state(processes) {
  const hosts = new Set(processes.map((report) => report.host)).size;
  const where = hosts > 1 ? ` on ${hosts} hosts` : "";
  const when = paused ? `paused at ${moment(now())}` : moment(now());
  write(find("state"), `${count(processes.length, "process", "processes")}${where} · ${when}`);
}

function graphs() {
  const time = now();
  const shares = history.samples.map((sample) => {
    const near = sample.each && history.around(sample.time);
    return { time: sample.time, share: near && hitRate(near) };
  });
  shareOverTime(find("hit-rate-graph"), shares, time);
  outcomesOverTime(find("outcome-graph"), history.samples, time);
  const near = history.around(time);
  const share = near && hitRate(near);
  figure(find("hit-rate-now"), share, percent(share));
  document.title = share === null ? "hotplate" : `${percent(share)} · hotplate`;
  readout(time);
}

/** What the pointer is on, in figures. */
function readout(time) {
  for (const name of ["hit-rate-graph", "outcome-graph"]) mark(find(name), pointer, time, shown(history.samples, time));
  const sample = pointer === null ? null : nearest(history.samples, pointer);
  const near = sample?.each && history.around(sample.time);
  const words = near && [
    moment(sample.time),
    percent(hitRate(near)),
    ...OUTCOMES.filter((outcome) => sample.each[outcome] > 0).map((outcome) => `${outcome} ${rate(sample.each[outcome])}/s`),
  ];
  write(find("readout"), words ? words.join("   ") : "");
}

function nearest(samples, time) {
  const distance = (sample) => Math.abs(sample.time - time);
  const found = samples.reduce((best, one) => (best && distance(best) <= distance(one) ? best : one), null);
  return found && distance(found) < 5 ? found : null;
}

// --- What the visitor does -----------------------------------------------------------------------------------------

const invalidation = prepareInvalidation(guard, poll);
const lookup = prepareLookup(guard, (kind, name) => invalidation.name(kind, name));

for (const name of ["hit-rate-graph", "outcome-graph"]) {
  find(name).addEventListener("pointermove", (event) => {
    const time = now();
    pointer = timeAt(find(name), event, time, shown(history.samples, time));
    readout(time);
  });
  find(name).addEventListener("pointerleave", () => {
    pointer = null;
    readout(now());
  });
}
for (const choice of document.querySelectorAll(".choice input")) choice.addEventListener("change", chosenPanels);
find("decisions-filter").addEventListener("input", () => answer && decided(answer.decisions));
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  write(find("pause"), paused ? "Resume" : "Pause");
  if (paused) {
    clearTimeout(timer);
    if (answer) state(answer.stats.processes);
  } else {
    history.gap(now());
    poll();
  }
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return clearTimeout(timer);
  if (!paused && find("sign-in").hidden) {
    history.gap(now());
    poll();
  }
  return undefined;
});
new ResizeObserver(() => answer && graphs()).observe(find("outcome-graph"));

poll();
