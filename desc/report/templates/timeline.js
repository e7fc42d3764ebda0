// Canvases with a shared time axis, zoom and playhead.

class Timeline {
  constructor(stack, player) {
    this.stack = stack;
    this.player = player;
    this.lanes = [];
    this.low = player.start;
    this.high = player.end;
    this.head = element("div", "", "playhead");
    stack.append(this.head);
    redraws.push(() => this.draw());
  }

  get span() { return this.high - this.low; }
  get whole() { return this.player.end - this.player.start; }
  get width() { return this.stack.clientWidth; }
  x(time) { return (time - this.low) / this.span * this.width; }
  time(x) { return this.low + x / this.width * this.span; }
  timeOf(event) { return this.time(event.clientX - this.stack.getBoundingClientRect().left); }

  // A lane draws itself with draw(context, width, height); tell(time, y) is its tooltip.
  addLane(canvas, height, draw, { tell, click }) {
    this.lanes.push({ canvas, height, draw });
    canvas.addEventListener("pointermove", (event) => {
      const text = tell(this.timeOf(event), event.offsetY);
      if (text) showTip(event, text); else hideTip();
    });
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("click", (event) => click(this.timeOf(event), event.offsetY));
  }

  draw() {
    for (const lane of this.lanes) {
      const { context, width, height } = fitted(lane.canvas, lane.height());
      lane.draw(context, width, height);
      this.drawOrigin(context, height);
    }
    this.moveHead();
  }

  // Ticks of the time axis, as many as fit.
  drawRuler(context, width, height) {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60];
    const step = steps.find((seconds) => seconds / this.span * width > 56) || 60;
    context.fillStyle = colour("soft");
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let k = Math.ceil(this.low / step); k * step <= this.high; k++) {
      const x = this.x(k * step);
      context.fillRect(x, 0, 1, 4);
      const text = `${String(+(k * step).toFixed(1)).replace("-", "−")} s`;
      const half = context.measureText(text).width / 2;
      context.fillText(text, clamp(x, half, width - half) - half, height / 2 + 2);
    }
  }

  // The boundary between recording and continuation.
  drawOrigin(context, height) {
    const x = this.x(0);
    if (this.player.start >= 0 || x < 0 || x > this.width) return;
    context.strokeStyle = colour("ink");
    context.globalAlpha = 0.6;
    context.setLineDash([4, 3]);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  moveHead() {
    const now = this.player.now;
    if (this.player.playing && (now > this.high || now < this.low)) this.show(now);
    const x = this.x(now);
    this.head.style.transform = `translateX(${x}px)`;
    this.head.hidden = x < 0 || x > this.width;
  }

  // Scroll to a time.
  show(time) {
    const span = this.span;
    this.low = clamp(time - 0.05 * span, this.player.start, this.player.end - span);
    this.high = this.low + span;
    this.changed();
  }

  zoom(factor) {
    const span = clamp(this.span * factor, 0.5, this.whole);
    const now = this.player.now;
    const centre = now >= this.low && now <= this.high ? now : (this.low + this.high) / 2;
    this.low = clamp(centre - span / 2, this.player.start, this.player.end - span);
    this.high = this.low + span;
    this.changed();
  }

  changed() {
    if (this.onchange) this.onchange();
    redrawAll();
  }
}

// A label at the left edge, legible on any background.
function label(context, text, y) {
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = colour("back");
  context.strokeText(text, 4, y);
  context.fillStyle = colour("ink");
  context.fillText(text, 4, y);
}

function drawWave(timeline, sound) {
  const points = numbers(sound.envelope, Int8Array);
  const n = points.length / 2;
  return (context, width, height) => {
    context.fillStyle = colour("wave");
    const middle = height / 2;
    for (let x = 0; x < width; x++) {
      const place = (t) => (t - sound.start) / (sound.end - sound.start) * n;
      const first = clamp(Math.floor(place(timeline.time(x))), 0, n - 1);
      const last = clamp(Math.ceil(place(timeline.time(x + 1))), first + 1, n);
      let low = 127, high = -127;
      for (let i = first; i < last; i++) {
        low = Math.min(low, points[i]);
        high = Math.max(high, points[n + i]);
      }
      const top = middle - high / 127 * (middle - 2), bottom = middle - low / 127 * (middle - 2);
      context.fillRect(x, top, 1, Math.max(1, bottom - top));
    }
  };
}

