// The page: what is shown, how often it is asked for, the theme, and signing in.

import {api, ApiError, token} from './api.js';
import {setNotice, setText} from './dom.js';
import {JobView} from './job_view.js';
import {JobsView} from './jobs_view.js';
import {Poller} from './poller.js';

const HISTORY_EVERY = 3000;
const THEMES = ['system', 'light', 'dark'];
const THEME = 'evenkeel.theme';

const $ = (id) => document.getElementById(id);

let view = null;  // a JobView or a JobsView
let historyOf = null;  // the row whose lines are to be shown
let historyDue = 0;

// The job that the address names; null for the list.
function jobOfAddress() {
  const match = /^#\/job\/(.+)$/.exec(location.hash);
  if (!match) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}

async function ask(signal) {
  if (view instanceof JobsView) {
    view.update(await api.jobs(signal));
    return;
  }
  const shown = view;
  const [job, load] = await Promise.all([api.job(shown.name, signal), api.load(shown.name, signal)]);
  shown.updateLoad(load);
  shown.updateJob(job);
  if (historyOf && performance.now() >= historyDue) await askHistory(shown, signal);
}

async function askHistory(shown, signal) {
  const row = historyOf;
  historyDue = performance.now() + HISTORY_EVERY;
  try {
    shown.updateHistory(await api.history(shown.name, row.name, row.stream, signal), row);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0 || error.status === 401) throw error;
    shown.noHistory(error.message);
  }
}

const LIVE = {live: 'live', paused: 'paused', failed: 'no answer'};

function onState(state, error) {
  $('live').dataset.state = state;
  setText($('live-text'), LIVE[state]);
  const signIn = error?.status === 401;
  showSignIn(signIn, signIn && token.get() ? error.message : '');
  const problem = error && !signIn ? `${error.message}${error.status === 0 ? '; asking again' : ''}` : '';
  setNotice($('problem'), problem);
  // A view of nothing is worse than none.
  $('view').hidden = signIn || error?.status === 404 || error?.status === 403;
  if (error && !(error instanceof ApiError)) console.error(error);
}

function showSignIn(shown, message) {
  const appeared = shown && $('sign-in').hidden;
  $('sign-in').hidden = !shown;
  $('sign-out').hidden = shown || !token.get();
  setNotice($('sign-in-problem'), message);
  if (appeared) $('token').focus();
}

const poller = new Poller(ask, onState);

function show() {
  const job = jobOfAddress();
  historyOf = null;
  view = job === null ? new JobsView() : new JobView(job, (row) => {
    historyOf = row;
    historyDue = 0;
  });
  $('view').replaceChildren(view.node);
  poller.restart();
}

function applyTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText($('theme'), `Theme: ${theme}`);
  view?.refresh?.();
}

function setUp() {
  const theme = () => THEMES.includes(localStorage.getItem(THEME)) ? localStorage.getItem(THEME) : 'system';
  applyTheme(theme());
  $('theme').onclick = () => {
    localStorage.setItem(THEME, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
    applyTheme(theme());
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => applyTheme(theme()));
  $('pause').onclick = () => {
    const paused = $('pause').getAttribute('aria-pressed') !== 'true';
    $('pause').setAttribute('aria-pressed', String(paused));
    setText($('pause'), paused ? 'Go on' : 'Pause');
    poller.setPaused(paused);
  };
  $('sign-in').onsubmit = (event) => {
    event.preventDefault();
    token.set($('token').value.trim());
    $('token').value = '';
    poller.restart();
  };
  $('sign-out').onclick = () => {
    token.forget();
    show();
  };
  window.addEventListener('hashchange', () => {
    if (location.hash !== '#main') show();
  });
  show();
}

setUp();
