// Layers by experts, coloured by load.

import {Picture, themeColour} from './canvas.js';
import {LoadScale} from './scale.js';

const AXIS = 18;
const PAGE = 16;

function rowHeight(rows) {
  return Math.max(3, Math.min(30, Math.floor(430 / rows)));
}

export class HeatMap {
  // `onCursor(row, expert)` when a person points at a cell, (-1, -1) when at none; `onSelect(row)` when they choose a
  // row.
  constructor(canvas, {onCursor, onSelect}) {
    this.canvas = canvas;
    this.onCursor = onCursor;
    this.rows = [];
    this.cursor = {row: -1, expert: -1};
    this.selected = -1;
    this.range = 4;
    this.picture = new Picture(canvas, (width) => this.#draw(width));
    canvas.addEventListener('pointermove', (event) => this.#point(event));
    canvas.addEventListener('pointerleave', () => document.activeElement !== canvas && this.#moveTo(-1, -1));
    canvas.addEventListener('click', (event) => {
      this.#point(event);
      if (this.cursor.row >= 0) onSelect(this.cursor.row);
    });
    canvas.addEventListener('focus', () => this.cursor.row < 0 && this.#moveTo(Math.max(0, this.selected), 0));
    canvas.addEventListener('blur', () => this.#moveTo(-1, -1));
    canvas.addEventListener('keydown', (event) => this.#key(event, onSelect));
  }

  // `rows`: [{short, load}], load one number for each expert, NaN for those that have none.
  update(rows, selected) {
    this.rows = rows;
    this.selected = selected;
    this.experts = Math.max(1, ...rows.map((row) => row.load.length));
    if (this.cursor.row >= 0) this.#moveTo(Math.min(this.cursor.row, rows.length - 1), this.cursor.expert);
    this.picture.refresh();
  }

  setRange(range) {
    this.range = range;
    this.picture.refresh();
  }

  #moveTo(row, expert) {
    const last = row < 0 ? -1 : this.rows[row].load.length - 1;
    this.cursor = {row, expert: Math.min(expert, last)};
    this.onCursor(this.cursor.row, this.cursor.expert);
    this.picture.refresh();
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / this.height);
    const expert = Math.floor((event.clientX - box.left - this.gutter) / this.cell);
    const inside = row >= 0 && row < this.rows.length && expert >= 0 && expert < this.rows[row].load.length;
    this.#moveTo(inside ? row : -1, inside ? expert : -1);
  }

  #key(event, onSelect) {
    const {row, expert} = this.cursor;
    const moves = {
      ArrowUp: [row - 1, expert], ArrowDown: [row + 1, expert], ArrowLeft: [row, expert - 1],
      ArrowRight: [row, expert + 1], PageUp: [row - PAGE, expert], PageDown: [row + PAGE, expert],
      Home: [row, 0], End: [row, this.experts - 1],
    };
    if (event.key === 'Enter' || event.key === ' ') {
      if (row >= 0) onSelect(row);
    } else if (event.key in moves && this.rows.length > 0) {
      const [y, x] = moves[event.key];
      this.#moveTo(Math.max(0, Math.min(y, this.rows.length - 1)), Math.max(0, x));
    } else {
      return;
    }
    event.preventDefault();
  }

  #draw(width) {
    const rows = this.rows.length;
    if (rows === 0) return;
    const context = this.canvas.getContext('2d');
    context.font = '11px system-ui, sans-serif';
    this.height = rowHeight(rows);
    const labels = this.rows.map((row) => context.measureText(row.short).width);
    this.gutter = Math.min(Math.ceil(Math.max(...labels)) + 8, Math.floor(width / 4));
    this.cell = (width - this.gutter) / this.experts;
    const ready = this.picture.resize(width, rows * this.height + AXIS);
    this.#drawCells(ready, width - this.gutter);
    this.#drawLabels(ready);
    this.#drawAxis(ready, rows * this.height);
    if (this.selected >= 0) this.#outlineRow(ready, width);
    if (this.cursor.row >= 0) this.#outlineCell(ready);
  }

  // One pixel of an image for each column of the screen and each row of the map; where several experts share a column,
  // the farthest from a load of 1 has it.
  #drawCells(context, width) {
    const columns = Math.max(1, Math.round(width * (window.devicePixelRatio || 1)));
    const image = new ImageData(columns, this.rows.length);
    const scale = new LoadScale(this.range);
    this.rows.forEach((row, y) => {
      for (let x = 0; x < columns; ++x) {
        const first = Math.floor(x * this.experts / columns);
        const last = Math.max(first, Math.ceil((x + 1) * this.experts / columns) - 1);
        const load = this.experts > columns ? farthest(row.load, first, last) : row.load[first];
        if (load === undefined || Number.isNaN(load)) continue;
        const colour = scale.of(load);
        image.data.set([colour[0], colour[1], colour[2], 255], 4 * (y * columns + x));
      }
    });
    const buffer = new OffscreenCanvas(columns, this.rows.length);
    buffer.getContext('2d').putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(buffer, this.gutter, 0, width, this.rows.length * this.height);
    context.fillStyle = themeColour('--card');
    if (this.height >= 12) {
      for (let y = 1; y < this.rows.length; ++y) context.fillRect(this.gutter, y * this.height - 1, width, 1);
    }
    if (this.cell >= 12) {
      for (let x = 1; x < this.experts; ++x) {
        context.fillRect(Math.round(this.gutter + x * this.cell) - 1, 0, 1, this.rows.length * this.height);
      }
    }
  }

  #drawLabels(context) {
    const every = Math.ceil(13 / this.height);
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    this.rows.forEach((row, y) => {
      const chosen = y === this.selected;
      if (y % every !== 0 && !chosen) return;
      const near = !chosen && this.selected >= 0 && Math.abs(y - this.selected) < every;
      if (near) return;
      context.fillStyle = themeColour(chosen ? '--accent' : '--faint');
      context.fillText(row.short, this.gutter - 5, Math.max(6, (y + 0.5) * this.height), this.gutter - 5);
    });
  }

  #drawAxis(context, top) {
    const most = Math.max(2, Math.floor((this.experts * this.cell) / 44));
    let every = 1;
    while (this.experts / every > most) every *= 2;
    context.fillStyle = themeColour('--faint');
    context.textAlign = 'center';
    context.textBaseline = 'top';
    for (let expert = 0; expert < this.experts; expert += every) {
      context.fillText(String(expert), this.gutter + (expert + 0.5) * this.cell, top + 4);
    }
  }

  #outlineRow(context, width) {
    context.strokeStyle = themeColour('--accent');
    context.lineWidth = 1.5;
    context.strokeRect(this.gutter - 0.5, this.selected * this.height - 0.5, width - this.gutter, this.height);
  }

  #outlineCell(context) {
    const width = Math.max(5, this.cell);
    const height = Math.max(5, this.height);
    const x = this.gutter + (this.cursor.expert + 0.5) * this.cell - width / 2;
    const y = (this.cursor.row + 0.5) * this.height - height / 2;
    context.lineWidth = 3;
    context.strokeStyle = themeColour('--card');
    context.strokeRect(x, y, width, height);
    context.lineWidth = 1.5;
    context.strokeStyle = themeColour('--ink');
    context.strokeRect(x, y, width, height);
  }
}

function farthest(load, first, last) {
  let found;
  let distance = -1;
  for (let expert = first; expert <= last && expert < load.length; ++expert) {
    const far = Math.abs(Math.log2(Math.max(load[expert], 1e-9)));
    if (far > distance) [found, distance] = [load[expert], far];
  }
  return found;
}
