"use strict";
(() => {
  const tip = document.getElementById("tip");

  // A pointer over a chart finds the nearest point; a click goes to the turn that it stands for.
  for (const chart of document.querySelectorAll(".chart")) {
    const data = chart.querySelector("script"), plot = chart.querySelector(".plot");
    if (!data) continue;
    const points = JSON.parse(data.textContent);
    const spot = document.createElement("i");
    spot.className = "spot";
    spot.hidden = true;
    plot.append(spot);
    let near = null;
    const find = (event) => {
      const room = plot.getBoundingClientRect();
      const x = event.clientX - room.left, y = event.clientY - room.top;
      let least = 900; // 30 px
      near = null;
      for (const point of points) {
        const far = (point[0] / 1000 * room.width - x) ** 2 + ((1 - point[1] / 1000) * room.height - y) ** 2;
        if (far < least) { least = far; near = point; }
      }
      spot.hidden = tip.hidden = !near;
      if (!near) return;
      spot.style.left = near[0] / 10 + "%";
      spot.style.bottom = near[1] / 10 + "%";
      spot.style.marginBottom = "-5.5px";
      tip.textContent = near[2];
      const at = room.left + near[0] / 1000 * room.width;
      tip.style.left = Math.max(8, Math.min(at + 10, document.documentElement.clientWidth - tip.offsetWidth - 8)) + "px";
      tip.style.top = room.top + scrollY + (1 - near[1] / 1000) * room.height - tip.offsetHeight - 12 + "px";
      plot.style.cursor = near[3] && document.getElementById(near[3]) ? "pointer" : "";
    };
    plot.addEventListener("pointermove", find);
    plot.addEventListener("pointerdown", find);
    plot.addEventListener("pointerleave", () => { spot.hidden = tip.hidden = true; });
    plot.addEventListener("click", () => {
      const card = near && near[3] && document.getElementById(near[3]);
      if (!card) return;
      document.querySelectorAll(".found").forEach((other) => other.classList.remove("found"));
      card.classList.add("found");
      card.scrollIntoView({block: "center"});
      card.focus({preventScroll: true});
    });
  }

  // Entries of a legend that have a curve of their own switch it.
  for (const key of document.querySelectorAll(".chart .key")) {
    const marks = key.closest(".chart").querySelectorAll(`svg [data-series="${CSS.escape(key.dataset.series)}"]`);
    if (!marks.length) { key.disabled = true; key.removeAttribute("aria-pressed"); continue; }
    key.dataset.live = "";
    key.addEventListener("click", () => {
      const on = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", String(on));
      marks.forEach((mark) => mark.classList.toggle("off", !on));
    });
  }

  // One recording plays at a time; the waveform is its position.
  let playing = null;
  for (const player of document.querySelectorAll(".player")) {
    const audio = player.querySelector("audio"), button = player.querySelector(".play");
    const seek = player.querySelector("input"), head = player.querySelector(".head");
    const length = Number(player.dataset.length);
    player.classList.add("live");
    button.hidden = seek.hidden = false;
    const show = () => {
      head.hidden = false;
      head.style.left = Math.min(1, audio.currentTime / length) * 100 + "%";
      seek.value = audio.currentTime / length * 1000;
      seek.setAttribute("aria-valuetext", audio.currentTime.toFixed(1) + " seconds");
      if (!audio.paused) requestAnimationFrame(show);
    };
    button.addEventListener("click", () => audio.paused ? audio.play() : audio.pause());
    seek.addEventListener("input", () => { audio.currentTime = seek.value / 1000 * length; show(); });
    audio.addEventListener("play", () => {
      if (playing && playing !== audio) playing.pause();
      playing = audio;
      button.classList.add("on");
      show();
    });
    audio.addEventListener("pause", () => button.classList.remove("on"));
    audio.addEventListener("ended", () => { audio.currentTime = 0; show(); });
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
