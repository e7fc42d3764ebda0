// A point cloud on a canvas, drawn pixel by pixel and searched through a grid of cells.

const STEPS = 65535, CELLS = 256, CELL = (STEPS + 1) / CELLS;

class Cloud {
  constructor(canvas, positions) {
    this.canvas = canvas;
    this.positions = positions;
    this.n = positions.length / 2;
    this.colours = new Uint32Array(this.n);
    this.shown = null; // highlighted points, null: all
    this.centre = [STEPS / 2, STEPS / 2];
    this.zoom = 1;
    this.index();
  }

  // Points sorted by cell: those of cell c are order[first[c]] to order[first[c + 1] - 1].
  index() {
    const first = this.first = new Uint32Array(CELLS * CELLS + 1);
    const cells = new Uint32Array(this.n);
    for (let i = 0; i < this.n; i++) {
      cells[i] = this.cell(this.positions[2 * i]) + CELLS * this.cell(this.positions[2 * i + 1]);
      first[cells[i] + 1]++;
    }
    for (let c = 0; c < CELLS * CELLS; c++) first[c + 1] += first[c];
    const next = first.slice();
    this.order = new Uint32Array(this.n);
    for (let i = 0; i < this.n; i++) this.order[next[cells[i]]++] = i;
  }

  cell(x) { return clamp(Math.floor(x / CELL), 0, CELLS - 1); }

  // CSS pixels per step.
  get scale() {
    return 0.94 * Math.min(this.canvas.clientWidth, this.canvas.clientHeight) / STEPS * this.zoom;
  }

  toScreen(x, y) {
    return [
      (x - this.centre[0]) * this.scale + this.canvas.clientWidth / 2,
      (this.centre[1] - y) * this.scale + this.canvas.clientHeight / 2,
    ];
  }

  // Where a point is on the screen.
  place(i) { return this.toScreen(this.positions[2 * i], this.positions[2 * i + 1]); }

  toMap(x, y) {
    return [
      (x - this.canvas.clientWidth / 2) / this.scale + this.centre[0],
      this.centre[1] - (y - this.canvas.clientHeight / 2) / this.scale,
    ];
  }

  zoomAt(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const before = this.toMap(x, y);
    this.zoom = clamp(this.zoom * factor, 0.5, 2000);
    const after = this.toMap(x, y);
    this.moveTo(this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]);
  }

  moveTo(x, y) { this.centre = [clamp(x, 0, STEPS), clamp(y, 0, STEPS)]; }

  moveBy(dx, dy) { this.moveTo(this.centre[0] - dx / this.scale, this.centre[1] + dy / this.scale); }

  draw(dim) {
    const began = performance.now();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const w = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const h = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== w || this.canvas.height !== h || !this.pixels) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.context = this.canvas.getContext("2d");
      this.image = this.context.createImageData(w, h);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(0);
    const size = clamp(Math.round(ratio * (1 + Math.log2(Math.max(this.zoom, 1)) / 2)), 1, 8);
    if (this.shown) this.paint(w, h, ratio, size, 0, dim);
    this.paint(w, h, ratio, size, 1, dim);
    this.context.putImageData(this.image, 0, 0);
    this.canvas.dataset.ms = (performance.now() - began).toFixed(1);
  }

  // Draw the highlighted points (which = 1), or the others.
  paint(w, h, ratio, size, which, dim) {
    const { positions, colours, pixels, shown, order, first } = this;
    const s = this.scale * ratio, half = size >> 1;
    const ox = w / 2 - this.centre[0] * s, oy = h / 2 + this.centre[1] * s;
    const [left, top] = this.toMap(-8, -8);
    const [right, bottom] = this.toMap(this.canvas.clientWidth + 8, this.canvas.clientHeight + 8);
    const c0 = this.cell(left), c1 = this.cell(right);
    for (let row = this.cell(bottom); row <= this.cell(top); row++) {
      const stop = first[row * CELLS + c1 + 1];
      for (let k = first[row * CELLS + c0]; k < stop; k++) {
        const i = order[k];
        if (shown !== null && shown[i] !== which) continue;
        const x = (positions[2 * i] * s + ox | 0) - half;
        const y = (oy - positions[2 * i + 1] * s | 0) - half;
        if (x < 0 || y < 0 || x + size > w || y + size > h) continue;
        const colour = which ? colours[i] : dim;
        for (let at = y * w + x, end = at + size * w; at < end; at += w) {
          for (let dx = 0; dx < size; dx++) pixels[at + dx] = colour;
        }
      }
    }
  }

  // The point nearest to a position on the screen, -1 if none is near.
  nearest(x, y, reach) {
    const [mx, my] = this.toMap(x, y), r = reach / this.scale;
    let best = -1, least = r * r;
    for (let row = this.cell(my - r); row <= this.cell(my + r); row++) {
      const stop = this.first[row * CELLS + this.cell(mx + r) + 1];
      for (let k = this.first[row * CELLS + this.cell(mx - r)]; k < stop; k++) {
        const i = this.order[k];
        if (this.shown !== null && !this.shown[i]) continue;
        const d = (this.positions[2 * i] - mx) ** 2 + (this.positions[2 * i + 1] - my) ** 2;
        if (d < least) { least = d; best = i; }
      }
    }
    return best;
  }

  // Points inside a polygon in map coordinates (even-odd rule), as 0 and 1.
  inside(polygon) {
    const found = new Uint8Array(this.n);
    const ys = polygon.map((p) => p[1]), xs = polygon.map((p) => p[0]);
    const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
    for (let i = 0; i < this.n; i++) {
      const x = this.positions[2 * i], y = this.positions[2 * i + 1];
      if (x < low[0] || x > high[0] || y < low[1] || y > high[1]) continue;
      if (this.shown !== null && !this.shown[i]) continue;
      let within = false;
      for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
        const [xa, ya] = polygon[a], [xb, yb] = polygon[b];
        if (ya > y !== yb > y && x < (xb - xa) * (y - ya) / (yb - ya) + xa) within = !within;
      }
      found[i] = within ? 1 : 0;
    }
    return found;
  }
}

// Red, green, blue (0 to 1) as a pixel of an ImageData on a little-endian machine.
const pixel = (r, g, b) => (255 << 24 | b * 255 << 16 | g * 255 << 8 | r * 255) >>> 0;

function hueColour(hue, light) {
  const part = (k) => {
    const at = (k + hue / 30) % 12;
    return light - 0.62 * Math.min(light, 1 - light) * Math.max(-1, Math.min(at - 3, 9 - at, 1));
  };
  return pixel(part(0), part(8), part(4));
}

// From low to high: blue, green, yellow, legible on light and dark backgrounds.
const LEVELS = [[0.19, 0.22, 0.62], [0.1, 0.5, 0.72], [0.16, 0.68, 0.5], [0.6, 0.76, 0.2], [0.95, 0.72, 0.1]];
function levelColour(level) {
  const place = clamp(level, 0, 1) * (LEVELS.length - 1);
  const i = Math.min(Math.floor(place), LEVELS.length - 2), t = place - i;
  return [0, 1, 2].map((c) => LEVELS[i][c] + t * (LEVELS[i + 1][c] - LEVELS[i][c]));
}
