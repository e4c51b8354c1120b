// Lines over steps.

import {Picture, themeColour} from './canvas.js';
import {count} from './format.js';

const HEIGHT = 220;
const TOP = 8;
const BOTTOM = 20;
const LEFT = 46;
const RIGHT = 10;

// Round numbers from low to high, about so many.
function ticks(low, high, about) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high + step / 1e6; ++i) values.push(i * step);
  return values;
}

export class LineChart {
  // `onCursor(index)` when a person points at one of the steps, -1 when at none. `log`: whether values, above 0, are on
  // a logarithmic scale.
  constructor(canvas, {log = false, onCursor = () => {}}) {
    this.canvas = canvas;
    this.log = log;
    this.onCursor = onCursor;
    this.steps = [];
    this.lines = [];
    this.cursor = -1;
    this.picture = new Picture(canvas, (width) => this.#draw(width));
    canvas.addEventListener('pointermove', (event) => this.#point(event));
    canvas.addEventListener('pointerleave', () => document.activeElement !== canvas && this.#moveTo(-1));
    canvas.addEventListener('focus', () => this.cursor < 0 && this.#moveTo(this.steps.length - 1));
    canvas.addEventListener('blur', () => this.#moveTo(-1));
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  // `lines`: [{values, colour, width, dash, alpha}], values one for each step; drawn one over the other.
  update(steps, lines) {
    this.steps = steps;
    this.lines = lines;
    if (this.cursor >= steps.length) this.#moveTo(steps.length - 1);
    this.picture.refresh();
  }

  #moveTo(index) {
    this.cursor = index;
    this.onCursor(index);
    this.picture.refresh();
  }

  #point(event) {
    if (this.steps.length === 0) return;
    const at = event.clientX - this.canvas.getBoundingClientRect().left;
    let nearest = 0;
    this.steps.forEach((step, i) => {
      if (Math.abs(this.x(step) - at) < Math.abs(this.x(this.steps[nearest]) - at)) nearest = i;
    });
    this.#moveTo(nearest);
  }

  #key(event) {
    const last = this.steps.length - 1;
    const moves = {ArrowLeft: this.cursor - 1, ArrowRight: this.cursor + 1, Home: 0, End: last};
    if (!(event.key in moves) || last < 0) return;
    this.#moveTo(Math.max(0, Math.min(moves[event.key], last)));
    event.preventDefault();
  }

  #draw(width) {
    const context = this.picture.resize(width, HEIGHT);
    if (this.steps.length === 0) return;
    this.#scale(width);
    this.#drawAxes(context, width);
    context.lineJoin = 'round';
    for (const line of this.lines) this.#drawLine(context, line);
    if (this.cursor >= 0) this.#drawCursor(context);
  }

  #scale(width) {
    const [first, last] = [this.steps[0], this.steps[this.steps.length - 1]];
    const across = (width - LEFT - RIGHT) / Math.max(1, last - first);
    this.x = (step) => LEFT + (step - first) * across;
    let low = Infinity;
    let high = -Infinity;
    for (const line of this.lines) {
      for (const value of line.values) {
        if (!Number.isFinite(value) || (this.log && value <= 0)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (low > high) [low, high] = this.log ? [0.1, 1] : [-1, 1];
    if (this.log) {
      this.low = Math.max(low, high / 1e4) * 0.85;
      this.high = high * 1.15;
      this.values = [];
      for (let power = -6; power <= 6; ++power) {
        for (const factor of [1, 2, 5]) this.values.push(factor * 10 ** power);
      }
      this.values = this.values.filter((value) => value >= this.low && value <= this.high);
    } else {
      const margin = Math.max((high - low) * 0.06, 1e-6);
      this.low = low - margin;
      this.high = high + margin;
      this.values = ticks(this.low, this.high, 5);
    }
    const place = this.log ? Math.log10 : (value) => value;
    const tall = (HEIGHT - TOP - BOTTOM) / (place(this.high) - place(this.low));
    this.y = (value) => HEIGHT - BOTTOM - (place(Math.max(value, this.low)) - place(this.low)) * tall;
  }

  #drawAxes(context, width) {
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    const most = Math.max(...this.values.map(Math.abs));
    for (const value of this.values) {
      const y = Math.round(this.y(value)) + 0.5;
      context.strokeStyle = themeColour('--rule');
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(width - RIGHT, y);
      context.stroke();
      context.fillStyle = themeColour('--faint');
      const text = this.log || most >= 10 ? String(+value.toPrecision(2)) : value.toFixed(most < 0.1 ? 3 : 2);
      context.fillText(text, LEFT - 6, y);
    }
    context.textBaseline = 'top';
    const [first, last] = [this.steps[0], this.steps[this.steps.length - 1]];
    const marks = last > first ? ticks(first, last, Math.max(2, width / 110)) : [first];
    for (const step of marks.filter(Number.isInteger)) {
      const text = count(step);
      const half = context.measureText(text).width / 2;
      context.textAlign = 'center';
      context.fillText(text, Math.min(this.x(step), width - half - 1), HEIGHT - BOTTOM + 5);
    }
  }

  #drawLine(context, {values, colour, width = 1.5, dash = [], alpha = 1}) {
    context.strokeStyle = colour;
    context.globalAlpha = alpha;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    let drawing = false;
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) {
        drawing = false;
        return;
      }
      const [x, y] = [this.x(this.steps[i]), this.y(value)];
      if (drawing) context.lineTo(x, y);
      else context.moveTo(x, y);
      drawing = true;
    });
    if (values.length === 1) context.lineTo(this.x(this.steps[0]) + 2, this.y(values[0]));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #drawCursor(context) {
    const x = Math.round(this.x(this.steps[this.cursor])) + 0.5;
    context.strokeStyle = themeColour('--faint');
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, HEIGHT - BOTTOM);
    context.stroke();
  }
}
