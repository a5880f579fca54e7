// The look-up of one URL or key: what is stored of it, and what a request for it would get.

import { Outdated, Wrong, get } from "./api.js";
import { announce, find, make, write } from "./dom.js";
import { count, size, span } from "./words.js";

const KEY = /^[0-9a-f]{32}$/i;

/** How the text is asked for: `{url}` or `{key}`. */
function meant(what) {
  if (what.startsWith("/") || /^https?:\/\//i.test(what)) return { url: what };
  return { key: KEY.test(what) ? what.toLowerCase() : what };
}

/** The URL of a decision, which names host, path and query: of this host, by the scheme the server itself sees. */
export function urlOf(decided) {
  return decided.startsWith(`${location.host}/`) ? decided.slice(location.host.length) : `${location.protocol}//${decided}`;
}

/** Makes the form work. `guard` runs a request and minds a refused token; `invalidate` fills in the other form. */
export function prepareLookup(guard, invalidate) {
  const form = find("lookup-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const what = find("lookup-what").value.trim();
    if (what) guard(() => look(what, find("lookup-partition").value, invalidate));
  });
  return {
    /** Looks a key up that was pressed elsewhere. */
    show(what) {
      find("lookup-what").value = what;
      find("lookup-partition").value = "";
      find("lookup-what").focus();
      form.requestSubmit();
    },
    clear() {
      form.reset();
      find("lookup-result").hidden = true;
      find("lookup-entries").replaceChildren();
      for (const place of ["lookup-sentence", "lookup-none"]) write(find(place), "");
      find("lookup-error").hidden = true;
    },
  };
}

let latest = 0;

async function look(what, partition, invalidate) {
  const mine = ++latest;
  const asked = meant(what);
  const error = find("lookup-error");
  let entries, sentence;
  try {
    ({ entries } = await get("entry", { ...asked, partition }));
    sentence = asked.url ? await explained(asked) : "";
  } catch (problem) {
    if (mine === latest && !(problem instanceof Outdated)) {
      error.hidden = !(problem instanceof Wrong);
      write(error, problem.message);
      find("lookup-result").hidden = true;
    }
    throw problem;
  }
  if (mine !== latest) return;
  error.hidden = true;
  find("lookup-result").hidden = false;
  write(find("lookup-sentence"), sentence);
  write(find("lookup-none"), entries.length ? "" : `Nothing is stored for ${what}.`);
  find("lookup-entries").replaceChildren(...entries.map((entry) => card(entry, asked, invalidate)));
  announce(entries.length ? `${count(entries.length, "entry", "entries")} stored.` : "Nothing is stored.");
}

/** What a request would get; what keeps that from being said is said instead. */
async function explained(asked) {
  try {
    return (await get("explain", asked)).sentence;
  } catch (problem) {
    if (problem instanceof Wrong) return problem.message;
    throw problem;
  }
}

/** Whether it can be served, in a word and a class. */
function state({ valid, soft, ttl, kind }) {
  if (!valid) return ["invalidated", "bad"];
  if (kind !== "response" && kind !== "value") return [kind, "none"];
  if (soft) return ["soft-invalidated", "poor"];
  return ttl > 0 ? ["fresh", "good"] : ["stale", "poor"];
}

function card(entry, asked, invalidate) {
  const [word, gravity] = state(entry);
  const kind = entry.status === null ? entry.kind : `${entry.kind} ${entry.status}`;
  const head = make("p", { class: "line" }, make("span", { class: `light ${gravity}` }), make("strong", {}, word));
  const facts = [kind, `${entry.tier} tier`, size(entry.bytes), count(entry.hits, "hit", "hits")];
  if (entry.partitioned) facts.push("of one partition");
  head.append(make("span", { class: "note" }, facts.join(" · ")));
  const parts = [make("h3", {}, entry.name), head];
  if (entry.ttl > 0 || entry.age > 0) parts.push(lifetime(entry));
  parts.push(make("dl", { class: "facts" }, ...details(entry).flatMap(pair)));
  const tag = (name) => press(name, `Invalidate tag ${name}`, () => invalidate("tags", name));
  const tags = make("p", { class: "chips" }, make("span", { class: "note" }, "tags"), ...entry.tags.map(tag));
  if (entry.tags.length) parts.push(tags);
  if (entry.headers.length) parts.push(headers(entry.headers));
  const key = entry.kind === "value" ? entry.name : asked.key;
  const target = asked.url ? ["paths", path(asked.url)] : ["keys", key];
  parts.push(press("Invalidate…", `Invalidate ${entry.name}`, () => invalidate(...target)));
  return make("li", { class: entry.valid ? "entry" : "entry gone" }, ...parts);
}

/** The path as rules see it: decoded, without the query. */
function path(url) {
  const { pathname } = new URL(url, location.origin);
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

/** How much of the lifetime has passed. */
function lifetime({ age, ttl }) {
  const share = Math.max(0, ttl) / (age + Math.max(0, ttl));
  const bar = make("meter", { min: 0, max: 1, value: share, "aria-label": "lifetime left" });
  const left = ttl >= 0 ? `${span(ttl)} left` : `stale for ${span(ttl)}`;
  return make("p", { class: "lifetime" }, bar, make("span", {}, `age ${span(age)}, ${left}`));
}

function details(entry) {
  const found = [["key", entry.key]];
  if (entry.stale_while_revalidate) found.push(["stale while revalidate", span(entry.stale_while_revalidate)]);
  if (entry.stale_if_error) found.push(["stale if error", span(entry.stale_if_error)]);
  if (entry.vary.length) found.push(["varies on", entry.vary.join(", ")]);
  return found;
}

const pair = ([name, value]) => [make("dt", {}, name), make("dd", {}, value)];

function press(words, label, action) {
  const button = make("button", { type: "button", class: "chip", "aria-label": label }, words);
  button.addEventListener("click", action);
  return button;
}

function headers(lines) {
  const list = make("dl", { class: "fields" }, ...lines.flatMap(pair));
  return make("details", {}, make("summary", {}, count(lines.length, "field line", "field lines")), list);
}
