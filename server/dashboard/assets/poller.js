// Asks again and again, while somebody looks.

const PERIOD = 1000;
const LONGEST = 10000;

export class Poller {
  // `ask(signal)` is called once a second, and no more often than leaves three quarters of the time to others; more and
  // more seldom while it fails. `onState('live' | 'paused' | 'failed', error)`.
  constructor(ask, onState) {
    this.ask = ask;
    this.onState = onState;
    this.paused = false;
    this.failures = 0;
    document.addEventListener('visibilitychange', () => this.#changed());
  }

  setPaused(paused) {
    this.paused = paused;
    this.#changed();
  }

  // From now on about something else.
  restart() {
    this.failures = 0;
    this.#stop();
    this.#run();
  }

  get #idle() {
    return this.paused || document.hidden;
  }

  #changed() {
    this.#stop();
    if (this.#idle) this.onState('paused');
    else this.#run();
  }

  #stop() {
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  async #run() {
    const abort = new AbortController();
    this.abort = abort;
    const start = performance.now();
    try {
      await this.ask(abort.signal);
      if (abort.signal.aborted) return;
      this.failures = 0;
      this.onState(this.#idle ? 'paused' : 'live');
    } catch (error) {
      if (abort.signal.aborted) return;
      ++this.failures;
      this.onState('failed', error);
    }
    if (this.#idle) return;
    const took = performance.now() - start;
    const wait = this.failures > 0 ? Math.min(LONGEST, PERIOD * 2 ** this.failures) : Math.max(PERIOD - took, 3 * took);
    this.timer = setTimeout(() => this.#run(), wait);
  }
}
