// Spectra: from a row of the page to its panels.

const kind = {
  keys: {
    z: ["next peak of the redshift", () => redshift.cycle()],
    t: ["keep the slider's redshift with the verdict", () => redshift.take()],
    m: ["model on or off", () => { state.kind = state.kind === "none" ? "fit" : "none"; spectrum.draw(); }],
    l: ["lines on or off", () => byId("show-lines").click()],
    "]": ["smooth more", () => smoothBy(1)],
    "[": ["smooth less", () => smoothBy(-1)],
    r: ["whole range of the spectrum", () => spectrum.whole()],
  },
  start() {
    state.kind = "fit";
    spectrum.start();
    redshift.start();
  },
  show(index) {
    const { row } = state;
    heading(index, ["class", "z_best", "z_prob", "snr", "misfit"]);
    if (emptiness(index)) return;
    state.arrays = { flux: unpacked(row.flux), error: unpacked(row.error), draws: unpacked(row.draws) };
    state.z = row.peaks[0]?.z ?? NaN;
    redshift.peak = 0;
    if (redshift.edges && Number.isFinite(state.z)) redshift.set(state.z);
    this.draw();
  },
  draw() {
    if (byId("object").classList.contains("empty")) return;
    spectrum.draw();
    redshift.away = redshift.isAway();
    later(() => { redshift.draw(); corner.draw(); });
  },
};

function smoothBy(steps) {
  const slider = byId("smooth");
  slider.value = Number(slider.value) + steps * Number(slider.step);
  spectrum.draw();
}
