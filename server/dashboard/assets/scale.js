// The colours of loads: diverging around a load of 1, on a logarithmic scale, blue below and orange above, which those
// who do not see red or green tell apart as well. The theme's five stops are in page.css.

const STEPS = 255;

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

export class LoadScale {
  // `range`: loads from 1 / range to range have colours of their own.
  constructor(range) {
    const style = getComputedStyle(document.documentElement);
    const variable = (name) => style.getPropertyValue(name).trim();
    const stops = [0, 1, 2, 3, 4].map((i) => channels(variable(`--load-${i}`)));
    this.none = channels(variable('--load-none'));
    this.range = range;
    this.table = Array.from({length: STEPS + 1}, (_, i) => {
      const at = 4 * i / STEPS;
      const below = Math.min(3, Math.floor(at));
      return stops[below].map((channel, c) => Math.round(channel + (at - below) * (stops[below + 1][c] - channel)));
    });
  }

  // Red, green and blue of a load, 0 to 255 each.
  of(load) {
    if (load === 0) return this.none;
    const place = Math.log2(load) / Math.log2(this.range);
    return this.table[Math.round((Math.max(-1, Math.min(1, place)) + 1) / 2 * STEPS)];
  }

  // Five loads from one end to the other, as text.
  ticks() {
    const inner = Math.sqrt(this.range);
    const text = (value) => value.toFixed(2).replace(/\.?0+$/, '');
    return [`1/${text(this.range)}`, `1/${text(inner)}`, '1', text(inner), text(this.range)];
  }
}
