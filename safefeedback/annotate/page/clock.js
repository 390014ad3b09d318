// The one clock of both clips: where they are, whether they run, how fast, and how often they were seen whole.

const STEPS_A_SECOND = 20; // at speed 1
const HOLD = 0.4; // seconds
export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export class Clock {
  constructor(onChange) {
    this.onChange = onChange; // called when anything but the passing of time changed
    this.length = 1;
    this.position = 0;
    this.playing = false;
    this.loop = true;
    this.speed = 1;
    this.plays = 0;
    this.held = 0;
    this.seen = new Uint8Array(1);
  }

  /** Starts over with a pair of `length` steps, seen `plays` times before. */
  reset(length, plays = 0) {
    this.length = length;
    this.position = 0;
    this.plays = plays;
    this.seen = new Uint8Array(length);
    this.see(0, 0);
  }

  get step() {
    return Math.floor(this.position + 1e-6);
  }

  get last() {
    return this.length - 1;
  }

  play() {
    if (this.position >= this.last) this.position = 0;
    this.playing = true;
    this.onChange();
  }

  pause() {
    this.playing = false;
    this.onChange();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(position) {
    this.position = Math.min(Math.max(position, 0), this.last);
    this.see(this.step, this.step);
    this.onChange();
  }

  /** One whole step, forwards or back; stops the clips. */
  stepBy(count) {
    this.playing = false;
    this.seek(this.step + count);
  }

  faster(places) {
    const index = SPEEDS.indexOf(this.speed) + places;
    this.speed = SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)];
    this.onChange();
  }

  /** Time goes on by so many seconds; at the end the last picture stands for a moment before the clips begin again. */
  advance(seconds) {
    if (!this.playing) return;
    if (this.position >= this.last) {
      this.held += seconds;
      if (this.held < HOLD) return;
      this.position = 0;
      this.see(0, 0);
      return;
    }
    const from = this.step;
    this.held = 0;
    this.position = Math.min(this.position + seconds * STEPS_A_SECOND * this.speed, this.last);
    this.see(from, this.step);
    if (this.position >= this.last && !this.loop) this.pause();
  }

  see(from, to) {
    this.seen.fill(1, from, to + 1);
    if (this.seen.every((seen) => seen)) {
      this.plays += 1;
      this.seen.fill(0);
      this.onChange();
    }
  }
}
