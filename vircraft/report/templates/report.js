// The report works without this script; it adds the viewer (swipe, blink, edges), sorting, filters and charts
// that lead to their pairs. No network, nothing stored but the choice of light or dark.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cards = $$(".pair");
  const shownCards = () => $$(".pair").filter((card) => !card.hidden);

  // --- light or dark -------------------------------------------------------------------------------------
  const themeSwitch = $("[data-theme-switch]");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
  const nameSwitch = () => { themeSwitch.textContent = dark() ? "Light" : "Dark"; };
  try {
    const stored = localStorage.getItem("vircraft-theme");
    if (stored) document.documentElement.dataset.theme = stored;
  } catch { /* a browser that forbids storage for files */ }
  themeSwitch.hidden = false;
  nameSwitch();
  systemDark.addEventListener("change", nameSwitch);
  themeSwitch.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    nameSwitch();
    try { localStorage.setItem("vircraft-theme", document.documentElement.dataset.theme); } catch { /* as above */ }
  });

  // --- order and filters ---------------------------------------------------------------------------------
  const list = $("[data-pairs]");
  const tools = $("[data-tools]");
  if (list && tools) {
    tools.hidden = false;
    const doubtful = [...cards];
    const byTime = [...cards].sort((a, b) => a.dataset.tick - b.dataset.tick);
    const count = () => { $("[data-shown]").textContent = `${shownCards().length} of ${cards.length} pairs shown`; };
    for (const button of $$("[data-order]", tools)) {
      button.addEventListener("click", () => {
        $$("[data-order]", tools).forEach((b) => b.setAttribute("aria-pressed", b === button));
        list.append(...(button.dataset.order === "time" ? byTime : doubtful));
      });
    }
    for (const button of $$("[data-filter]", tools)) {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
        const kept = new Set($$('[data-filter][aria-pressed="true"]', tools).map((b) => b.dataset.filter));
        cards.forEach((card) => { card.hidden = !kept.has(card.dataset.verdict); });
        count();
      });
    }
    count();
  }

  // --- viewer --------------------------------------------------------------------------------------------
  const viewer = $("#viewer");
  if (!viewer || !cards.length) return;
  const part = Object.fromEntries($$("[data-v]", viewer).map((node) => [node.dataset.v, node]));
  const zooms = [1, 2, 4];
  const state = { card: null, mode: "swipe", share: 50, blinkVisible: true, zoom: 0, pointer: [0.5, 0.5], labels: false };

  // A mode that a pair cannot show (rejected pairs have no registered picture) falls back for that pair only.
  const possible = (mode, card) => {
    const has = card.dataset;
    if (mode === "edges") return Boolean(has.edges);
    if (mode === "side") return true;
    return has.registered === "1" && Boolean(has.infrared && has.visible);
  };
  const modeNow = () => (possible(state.mode, state.card) ? state.mode : "side");

  function setPicture(image, address, alt) {
    image.alt = address ? alt : "";
    if (!address) image.removeAttribute("src");
    else if (image.getAttribute("src") !== address) image.src = address;
  }

  function fit(mode) {
    const wide = mode === "side" ? 2 : 1;
    const width = Number(state.card.dataset.width), height = Number(state.card.dataset.height);
    const scale = Math.min((part.stage.clientWidth - 16) / (width * wide), (part.stage.clientHeight - 16) / height);
    part.sheet.style.width = `${Math.floor(width * wide * scale)}px`;
    part.sheet.style.height = `${Math.floor(height * scale)}px`;
  }

  function draw() {
    const card = state.card, mode = modeNow(), has = card.dataset;
    const visibleName = has.registered === "1" ? "registered visible" : "visible, as recorded";
    fit(mode);
    part.sheet.className = `sheet ${mode}${zooms[state.zoom] > 1 ? " zoomed" : ""}`;
    const [px, py] = state.pointer;
    part.sheet.style.transform = `scale(${zooms[state.zoom]})`;
    part.sheet.style.transformOrigin = `${100 * px}% ${100 * py}%`;
    part.zoom.textContent = `${zooms[state.zoom]}×`;
    const show = {
      infrared: mode !== "edges" && !(mode === "blink" && state.blinkVisible),
      visible: mode !== "edges" && !(mode === "blink" && !state.blinkVisible),
      edges: mode === "edges",
    };
    for (const [kind, shown] of Object.entries(show)) part[kind].hidden = !shown || !has[kind];
    part.visible.style.clipPath = mode === "swipe" ? `inset(0 0 0 ${state.share}%)` : "";
    part.visible.style.opacity = mode === "blend" ? String(1 - state.share / 100) : "";
    const labels = $("[data-labels]", card);
    const labelSwitch = $('[data-act="labels"]', viewer);
    part.labels.hidden = !(state.labels && labels);
    labelSwitch.disabled = !labels;
    labelSwitch.setAttribute("aria-pressed", state.labels && Boolean(labels));
    part.seam.hidden = mode !== "swipe";
    part.seam.style.left = `${state.share}%`;
    const badges = { blink: state.blinkVisible ? visibleName : "infrared", edges: "infrared edges over visible" };
    part.badge.textContent = mode === "side" ? `infrared | ${visibleName}` : badges[mode] || "";
    part.slider.disabled = mode !== "swipe" && mode !== "blend";
    part.slider.value = state.share;
    for (const button of $$("[data-mode]", viewer)) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
      button.disabled = !possible(button.dataset.mode, card);
    }
  }

  function open(card, mode) {
    if (!card) return;
    if (mode) state.mode = mode;
    if (state.card) state.card.classList.remove("here");
    state.card = card;
    card.classList.add("here");
    const has = card.dataset;
    part.id.textContent = has.id;
    part.chip.className = `chip ${has.verdict}`;
    part.chip.textContent = `${has.sign} ${has.words}`;
    part.facts.textContent = `${$(".error", card).textContent} · ${$(".facts", card).textContent.trim()}`;
    const order = shownCards(), place = order.indexOf(card);
    part.place.textContent = `${place + 1} of ${order.length}`;
    const labels = $("[data-labels]", card);
    part.labels.replaceChildren(...(labels ? [0, 1].map(() => labels.content.cloneNode(true)) : []));
    setPicture(part.infrared, has.infrared, `Infrared frame of ${has.id}`);
    setPicture(part.visible, has.visible, `Visible frame of ${has.id}`);
    setPicture(part.edges, has.edges, `Infrared edges over the visible frame of ${has.id}`);
    if (!viewer.open) viewer.showModal();
    draw();
    for (const near of [order[place + 1], order[place - 1]]) {
      if (near) for (const kind of ["infrared", "visible", "edges"]) if (near.dataset[kind]) new Image().src = near.dataset[kind];
    }
  }

  function move(step) {
    const order = shownCards();
    open(order[(order.indexOf(state.card) + step + order.length) % order.length]);
  }

  function press(mode) {
    if (mode === "blink" && state.mode === "blink") state.blinkVisible = !state.blinkVisible;
    else if (mode === "blink") state.blinkVisible = false;
    state.mode = mode;
    draw();
  }

  const acts = {
    prev: () => move(-1),
    next: () => move(1),
    close: () => viewer.close(),
    zoom: () => { state.zoom = (state.zoom + 1) % zooms.length; draw(); },
    brighten: () => {
      const on = document.documentElement.classList.toggle("bright");
      $('[data-act="brighten"]', viewer).setAttribute("aria-pressed", on);
    },
  };
  acts.labels = () => { state.labels = !state.labels; draw(); };
  const modeKeys = { b: "blink", s: "swipe", e: "edges", m: "blend", d: "side" };
  const actKeys = { ArrowLeft: "prev", ArrowRight: "next", z: "zoom", g: "brighten", l: "labels" };

  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.mode) press(button.dataset.mode);
    else if (button.dataset.act) acts[button.dataset.act]();
  });
  viewer.addEventListener("close", () => {
    if (state.card) { state.card.scrollIntoView({ block: "center" }); state.card.focus({ preventScroll: true }); }
  });
  part.slider.addEventListener("input", () => { state.share = Number(part.slider.value); draw(); });
  // Give the arrow keys back to the pairs once the mouse lets go of the slider.
  part.slider.addEventListener("pointerup", () => part.slider.blur());
  part.stage.addEventListener("pointermove", (event) => {
    const box = part.stage.getBoundingClientRect();
    state.pointer = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (event.buttons & 1 && ["swipe", "blend"].includes(modeNow())) {
      const sheet = part.sheet.getBoundingClientRect();
      state.share = Math.round(100 * Math.min(1, Math.max(0, (event.clientX - sheet.left) / sheet.width)));
    }
    if (event.buttons & 1 || state.zoom) draw();
  });
  part.stage.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("resize", () => { if (viewer.open) draw(); });

  let hovered = null;
  document.addEventListener("pointerover", (event) => { hovered = event.target.closest(".pair"); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.closest(".pair"), link.dataset.open);
    if (link.dataset.open === "blink") { state.blinkVisible = true; draw(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (viewer.open) {
      if (event.target === part.slider && key.startsWith("Arrow")) return;
      if (modeKeys[key]) { if (possible(modeKeys[key], state.card)) press(modeKeys[key]); }
      else if (actKeys[key]) acts[actKeys[key]]();
      else return;
      event.preventDefault();
      return;
    }
    const focused = document.activeElement.closest(".pair");
    const inView = () => shownCards().find((card) => card.getBoundingClientRect().top >= 0);
    if (modeKeys[key]) {
      if (key === "b") state.blinkVisible = true;
      open(focused || hovered || inView() || shownCards()[0], modeKeys[key]);
      event.preventDefault();
    } else if (key === "l") {
      state.labels = true;
      open(focused || hovered || inView() || shownCards()[0]);
      event.preventDefault();
    } else if (key === "g") {
      acts.brighten();
    } else if (focused && (key === "ArrowLeft" || key === "ArrowRight")) {
      const order = shownCards();
      const next = order[order.indexOf(focused) + (key === "ArrowRight" ? 1 : -1)];
      if (next) next.focus();
      event.preventDefault();
    }
  });
  cards.forEach((card) => { card.tabIndex = 0; });

  // --- charts lead to their pairs ------------------------------------------------------------------------
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const charts = $$(".chart[data-low]");
  const times = cards.map((card) => Number(card.dataset.time));
  function nearest(chart, event) {
    const box = chart.getBoundingClientRect(), has = chart.dataset;
    const x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
    const time = Number(has.low) + (x - has.start) / (has.end - has.start) * (has.high - has.low);
    let best = 0;
    times.forEach((t, n) => { if (Math.abs(t - time) < Math.abs(times[best] - time)) best = n; });
    return cards[best];
  }
  for (const chart of charts) {
    chart.addEventListener("pointermove", (event) => {
      const card = nearest(chart, event);
      tip.hidden = false;
      tip.textContent = `${card.dataset.id} · ${card.dataset.words} · ${$(".error", card).textContent}`;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY + 16}px`;
      for (const each of charts) {
        const has = each.dataset;
        const x = Number(has.start) + (card.dataset.time - has.low) / (has.high - has.low) * (has.end - has.start);
        const cursor = $(".cursor", each);
        cursor.setAttribute("x1", x);
        cursor.setAttribute("x2", x);
        cursor.style.visibility = "visible";
      }
    });
    chart.addEventListener("pointerleave", () => {
      tip.hidden = true;
      $$(".cursor").forEach((cursor) => { cursor.style.visibility = "hidden"; });
    });
    chart.addEventListener("click", (event) => open(nearest(chart, event), "swipe"));
  }

  // An address with #pair-ID&open=MODE opens the viewer at once; &labels draws them.
  const asked = decodeURIComponent(location.hash).match(/^#pair-(.+?)(?:&open=(\w+))?(&labels)?$/);
  if (asked) {
    const card = cards.find((each) => each.dataset.id === asked[1]);
    state.labels = Boolean(asked[3]);
    if (card && asked[2]) open(card, asked[2]);
    else if (card) card.scrollIntoView({ block: "center" });
  }
})();
