// The API beside this page, asked with the token that was typed.

/** No answer, or none of this API's: worth asking again. */
export class Away extends Error {}

/** The token is missing, wrong or no longer good (401), or whoever asks may not (403). */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The server understood, and says what is wrong with the request. */
export class Wrong extends Error {}

/** The answer to a question that was asked with another token than there is now: it is nobody's business any more. */
export class Outdated extends Error {}

const PATIENCE_MILLISECONDS = 10_000;
// One token for each mount of an origin, in this tab, until it is closed.
const PLACE = `hotplate token for ${new URL(".", document.baseURI).pathname}`;

let tokens = 0; // how many there have been

/** The token, or null. */
export const token = {
  get: () => sessionStorage.getItem(PLACE),
  set(value) {
    tokens += 1;
    sessionStorage.setItem(PLACE, value);
  },
  forget() {
    tokens += 1;
    sessionStorage.removeItem(PLACE);
  },
};

/** GETs JSON; parameters that are empty are left out. */
export function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return ask(query ? `${path}?${query}` : path, {});
}

/** POSTs JSON. */
export function post(path, body) {
  return ask(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

async function ask(path, request) {
  const headers = { Accept: "application/json", ...request.headers };
  if (token.get() !== null) headers.Authorization = `Bearer ${token.get()}`;
  const asked = tokens;
  const patience = AbortSignal.timeout(PATIENCE_MILLISECONDS);
  let response, answer;
  try {
    // A redirection would carry the token elsewhere.
    response = await fetch(path, { ...request, headers, cache: "no-store", redirect: "error", signal: patience });
    answer = await response.json().catch((error) => {
      if (patience.aborted) throw error;
      return null;
    });
  } catch {
    if (asked !== tokens) throw new Outdated();
    throw new Away(patience.aborted ? `no answer within ${PATIENCE_MILLISECONDS / 1000} s` : "no connection");
  }
  if (asked !== tokens) throw new Outdated();
  const detail = words(answer?.detail);
  if (response.status === 401 || response.status === 403) throw new Refused(response.status, detail);
  if (response.status >= 500) throw new Away(`status ${response.status}`);
  if (!response.ok) throw new Wrong(detail || `status ${response.status}`);
  if (answer === null) throw new Away("the answer is not this API's");
  return answer;
}

/** What went wrong, in words: a text, or a list as FastAPI makes it. */
function words(detail) {
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((one) => one?.msg ?? JSON.stringify(one)).join("; ");
  return detail ? JSON.stringify(detail) : "";
}
