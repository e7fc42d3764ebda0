// Sounds of the server: one at a time, decoded once, at a gain of their own.

class Sound {
  constructor() {
    this.start = 0;
    this.end = 1;
    this.position = 0;
    this.source = null;
    this.address = "";
    this.gain = 1;
    this.listeners = [];
  }

  get playing() { return this.source !== null; }

  get now() {
    if (!this.playing) return this.position;
    return Math.min(this.from + Math.max(0, Sound.context.currentTime - this.began), this.stopAt);
  }

  // Name the sound; it is fetched when it is first played.
  use(path, end, gain = 1) {
    this.address = path;
    this.end = end;
    this.gain = gain;
    this.position = clamp(this.position, 0, end);
  }

  static async buffer(path) {
    if (!Sound.context) Sound.context = new AudioContext();
    if (Sound.context.state === "suspended") await Sound.context.resume();
    if (!Sound.kept.has(path)) {
      const decoded = fetch(path).then(checked).then((r) => r.arrayBuffer())
        .then((raw) => Sound.context.decodeAudioData(raw));
      decoded.catch(() => Sound.kept.delete(path));
      Sound.kept.set(path, decoded);
      if (Sound.kept.size > 24) Sound.kept.delete(Sound.kept.keys().next().value);
    }
    return Sound.kept.get(path);
  }

  async play(from = this.position, to = this.end) {
    const call = this.call = (this.call || 0) + 1;
    const buffer = await Sound.buffer(this.address);
    if (call !== this.call) return;
    Sound.hush();
    this.from = from >= this.end - 0.02 ? 0 : clamp(from, 0, this.end);
    this.stopAt = Math.min(Math.max(to, this.from), buffer.duration);
    const source = this.source = Sound.context.createBufferSource();
    const level = Sound.context.createGain();
    level.gain.value = this.gain;
    source.buffer = buffer;
    source.connect(level).connect(Sound.context.destination);
    source.onended = () => { if (this.source === source) this.finish(); };
    this.began = Sound.context.currentTime + 0.01;
    source.start(this.began, this.from, this.stopAt - this.from);
    Sound.sounding = this;
    this.tell();
  }

  finish() {
    this.position = this.stopAt >= this.end - 0.05 ? 0 : this.stopAt;
    this.source = null;
    this.tell();
  }

  pause() {
    this.call = (this.call || 0) + 1;
    if (!this.playing) return;
    this.position = this.now;
    const source = this.source;
    this.source = null;
    source.stop();
    this.tell();
  }

  async seek(time) {
    if (this.playing) { await this.play(time); return; }
    this.position = clamp(time, 0, this.end);
    this.tell();
  }

  tell() { for (const listener of this.listeners) listener(); }

  static hush() { if (Sound.sounding) Sound.sounding.pause(); }
}
Sound.kept = new Map();
Sound.sounding = null;

// Short sounds beside the players: a unit, a sample.
const short = new Sound();
async function hear(path) {
  const began = performance.now();
  const buffer = await Sound.buffer(path);
  short.use(path, buffer.duration);
  await short.play(0);
  document.body.dataset.heard = path;
  document.body.dataset.heardMs = (performance.now() - began).toFixed(0);
}

// Redraw a playhead while a sound plays.
function follow(sound, show) {
  let moving = false;
  const step = () => {
    show();
    moving = sound.playing;
    if (moving) requestAnimationFrame(step);
  };
  sound.listeners.push(() => { if (!moving) step(); });
}
