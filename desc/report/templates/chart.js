// A line chart with axes and a tooltip.

class Chart {
  // lines: [{ name, colour, x, y, dashed, faint }]; tell(x) adds to the tooltip's first line.
  constructor(canvas, height, lines, xName) {
    this.canvas = canvas;
    this.height = height;
    this.lines = lines;
    this.xName = xName;
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", hideTip);
    redraws.push(() => this.draw());
  }

  measure() {
    this.xs = [Infinity, -Infinity];
    this.ys = [Infinity, -Infinity];
    for (const line of this.lines) {
      for (let i = 0; i < line.x.length; i++) {
        this.xs = [Math.min(this.xs[0], line.x[i]), Math.max(this.xs[1], line.x[i])];
        this.ys = [Math.min(this.ys[0], line.y[i]), Math.max(this.ys[1], line.y[i])];
      }
    }
    for (const range of [this.xs, this.ys]) {
      if (!(range[1] > range[0])) { range[0] -= 1; range[1] = range[0] + 2; }
    }
  }

  // Round numbers within a range, about n of them.
  ticks([low, high], n) {
    const raw = (high - low) / n, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(+(k * step).toPrecision(6));
    return found;
  }

  draw() {
    this.measure();
    const { context, width, height } = fitted(this.canvas, this.height);
    this.place = {
      x: (x) => 48 + (x - this.xs[0]) / (this.xs[1] - this.xs[0]) * (width - 60),
      y: (y) => height - 26 - (y - this.ys[0]) / (this.ys[1] - this.ys[0]) * (height - 38),
    };
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const write = (text, x, y, align) => {
      context.textAlign = align;
      context.fillStyle = colour("soft");
      context.fillText(String(text).replace("-", "−"), x, y);
    };
    context.fillStyle = colour("line");
    for (const y of this.ticks(this.ys, 5)) {
      context.fillStyle = colour("line");
      context.fillRect(48, this.place.y(y), width - 60, 1);
      write(y, 42, this.place.y(y), "right");
    }
    for (const x of this.ticks(this.xs, width > 500 ? 8 : 4)) {
      const at = this.place.x(x);
      if (at < width - 70) write(x, at, height - 12, "center");
    }
    write(this.xName, width - 4, height - 12, "right");
    for (const line of this.lines) this.drawLine(context, line);
  }

  drawLine(context, line) {
    context.strokeStyle = colour(line.colour);
    context.globalAlpha = line.faint ? 0.5 : 1;
    context.lineWidth = line.faint ? 1.2 : 2;
    context.lineJoin = "round";
    context.setLineDash(line.dashed ? [5, 4] : []);
    context.beginPath();
    for (let i = 0; i < line.x.length; i++) {
      context.lineTo(this.place.x(line.x[i]), this.place.y(line.y[i]));
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  hover(event) {
    const x = this.xs[0] + (event.offsetX - 48) / (this.canvas.clientWidth - 60) * (this.xs[1] - this.xs[0]);
    const texts = [];
    for (const line of this.lines) {
      let best = -1;
      for (let i = 0; i < line.x.length; i++) {
        if (best < 0 || Math.abs(line.x[i] - x) < Math.abs(line.x[best] - x)) best = i;
      }
      const reach = (this.xs[1] - this.xs[0]) / 20;
      const last = line.x[line.x.length - 1];
      if (best >= 0 && x > line.x[0] - reach && x < last + reach) {
        const where = line.dashed ? "" : ` at ${+line.x[best].toPrecision(5)}`;
        texts.push(`${line.name} ${+line.y[best].toPrecision(4)}${where}`);
      }
    }
    if (texts.length) showTip(event, texts.join("\n")); else hideTip();
  }
}
