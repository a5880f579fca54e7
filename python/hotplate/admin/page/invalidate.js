// The form that invalidates: it shows what would match while one types, and asks before it does anything.

import { Outdated, Wrong, post } from "./api.js";
import { announce, fill, find, make, write } from "./dom.js";
import { count, size, whole } from "./words.js";

const KINDS = { tags: "tag", paths: "path", prefixes: "prefix", keys: "key" };
const PAUSE_MILLISECONDS = 300;

const lines = (kind) => [...new Set(find(`invalidate-${kind}`).value.split("\n").map((one) => one.trim()))].filter(Boolean);

/** What the form names, as the API takes it. */
function targets() {
  const everything = find("invalidate-everything").checked;
  const named = Object.keys(KINDS).map((kind) => [kind, everything ? [] : lines(kind)]);
  return { ...Object.fromEntries(named), everything };
}

const none = (asked) => !asked.everything && Object.keys(KINDS).every((kind) => !asked[kind].length);

function problem(place, error) {
  const node = find(place);
  node.hidden = !error;
  write(node, error ? error.message : "");
}

/** Makes the form work. `guard` runs a request and minds a refused token; `done` is told when something was invalidated. */
export function prepareInvalidation(guard, done) {
  const form = find("invalidate-form");
  const dialog = find("confirm");
  const preview = previewer(guard);
  let asked = null;

  const changed = () => {
    find("invalidate-targets").disabled = find("invalidate-everything").checked;
    find("invalidate-done").hidden = true;
    problem("invalidate-error", null);
    preview.soon();
  };
  form.addEventListener("input", changed);
  form.addEventListener("keydown", (event) => {
    // As in a field of one line: Enter asks. A new line takes Shift.
    if (event.key === "Enter" && event.target.localName === "textarea" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const named = targets();
    if (none(named)) {
      problem("invalidate-error", new Wrong("Name what to invalidate, or everything."));
      find("invalidate-tags").focus();
      return;
    }
    guard(async () => {
      let match;
      try {
        match = await post("preview", named);
      } catch (error) {
        if (!(error instanceof Outdated)) problem("invalidate-error", error);
        throw error;
      }
      asked = { ...named, soft: find("invalidate-soft").checked };
      question(asked, match);
      if (!dialog.open) dialog.showModal();
    });
  });
  find("confirm-no").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    asked = null;
  });
  find("confirm-yes").addEventListener("click", () => {
    const agreed = asked;
    find("confirm-yes").disabled = true;
    guard(async () => {
      const { position } = await post("invalidate", agreed);
      dialog.close();
      form.reset();
      changed();
      finished(agreed, position);
      done();
    }, (error) => problem("confirm-error", error)).finally(() => {
      find("confirm-yes").disabled = false;
    });
  });

  return {
    /** Puts a target into the form: one of the kind "tags", "paths", "prefixes" or "keys". */
    name(kind, added) {
      find("invalidate-everything").checked = false;
      const writable = added === added.trim() && !/[\r\n]/.test(added);
      if (writable) find(`invalidate-${kind}`).value = [...new Set([...lines(kind), added])].join("\n");
      changed();
      find(`invalidate-${kind}`).focus();
      const why = "has a line break, or a blank at one of its ends: this form cannot write it. Use the API.";
      if (!writable) problem("invalidate-error", new Wrong(`${JSON.stringify(added)} ${why}`));
    },
    clear() {
      dialog.close();
      form.reset();
      changed();
      question({ tags: [], paths: [], prefixes: [], keys: [] }, { entries: 0, bytes: 0, names: [] });
    },
  };
}

/** Shows below the form what it would match. */
function previewer(guard) {
  let timer = null;
  let latest = 0;
  const show = (...parts) => find("preview").replaceChildren(...parts);
  return {
    soon() {
      clearTimeout(timer);
      const mine = ++latest;
      const named = targets();
      if (none(named)) return show();
      timer = setTimeout(() => {
        guard(async () => {
          const match = await post("preview", named);
          if (mine === latest) show(make("p", {}, sentence(match)), examples(match));
        }, (error) => mine === latest && show(make("p", { class: "wrong" }, error.message)));
      }, PAUSE_MILLISECONDS);
      return undefined;
    },
  };
}

const sentence = ({ entries, bytes }) =>
  entries ? `Matches ${count(entries, "entry", "entries")}, ${size(bytes)}, in the memory of the process that answered.`
    : "Matches nothing in the memory of the process that answered.";

const examples = ({ names }) => make("ul", { class: "names" }, ...names.slice(0, 5).map((name) => make("li", {}, name)));

/** Writes the dialog's question. */
function question(asked, { entries, bytes, names }) {
  const named = Object.entries(KINDS).flatMap(([kind, word]) => asked[kind].map((name) => [word, name]));
  const items = asked.everything ? [["", "everything that is stored"]] : named;
  const create = () => make("li", {}, make("span", { class: "note" }), make("b"));
  fill(find("confirm-targets"), items, create, (item, [word, name]) => {
    write(item.children[0], word);
    write(item.children[1], name);
  });
  write(find("confirm-title"), asked.soft ? "Invalidate softly?" : "Invalidate?");
  write(find("confirm-match"), sentence({ entries, bytes }));
  fill(find("confirm-names"), names, () => make("li"), (item, name) => write(item, name));
  const soft = "Soft: it is served stale, for its old lifetime at most, until one refresh has brought an answer.";
  const hard = "Hard: nothing that was loaded before now is served again. The next requests run the handlers.";
  write(find("confirm-how"), `${asked.soft ? soft : hard} In every process, and in the shared tier.`);
  problem("confirm-error", null);
}

function finished(asked, position) {
  const named = asked.everything ? "everything" : Object.keys(KINDS).flatMap((kind) => asked[kind]).join(", ");
  const where = position
    ? `at position ${whole(position)} of the log.`
    : "here. The shared tier cannot be told now; it is told first thing when it is back.";
  const words = `Invalidated ${named} ${asked.soft ? "softly " : ""}${where}`;
  find("invalidate-done").hidden = false;
  write(find("invalidate-done"), words);
  announce(words);
}
