// The corpus as points, the path of the result, and the current position.

class CorpusMap {
  constructor(canvas, given, names, player) {
    this.canvas = canvas;
    this.given = given;
    this.names = names.concat(given.others);
    this.nPlayed = names.length;
    this.player = player;
    this.points = numbers(given.points, Uint16Array);
    this.pointFile = numbers(given.pointFile, Uint32Array);
    this.pointTime = numbers(given.pointTime, Float32Array);
    this.played = numbers(given.played, Uint16Array);
    this.predicted = numbers(given.predicted, Uint16Array);
    this.showPredicted = false;
    this.still = document.createElement("canvas");
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("click", (event) => this.click(event));
    redraws.push(() => this.draw());
  }

  place(values, i) {
    return [
      this.left + values[2 * i] / 65535 * this.w,
      this.top + (1 - values[2 * i + 1] / 65535) * this.h,
    ];
  }

  // The static part, drawn once.
  draw() {
    const available = this.canvas.parentElement.clientWidth;
    const height = Math.round(clamp(available * 0.6, 260, 560));
    const { width } = fitted(this.canvas, height);
    this.h = height - 24;
    this.w = Math.min(width - 24, this.h * Math.min(this.given.aspect, 2.2));
    this.left = (width - this.w) / 2;
    this.top = 12;
    const scale = this.canvas.width / width;
    this.still.width = this.canvas.width;
    this.still.height = this.canvas.height;
    const context = this.still.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const order = Array.from(this.pointFile.keys());
    order.sort((a, b) => this.pointFile[b] - this.pointFile[a]);
    for (const i of order) {
      const isPlayed = this.pointFile[i] < this.nPlayed;
      context.fillStyle = isPlayed ? fileColour(this.pointFile[i]) : colour("point");
      context.globalAlpha = isPlayed ? 0.5 : 0.22;
      const [x, y] = this.place(this.points, i);
      context.fillRect(x - 1, y - 1, 2, 2);
    }
    if (this.showPredicted) this.line(context, this.predicted, colour("predicted"), 0.7, 1);
    this.line(context, this.played, colour("ink"), 0.35, 1);
    this.move();
  }

  line(context, values, stroke, alpha, lineWidth, first = 0, last = values.length / 2) {
    context.globalAlpha = alpha;
    context.strokeStyle = stroke;
    context.lineWidth = lineWidth;
    context.beginPath();
    for (let i = first; i < last; i++) context.lineTo(...this.place(values, i));
    context.stroke();
    context.globalAlpha = 1;
  }

  frameAt(time) {
    const frame = Math.round((time - this.given.first) / this.given.step);
    return clamp(frame, 0, this.played.length / 2 - 1);
  }

  // The position and the path of the last second.
  move() {
    const context = this.canvas.getContext("2d");
    const scale = this.canvas.width / this.canvas.parentElement.clientWidth;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const now = this.player.now;
    this.canvas.dataset.frame = now < 0 ? "" : this.frameAt(now);
    if (now < 0) return;
    const frame = this.frameAt(now), first = this.frameAt(Math.max(0, now - 1));
    this.line(context, this.played, colour("head"), 0.9, 2, first, frame + 1);
    const [x, y] = this.place(this.played, frame);
    context.fillStyle = colour("head");
    context.beginPath();
    context.arc(x, y, 6, 0, 7);
    context.fill();
    context.strokeStyle = colour("page");
    context.lineWidth = 2;
    context.stroke();
  }

  nearest(values, event, reach) {
    const box = this.canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, least = reach * reach;
    for (let i = 0; i < values.length / 2; i++) {
      const [x, y] = this.place(values, i);
      const d = (x - at[0]) ** 2 + (y - at[1]) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }

  hover(event) {
    const i = this.nearest(this.points, event, 12);
    if (i < 0) { hideTip(); return; }
    showTip(event, `${this.names[this.pointFile[i]]}\nat ${clock(this.pointTime[i])}`);
  }

  click(event) {
    const i = this.nearest(this.played, event, 24);
    if (i >= 0) this.player.seek(this.given.first + i * this.given.step);
  }
}
