// Player of one decoded sound. Time 0 is the start of the continuation.

class Player {
  constructor(encoded, start, end) {
    this.encoded = encoded;
    this.start = start;
    this.end = end;
    this.position = start;
    this.stopAt = end;
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
    if (!this.decoded) {
      this.context = new AudioContext();
      this.level = this.context.createGain();
      this.level.gain.value = this.volume;
      this.level.connect(this.context.destination);
      this.decoded = this.context.decodeAudioData(bytes(this.encoded).buffer);
    }
    this.buffer = await this.decoded;
    if (this.context.state === "suspended") await this.context.resume();
  }

  // Play from one time to another, by default the end.
  async play(from = this.position, to = this.end) {
    const call = this.call = (this.call || 0) + 1;
    await this.ready();
    if (call !== this.call) return;
    this.stop();
    this.from = clamp(from, this.start, this.end);
    if (this.from >= this.end - 0.01) this.from = this.start;
    this.stopAt = Math.max(this.from, Math.min(to, this.end));
    const source = this.source = this.context.createBufferSource();
    source.buffer = this.buffer;
    source.connect(this.level);
    source.onended = () => { if (this.source === source) this.finish(); };
    this.began = this.context.currentTime + 0.02;
    source.start(this.began, this.from - this.start, this.stopAt - this.from);
    this.tell();
  }

  finish() {
    this.position = this.stopAt >= this.end - 0.01 ? this.start : this.stopAt;
    this.source = null;
    this.tell();
  }

  stop() {
    if (!this.playing) return;
    this.position = this.now;
    const source = this.source;
    this.source = null;
    source.onended = null;
    source.stop();
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
