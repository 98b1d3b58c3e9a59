"use strict";
// The browser's side of the page: evidence, citations, keys. It asks the server nothing and puts
// text in with textContent only; the cards it shows were made and cleaned by the server.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const narrow = () => matchMedia("(max-width: 860px)").matches;
  let shownTurn = null;
  let openKey = null;
  let opener = null;
  const sources = new Map();

  // light and dark
  const applyTheme = (theme) => {
    document.body.classList.toggle("dark", theme === "dark");
    document.documentElement.style.colorScheme = theme;
  };
  const storedTheme = () => {
    try { return localStorage.getItem("citewise-theme"); } catch { return null; }
  };
  const wantedTheme = () =>
    storedTheme() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const switchTheme = () => {
    const theme = document.body.classList.contains("dark") ? "light" : "dark";
    try { localStorage.setItem("citewise-theme", theme); } catch { /* private window */ }
    applyTheme(theme);
  };

  // rooms: which one is open stands in the address, and the server hears of every visit
  let room = null;
  let ready = false;
  const visit = () => document.getElementById(`cw-visit-${room}`)?.click();
  const enter = (name) => {
    if (!$(`.cw-door[data-cw-room="${CSS.escape(name)}"]`)) name = "chat";
    document.body.dataset.cwRoom = name;
    for (const door of $$(".cw-door")) {
      if (door.dataset.cwRoom === name) door.setAttribute("aria-current", "page");
      else door.removeAttribute("aria-current");
    }
    if (room === name) return;
    room = name;
    if (ready) visit();
    slide(false);
    draw(false);
  };
  const roomInAddress = () => location.hash.slice(1) || "chat";
  const walk = (name) => {
    history.pushState(history.state, "", name === "chat" ? location.pathname + location.search
      : `#${name}`);
    enter(name);
  };

  // the drawer that holds conversations and filters where the page is narrow
  const draw = (open) => {
    const was = document.body.classList.contains("cw-drawer");
    document.body.classList.toggle("cw-drawer", open);
    if (open) $("#cw-new")?.focus({ preventScroll: true });
    else if (was) $(".cw-menu")?.focus({ preventScroll: true });
  };

  // scrolling inside one pane, never the whole page
  const bring = (pane, element, share = 0.3) => {
    const at = element.getBoundingClientRect().top - pane.getBoundingClientRect().top;
    const top = pane.scrollTop + at - pane.clientHeight * share;
    pane.scrollTo({ top, behavior: calm() ? "auto" : "smooth" });
  };

  // the evidence side
  const store = (turn) => $(`.cw-store[data-cw-turn="${CSS.escape(turn)}"]`);
  const lightUp = () => {
    const card = openKey && $(`.cw-cards [data-cw-key="${CSS.escape(openKey)}"]`);
    const lit = new Set((card?.dataset.cwSentences || "").split(" ").filter(Boolean));
    for (const s of $$("#cw-talk .cw-s")) s.classList.toggle("cw-lit", lit.has(s.dataset.cwS));
    for (const chip of $$("#cw-talk .cw-chip")) {
      chip.classList.toggle("cw-lit", chip.dataset.cwOpen === openKey);
    }
  };
  const showTurn = (turn) => {
    const from = store(turn);
    const cards = $(".cw-cards");
    if (!from || !cards) return;
    if (turn !== shownTurn) {
      cards.replaceChildren();
      sources.clear();
      shownTurn = turn;
      openKey = null;
    }
    const wanted = [...from.children];
    const cited = wanted.filter((card) => !/:r\d+$/.test(card.dataset.cwKey));
    wanted.forEach((source, i) => {
      const key = source.dataset.cwKey;
      const near = /:r\d+$/.test(key);
      const html = source.outerHTML;
      const old = $(`[data-cw-key="${CSS.escape(key)}"]`, cards);
      // a paper that was only looked at shows up when it is opened, or when nothing is cited
      const hidden = near && cited.length > 0 && key !== openKey;
      if (old && sources.get(key) === html) { old.hidden = hidden; return; }
      const card = source.cloneNode(true);
      card.classList.toggle("cw-near", near);
      card.hidden = hidden;
      if (key === openKey) setOpen(card, true);
      sources.set(key, html);
      if (old) old.replaceWith(card);
      else cards.insertBefore(card, cards.children[i] || null);
    });
    const note = $(".cw-panel-note");
    if (note) {
      const n = cited.length;
      note.textContent = n ? `${n} ${n === 1 ? "paper" : "papers"} cited`
        : wanted.length ? "nothing cited; the nearest papers" : "";
    }
    lightUp();
  };
  const setOpen = (card, open) => {
    card.classList.toggle("cw-open", open);
    $(".cw-card-open", card)?.setAttribute("aria-expanded", String(open));
  };
  const openCard = (key, from) => {
    const turn = key.slice(0, key.lastIndexOf(":"));
    const inPanel = from?.closest(".cw-cards");
    if (inPanel && key === openKey) {
      setOpen(from.closest(".cw-card"), false);
      openKey = null;
      lightUp();
      return;
    }
    if (turn !== shownTurn) showTurn(turn);
    openKey = key;
    showTurn(turn);
    const cards = $(".cw-cards");
    let wanted = null;
    for (const card of cards.children) {
      const open = card.dataset.cwKey === key;
      setOpen(card, open);
      if (open) wanted = card;
    }
    if (!wanted) return;
    lightUp();
    if (!inPanel) opener = from;
    if (narrow()) slide(true);
    const mark = $("mark", wanted);
    const pane = cards.getBoundingClientRect();
    const top = wanted.getBoundingClientRect();
    // the card's head stays in view unless the marked words would then be out of it
    const far = mark && mark.getBoundingClientRect().bottom - top.top > pane.height * 0.9;
    bring(cards, far ? mark : wanted, far ? 0.3 : 0.02);
  };
  const slide = (open) => {
    document.body.classList.toggle("cw-evidence", open);
    if (open) $(".cw-panel-close")?.focus({ preventScroll: true });
    else if (opener?.isConnected) {
      opener.focus({ preventScroll: true });
      hideTip();
    }
  };
  const showSentence = (id) => {
    const parts = $$(`#cw-talk .cw-s[data-cw-s="${CSS.escape(id)}"]`);
    if (!parts.length) return;
    slide(false);
    bring($("#cw-talk"), parts[0]);
    for (const part of parts) {
      part.animate?.([{ backgroundColor: "var(--cw-mark)" }, {}], { duration: calm() ? 0 : 1600 });
    }
  };

  // the little window
  let tip = null;
  const hideTip = () => tip?.classList.remove("cw-on");
  const showTip = (element) => {
    if (!tip) {
      tip = document.createElement("div");
      tip.id = "cw-tip";
      tip.setAttribute("role", "tooltip");
      tip.append(document.createElement("b"), document.createElement("span"));
      document.body.append(tip);
    }
    tip.children[0].textContent = element.dataset.cwTitle;
    tip.children[1].textContent = element.dataset.cwQuote || "";
    tip.classList.add("cw-on");
    const at = element.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(12, at.left + at.width / 2 - box.width / 2),
      innerWidth - box.width - 12);
    const above = at.top - box.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : at.bottom + 8}px`;
  };

  // asking
  const put = (text) => {
    const box = $("#cw-box textarea");
    if (!box) return;
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    return box;
  };
  const askNow = (text) => {
    if ($("#cw-talk .cw-busy")) return;
    put(text);
    // Gradio takes the new text over in its next tick
    setTimeout(() => $("#cw-ask")?.click(), 30);
  };
  const copy = async (button) => {
    const text = button.dataset.cwQuote;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const was = button.textContent;
    button.textContent = "Copied with its sources";
    setTimeout(() => { button.textContent = was; }, 1500);
  };

  document.addEventListener("click", (event) => {
    const door = event.target.closest?.(".cw-door");
    if (door) { walk(door.dataset.cwRoom); return; }
    const target = event.target.closest?.("[data-cw-open],[data-cw-ask],[data-cw-act]");
    if (document.body.classList.contains("cw-drawer") && (event.target.closest("#cw-new")
      || !event.target.closest("#cw-side, .cw-menu"))) draw(false);
    if (!target) {
      if (document.body.classList.contains("cw-evidence") && !event.target.closest("#cw-right")) {
        slide(false);
      }
      return;
    }
    const { cwOpen, cwAsk, cwAct } = target.dataset;
    hideTip();
    if (cwOpen) openCard(cwOpen, target);
    else if (cwAsk) askNow(cwAsk);
    else if (cwAct === "theme") switchTheme();
    else if (cwAct === "side") draw(true);
    else if (cwAct === "panel") { opener = target; slide(true); }
    else if (cwAct === "close") slide(false);
    else if (cwAct === "sentence") showSentence(target.dataset.cwS);
    else if (cwAct === "copy") copy(target);
  });
  for (const [type, out] of [["mouseover", false], ["focusin", false], ["mouseout", true],
    ["focusout", true]]) {
    document.addEventListener(type, (event) => {
      const element = event.target.closest?.(".cw-chip[data-cw-title], .cw-verdict[data-cw-title]");
      if (!element) return;
      if (out) hideTip(); else showTip(element);
    });
  }
  document.addEventListener("scroll", hideTip, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hideTip();
      if (document.body.classList.contains("cw-evidence")) slide(false);
      else if (document.body.classList.contains("cw-drawer")) draw(false);
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey
      && !event.target.closest?.("input, textarea, select, [contenteditable=true]")) {
      event.preventDefault();
      if (room !== "chat") walk("chat");
      draw(false);
      $("#cw-box textarea")?.focus();
    }
  });

  // what the server sends
  let lastTurn = null;
  let offered = null;
  let greeted = false;
  const refresh = () => {
    const current = $("#cw-current .cw-turn");
    const turn = current?.dataset.cwTurn ?? null;
    if (turn !== lastTurn) {
      lastTurn = turn;
      if (turn === null) {
        $(".cw-cards")?.replaceChildren();
        sources.clear();
        shownTurn = openKey = offered = null;
        const note = $(".cw-panel-note");
        if (note) note.textContent = "";
        slide(false);
      }
      // a new question goes to the top of its pane; the answer grows below it and nothing moves
      const pane = $("#cw-talk");
      if (pane) {
        requestAnimationFrame(() => {
          pane.scrollTo({ top: $("#cw-current").offsetTop - pane.offsetTop, behavior: "instant" });
        });
      }
    }
    if (turn !== null && store(turn)) {
      // the newest turn is shown once by itself; after that the person chooses
      if (offered !== turn || shownTurn === turn) showTurn(turn);
      offered = turn;
    }
    lightUp();
  };
  const name = () => {
    for (const [id, role, label] of [["cw-talk", "log", "Conversation"],
      ["cw-right", "complementary", "Evidence"],
      ["cw-side", "navigation", "Conversations and filters"],
      ["cw-room-library", "region", "Library"], ["cw-room-evaluate", "region", "Evaluate"]]) {
      const area = document.getElementById(id);
      if (area && area.getAttribute("role") !== role) {
        area.setAttribute("role", role);
        area.setAttribute("aria-label", label);
      }
    }
  };
  // Gradio may put its areas in anew at any time: everything is looked up again on each change
  let due = false;
  const changed = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      name();
      if ($(".cw-door:not([aria-current])") && !$(".cw-door[aria-current]")) enter(roomInAddress());
      refresh();
      const box = $("#cw-box textarea");
      if (box && !greeted) {
        greeted = true;
        // a narrow screen is a telephone: its keyboard would cover the examples
        if (!narrow()) box.focus({ preventScroll: true });
      }
    });
  };
  const start = () => {
    applyTheme(wantedTheme());
    document.body.dataset.cwRoom = roomInAddress();
    addEventListener("popstate", () => enter(roomInAddress()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
      () => applyTheme(wantedTheme()));
    new MutationObserver(changed).observe(document.body, { childList: true, subtree: true,
      characterData: true, attributes: true,
      attributeFilter: ["data-cw-turn", "data-cw-sentences"] });
    changed();
  };
  // Gradio calls this once its buttons work; a press before that is lost
  window.citewiseReady = () => {
    ready = true;
    if (room !== null && room !== "chat") visit();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
