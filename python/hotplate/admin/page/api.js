// The API beside this page, asked with the token that was typed.

/** No answer, or none of this API's: worth asking again. */
export class Away extends Error {}

/** The token is missing, wrong or no longer good. */
export class Refused extends Error {}

/** The server understood, and says what is wrong with the request. */
export class Wrong extends Error {}

const PATIENCE_MILLISECONDS = 10_000;
// One token for each mount of an origin, in this tab, until it is closed.
const PLACE = `hotplate token for ${new URL(".", document.baseURI).pathname}`;

/** The token, or null. */
export const token = {
  get: () => sessionStorage.getItem(PLACE),
  set: (value) => sessionStorage.setItem(PLACE, value),
  forget: () => sessionStorage.removeItem(PLACE),
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
    throw new Away(patience.aborted ? `no answer within ${PATIENCE_MILLISECONDS / 1000} s` : "no connection");
  }
  const detail = words(answer?.detail);
  if (response.status === 401 || response.status === 403) throw new Refused(detail);
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