// Colour maps for grey levels: silence has the colour of the page.
const RAMPS = {
  dark: [[16, 15, 20], [52, 28, 92], [128, 40, 122], [214, 74, 92], [250, 160, 84], [252, 240, 190]],
  light: [[247, 245, 250], [214, 204, 236], [166, 138, 214], [118, 70, 170], [82, 26, 104], [38, 8, 38]],
};
function rampTable() {
  const ramp = RAMPS[isDark() ? "dark" : "light"];
  const result = new Uint8Array(256 * 3);
  for (let level = 0; level < 256; level++) {
    const place = level / 255 * (ramp.length - 1);
    const i = Math.min(Math.floor(place), ramp.length - 2);
    for (let c = 0; c < 3; c++) {
      result[3 * level + c] = ramp[i][c] + (place - i) * (ramp[i + 1][c] - ramp[i][c]);
    }
  }
  return result;
}

function drawSpectrogram(timeline, sound) {
  const coloured = document.createElement("canvas");
  let grey = null, theme = "";
  const image = new Image();
  image.onload = () => {
    coloured.width = image.width;
    coloured.height = image.height;
    const context = coloured.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    grey = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < grey.length; i++) grey[i] = pixels[4 * i];
    redrawAll();
  };
  image.src = `data:image/png;base64,${sound.png}`;
  const paint = () => {
    if (theme === colour("ramp")) return;
    theme = colour("ramp");
    const ramp = rampTable(), context = coloured.getContext("2d");
    const picture = context.createImageData(coloured.width, coloured.height);
    for (let i = 0; i < grey.length; i++) {
      for (let c = 0; c < 3; c++) picture.data[4 * i + c] = ramp[3 * grey[i] + c];
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  };
  return (context, width, height) => {
    if (!grey) return;
    paint();
    const perSecond = coloured.width / (sound.end - sound.start);
    context.drawImage(
      coloured, (timeline.low - sound.start) * perSecond, 0, timeline.span * perSecond,
      coloured.height, 0, 0, width, height,
    );
    const [low, high] = sound.hz;
    for (const hz of [100, 1000, 10000]) {
      const y = Math.log(high / hz) / Math.log(high / low) * height;
      label(context, hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, y);
    }
  };
}

const SILENT_DB = -150; // lower gains are inaudible
function drawUnits(timeline, units, isChosen) {
  return (context, width, height) => {
    const lane = height / units.layers;
    for (let i = 0; i < units.n; i++) {
      const left = timeline.x(units.onset[i]);
      const right = timeline.x(units.onset[i] + units.length[i]);
      if (right < 0 || left > width) continue;
      const w = Math.max(right - left, 0.75);
      const top = units.layer[i] * lane;
      context.fillStyle = fileColour(units.file[i]);
      context.globalAlpha = units.gain[i] < SILENT_DB ? 0.25 : 1;
      context.fillRect(left, top, w > 3 ? w - 1 : w, lane - 1);
      context.globalAlpha = 1;
      if (isChosen(i)) {
        context.strokeStyle = colour("ink");
        context.lineWidth = 2;
        context.strokeRect(left + 1, top + 1, Math.max(w - 3, 1), lane - 3);
      }
    }
  };
}

// Lines of one descriptor column: recorded, predicted, matched.
class DescriptorLines {
  constructor(timeline, given) {
    this.timeline = timeline;
    this.given = given;
    this.column = 0;
    this.sets = {};
    for (const name of Object.keys(given.sets)) {
      this.sets[name] = numbers(given.sets[name], Uint16Array);
    }
  }

  count(name) { return this.sets[name].length / this.given.names.length; }

  time(name, i) {
    const { first, step } = this.given;
    return name === "recorded" ? -first - (this.count(name) - 1 - i) * step : first + i * step;
  }

  level(name, i) { return this.sets[name][this.column * this.count(name) + i] / 65535; }

  value(name, i) {
    const { low, high } = this.given;
    const c = this.column;
    return low[c] + this.level(name, i) * (high[c] - low[c]);
  }

  draw(context, width, height) {
    for (const name of ["recorded", "matched", "predicted"]) {
      context.strokeStyle = colour(name);
      context.lineWidth = name === "predicted" ? 1.8 : 1.4;
      context.lineJoin = "round";
      context.beginPath();
      for (let i = 0; i < this.count(name); i++) {
        const x = this.timeline.x(this.time(name, i));
        if (x < -20 || x > width + 20) continue;
        context.lineTo(x, 6 + (1 - this.level(name, i)) * (height - 12));
      }
      context.stroke();
    }
    const { low, high } = this.given;
    label(context, high[this.column].toPrecision(3), 10);
    label(context, low[this.column].toPrecision(3), height - 10);
  }

  tell(time) {
    const lines = [`${this.given.names[this.column]} at ${clock(time)}`];
    for (const name of Object.keys(this.sets)) {
      const n = this.count(name);
      if (!n) continue;
      const i = Math.round((time - this.time(name, 0)) / this.given.step);
      if (i >= 0 && i < n) lines.push(`${name} ${this.value(name, i).toPrecision(4)}`);
    }
    return lines.join("\n");
  }
}
