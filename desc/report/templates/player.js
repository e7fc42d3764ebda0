// Player of one decoded sound at a time. Time 0 is the start of the continuation.

const FADE_S = 0.005;

class Player {
  constructor(encoded, start, end) {
    this.encoded = encoded;
    this.start = start;
    this.end = end;
    this.position = start;
    this.stopAt = end;
    this.gain = 1;
    this.decoded = new Map();
    this.volume = 1;
    this.listeners = [];
    this.source = null;
    this.context = null;
    this.buffer = null;
  }

  get playing() { return this.source !== null; }

  get now() {
    if (!this.playing) return this.position;
    const passed = Math.max(0, this.context.currentTime - this.began);
    return Math.min(this.from + passed, this.stopAt);
  }

  async ready() {
    if (!this.context) {
      this.context = new AudioContext();
      this.level = this.context.createGain();
      this.level.gain.value = this.volume;
      this.level.connect(this.context.destination);
    }
    const { decoded, encoded } = this;
    if (!decoded.has(encoded)) {
      decoded.set(encoded, this.context.decodeAudioData(bytes(encoded).buffer));
    }
    this.buffer = await decoded.get(encoded);
    if (this.context.state === "suspended") await this.context.resume();
  }

  // Play from one time to another, by default the end.
  async play(from = this.position, to = this.end) {
    const call = this.call = (this.call || 0) + 1;
    await this.ready();
    if (call !== this.call) return;
    const began = this.context.currentTime + 0.02;
    this.stop(began);
    this.from = clamp(from, this.start, this.end);
    if (this.from >= this.end - 0.01) this.from = this.start;
    this.stopAt = Math.max(this.from, Math.min(to, this.end));
    const source = this.source = this.context.createBufferSource();
    source.buffer = this.buffer;
    this.fade = this.context.createGain();
    this.fade.gain.setValueAtTime(0, began);
    this.fade.gain.linearRampToValueAtTime(this.gain, began + FADE_S);
    source.connect(this.fade).connect(this.level);
    source.onended = () => { if (this.source === source) this.finish(); };
    this.began = began;
    source.start(this.began, this.from - this.start, this.stopAt - this.from);
    this.tell();
  }

  finish() {
    this.position = this.stopAt >= this.end - 0.01 ? this.start : this.stopAt;
    this.source = null;
    this.tell();
  }

  stop(when = this.context?.currentTime) {
    if (!this.playing) return;
    this.position = this.now;
    const source = this.source;
    this.source = null;
    source.onended = null;
    this.fade.gain.setValueAtTime(this.fade.gain.value, when);
    this.fade.gain.linearRampToValueAtTime(0, when + FADE_S);
    source.stop(when + FADE_S);
  }

  // Go on at the same time with another sound, at a gain of its own.
  async use(sound, gain = 1) {
    this.encoded = sound.ogg;
    this.start = sound.start;
    this.end = sound.end;
    this.gain = gain;
    this.position = clamp(this.position, this.start, this.end);
    if (this.playing) await this.play(this.now + 0.02);
  }

  pause() {
    this.call = (this.call || 0) + 1;
    this.stop();
    this.tell();
  }

  async seek(time) {
    if (this.playing) { await this.play(time); return; }
    this.position = clamp(time, this.start, this.end);
    this.tell();
  }

  setVolume(decibels) {
    this.volume = 10 ** (decibels / 20);
    if (this.level) this.level.gain.value = this.volume;
  }

  tell() { for (const listener of this.listeners) listener(); }
}
