// What pictures share: a canvas that is as sharp as the screen, follows the width of its place and the theme.

export class Picture {
  // `canvas` is as wide as its parent; `draw(context, width)` gets CSS pixels; the height is for draw to set by resize.
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.draw = draw;
    this.asked = false;
    new ResizeObserver(() => this.refresh()).observe(canvas.parentElement ?? canvas);
  }

  // Draws before the next frame.
  refresh() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      const width = Math.floor(this.canvas.parentElement?.clientWidth ?? 0);
      if (width > 0) this.draw(width);
    });
  }

  // An empty canvas of this size, and its context in CSS pixels.
  resize(width, height) {
    const density = window.devicePixelRatio || 1;
    const [columns, rows] = [Math.round(width * density), Math.round(height * density)];
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext('2d');
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = '11px system-ui, sans-serif';
    return context;
  }
}

export const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
