// One pair on the screen: both clips on one clock, the questions, Next and Undo.

import { byId } from "./elements.js";
import { Clock } from "./clock.js";
import { showNumbers, sayNumbers } from "./numbers.js";
import { Panel } from "./panel.js";
import { Questions } from "./questions.js";
import { onThemeChange } from "./theme.js";

const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export class Trial {
  /** act: {next(trial), undo()}, called when the person goes on or takes an earlier answer back. */
  constructor(session, pairs, act) {
    this.session = session;
    this.pairs = pairs;
    this.act = act;
    this.clock = new Clock(() => this.showClock());
    this.panels = ["left", "right"].map((id, side) => new Panel(byId(id), side));
    this.questions = new Questions(byId("questions"), session.questions, (event) => this.chosen(event));
    this.playsOf = new Map(); // item -> how often it was seen whole
    this.item = null;
    this.which = 0; // of the scenes: frames before drawing
    this.drawnAt = 0;
    byId("aim").textContent = session.study.aim;
    byId("limit").textContent = session.study.limit;
    this.wire();
    onThemeChange(() => this.panels.forEach((panel) => panel.paintGround()));
    const tick = (time) => {
      this.tick(time);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  wire() {
    const clock = this.clock;
    const click = (id, action) => byId(id).addEventListener("click", (event) => {
      action();
      if (event.detail > 0) byId("main").focus({ preventScroll: true }); // after a pointer, keys mean what they always mean
    });
    click("play", () => clock.toggle());
    click("back", () => clock.stepBy(-1));
    click("forward", () => clock.stepBy(1));
    click("slower", () => clock.faster(-1));
    click("faster", () => clock.faster(1));
    click("loop", () => this.command("loop"));
    click("view", () => this.command("view"));
    click("numbers-button", () => this.toggleNumbers());
    click("next", () => this.command("next"));
    click("undo", () => this.command("undo"));
    const scrub = byId("scrub");
    scrub.addEventListener("input", () => {
      const step = Number(scrub.value); // pausing shows the clock, which sets the slider
      if (clock.playing) clock.pause();
      clock.seek(step);
    });
    scrub.addEventListener("pointerup", () => byId("main").focus({ preventScroll: true }));
  }

  /** Shows an item whose numbers have arrived, and draws it at once. */
  show(item, data, title) {
    const { sides, scenes } = this.pairs.scenes(data, item);
    Object.assign(this, { item, sides, scenes });
    this.clock.reset(this.session.view.length, this.playsOf.get(item.item) ?? 0);
    this.questions.reset(item.answers);
    this.questions.lock(false);
    byId("pair-title").textContent = title;
    byId("feedback").hidden = true;
    byId("view").hidden = scenes.length < 2;
    byId("scrub").max = this.clock.last;
    byId("trial").hidden = false;
    this.showScene();
    this.hint("");
    const main = byId("main");
    main.dataset.pairId = item.pair_id;
    main.dataset.swapped = String(item.swapped);
    main.dataset.item = item.item;
    if (!byId("numbers").hidden) showNumbers(byId("numbers"), this.scenes.at(-1));
    sayNumbers(this.panels, scenes.at(-1), 0);
    this.clock.playing = !STILL.matches;
    this.showClock();
    this.drawnAt = performance.now();
    this.shownAt = Date.now();
    main.focus({ preventScroll: true });
  }

  hide() {
    this.item = null;
    this.clock.playing = false;
    byId("trial").hidden = true;
  }

  showScene() {
    const scene = this.scenes[Math.min(this.which, this.scenes.length - 1)];
    byId("view").setAttribute("aria-pressed", String(this.which === 1));
    for (const panel of this.panels) {
      panel.position = this.clock.position;
      panel.show(scene);
    }
  }

  tick(time) {
    const seconds = Math.min((time - (this.lastTick ?? time)) / 1000, 0.1);
    this.lastTick = time;
    if (this.item === null || !this.clock.playing) return;
    this.clock.advance(seconds);
    this.paint();
  }

  paint() {
    for (const panel of this.panels) panel.paint(this.clock.position);
    const step = this.clock.step;
    if (step !== this.stepShown) {
      this.stepShown = step;
      byId("scrub").value = step;
      byId("step").textContent = `${step + 1} / ${this.clock.length}`;
    }
  }

  /** After play, pause, step, scrub, speed, loop. */
  showClock() {
    if (this.item === null) return;
    this.playsOf.set(this.item.item, this.clock.plays);
    this.stepShown = -1;
    this.paint();
    byId("play").classList.toggle("playing", this.clock.playing);
    byId("play-name").textContent = this.clock.playing ? "Pause" : "Play";
    byId("speed").textContent = `${this.clock.speed}×`;
    byId("loop").setAttribute("aria-pressed", String(this.clock.loop));
    byId("scrub").setAttribute("aria-valuetext", `step ${this.clock.step + 1} of ${this.clock.length}`);
    if (!this.clock.playing) sayNumbers(this.panels, this.scenes.at(-1), this.clock.step);
  }

  command(name) {
    const clock = this.clock;
    const commands = {
      play: () => clock.toggle(),
      back: () => clock.stepBy(-1),
      forward: () => clock.stepBy(1),
      start: () => clock.seek(0),
      end: () => clock.seek(clock.last),
      faster: () => clock.faster(1),
      slower: () => clock.faster(-1),
      loop: () => {
        clock.loop = !clock.loop;
        this.showClock();
      },
      view: () => {
        if (this.scenes.length < 2) return;
        this.which = 1 - this.which;
        this.showScene();
      },
      next: () => this.next(),
      undo: () => this.undo(),
    };
    commands[name]();
  }

  chosen(event) {
    for (const group of document.querySelectorAll(".question.missing")) group.classList.remove("missing");
    this.hint(this.questions.open === undefined ? "Enter goes on." : "");
    if (event?.detail > 0) byId("main").focus({ preventScroll: true });
  }

  next() {
    if (this.questions.locked) {
      this.act.next(this);
      return;
    }
    const open = this.questions.open;
    if (open !== undefined) {
      byId(`question-${open.key}`).closest(".question").classList.add("missing");
      this.problem(`Not answered yet: ${open.text}`);
      return;
    }
    if (this.clock.plays === 0 && !this.session.study.quick) {
      this.problem("Please watch both clips to the end before you go on.");
      if (!this.clock.playing) this.clock.play();
      return;
    }
    this.act.next(this);
  }

  undo() {
    if (!this.questions.locked && this.questions.undo()) return;
    this.act.undo(this);
  }

  /** What was answered, as the server wants it. */
  get body() {
    return {
      item: this.item.item,
      ...this.questions.answers,
      shown_at: this.shownAt,
      answered_at: Date.now(),
      milliseconds: Math.round(performance.now() - this.drawnAt),
      plays: [this.clock.plays, this.clock.plays],
    };
  }

  toggleNumbers() {
    const numbers = byId("numbers");
    numbers.hidden = !numbers.hidden;
    byId("numbers-button").setAttribute("aria-expanded", String(!numbers.hidden));
    if (!numbers.hidden) showNumbers(numbers, this.scenes.at(-1));
  }

  hint(text) {
    byId("hint").textContent = text;
    byId("hint").classList.remove("problem");
  }

  problem(text) {
    this.hint(text);
    byId("hint").classList.add("problem");
  }
}
