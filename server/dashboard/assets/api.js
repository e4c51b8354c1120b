// The coordinator's JSON API. The token is in this tab's session storage and in a header field: never in an address.

const TOKEN = 'evenkeel.token';

export class ApiError extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

// The answer to GET `path`; an ApiError, with status 0 where nobody answered.
async function get(path, signal) {
  const headers = token.get() ? {Authorization: `Bearer ${token.get()}`} : {};
  let response;
  try {
    response = await fetch(path, {headers, signal, cache: 'no-store', credentials: 'omit'});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'UNREACHABLE', 'the coordinator does not answer');
  }
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(response.status, 'NOT_JSON', `the answer is no JSON (HTTP ${response.status})`);
  }
  if (!response.ok) throw new ApiError(response.status, body.reason, body.message);
  return body;
}

const jobPath = (name, rest = '') => `/api/v1/jobs/${encodeURIComponent(name)}${rest}`;

export const api = {
  jobs: (signal) => get('/api/v1/jobs', signal),
  job: (name, signal) => get(jobPath(name), signal),
  load: (name, signal) => get(jobPath(name, '/load'), signal),
  history: (name, layer, stream, signal) =>
      get(jobPath(name, `/history?layer=${encodeURIComponent(layer)}&stream=${stream}`), signal),
};
