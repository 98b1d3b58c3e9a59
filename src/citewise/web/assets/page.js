"use strict";
// The browser's side of the page: rooms, conversations, evidence, citations, keys. What it asks the
// server goes through Gradio's events; text is put in with textContent only, and the cards it shows
// were made and cleaned by the server.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const narrow = () => matchMedia("(max-width: 860px)").matches;
  let shownTurn = null;
  let openKey = null;
  let openFor = null;
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

  // a form of our own: nothing but a press of this person's ends the login
  const leave = () => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/logout";
    document.body.append(form);
    form.submit();
  };

  // another library, in the same room
  const goTo = (choice) => {
    const path = choice.dataset.cwKey.replace(/\/?$/, "/");
    // assign would only move to the fragment where the path is the same
    if (choice.getAttribute("aria-current") === "page" || !/^\/(?!\/)/.test(path)) return;
    location.href = path + location.hash;
  };

  // On a telephone the evidence and the drawer cover the talk: the browser's Back leaves them,
  // for which an entry of the history is made that the next place takes over.
  const covering = () => Boolean(history.state?.cwOver);
  const cover = (open) => {
    if (open && narrow() && !covering()) history.pushState({ cwOver: true }, "", location.href);
    else if (!open && covering()) history.back();
  };
  window.citewiseCover = cover;
  const remember = (address, push) => {
    history[push && !covering() ? "pushState" : "replaceState"](null, "", address);
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
    // papers may have come in another room, which the welcome counts
    if (ready && name === "chat" && wanted === null && !inAddress()) {
      send("focus", { c: "", start: true, back: true });
    }
    slide(false);
    draw(false);
  };
  const roomInAddress = () => location.hash.slice(1) || "chat";
  const walk = (name) => {
    remember(location.pathname + location.search + (name === "chat" ? "" : `#${name}`), true);
    enter(name);
  };

  // the server's ear: a component out of sight whose events carry what a person wants done
  let trigger = null;
  const waiting = [];
  const send = (event, data) => {
    if (trigger && ready) trigger(event, data);
    else waiting.push([event, data]);
  };
  const flush = () => { while (trigger && ready && waiting.length) trigger(...waiting.shift()); };
  window.citewiseBus = (given) => { trigger = given; flush(); };

  // which conversation is open stands in the address
  const inAddress = () => new URLSearchParams(location.search).get("c") || "";
  const setAddress = (c, push) => {
    const to = c ? `${location.pathname}?c=${encodeURIComponent(c)}` : location.pathname;
    remember(to + location.hash, push);
  };
  let replacing = null;
  let wanted = null;
  window.citewiseAux = () => {
    const told = { c: inAddress(), replacing };
    // what is asked now says where it belongs; an address that led nowhere is left behind
    wanted = null;
    edit(null);
    return told;
  };
  const openConversation = (c) => {
    wanted = c;
    setAddress(c, true);
    edit(null);
    if (room !== "chat") enter("chat");
    draw(false);
    send("select", { c });
  };

  // a word to the person, in passing
  const notice = (text) => {
    let place = $("#cw-notice");
    if (!place) {
      place = document.createElement("div");
      place.id = "cw-notice";
      place.setAttribute("role", "status");
      ($("main") || document.body).append(place);
    }
    place.textContent = text;
    place.classList.add("cw-on");
    clearTimeout(notice.timer);
    notice.timer = setTimeout(() => place.classList.remove("cw-on"), 4000);
  };
  window.citewiseSave = (parcel) => {
    if (!parcel || parcel.error) { notice(parcel?.error || "Nothing to export."); return; }
    const bytes = Uint8Array.from(atob(parcel.data), (c) => c.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: parcel.type }));
    link.download = parcel.name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    notice(`Saved as ${parcel.name}`);
  };

  // small things made here: a button, a field, a row of them
  const make = (tag, css, text) => {
    const element = document.createElement(tag);
    element.className = css;
    if (tag === "button") element.type = "button";
    if (text) element.textContent = text;
    return element;
  };
  const field = (label, value, done, cancel) => {
    const input = make("input", "cw-field");
    input.value = value;
    input.setAttribute("aria-label", label);
    input.placeholder = label;
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") done(input.value);
      else if (event.key === "Escape") cancel();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return input;
  };

  // managing one conversation of the list
  const manage = (button) => {
    const row = button.closest(".cw-conv");
    const there = $(".cw-manage", row);
    for (const old of $$(".cw-manage")) old.remove();
    for (const dots of $$(".cw-dots")) dots.setAttribute("aria-expanded", "false");
    row.classList.remove("cw-renaming");
    if (there) return;
    button.setAttribute("aria-expanded", "true");
    const c = row.dataset.cwC;
    const box = make("div", "cw-manage");
    const close = () => {
      box.remove();
      row.classList.remove("cw-renaming");
      button.setAttribute("aria-expanded", "false");
      if (button.isConnected) button.focus();
    };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { close(); event.stopPropagation(); }
    });
    const rename = make("button", "cw-link", "Rename");
    rename.addEventListener("click", () => {
      const title = $(".cw-conv-open", row).dataset.cwTitle;
      const input = field("New title", title,
        (value) => { send("edit", { c, title: value }); close(); }, close);
      row.classList.add("cw-renaming");
      box.replaceChildren(input);
      input.focus();
      input.select();
    });
    const forms = [["md", "Markdown"], ["json", "JSON"], ["zip", "Bundle"]].map(([form, label]) => {
      const save = make("button", "cw-link", label);
      save.setAttribute("aria-label", `Export as ${label}`);
      save.addEventListener("click", () => { send("download", { c, form }); close(); });
      return save;
    });
    const remove = make("button", "cw-link cw-danger", "Delete");
    remove.addEventListener("click", () => {
      const ask = make("span", "cw-sure", "Delete it for good?");
      const yes = make("button", "cw-link cw-danger", "Delete");
      const no = make("button", "cw-link", "Keep");
      yes.addEventListener("click", () => {
        const open = inAddress() === c;
        if (open) wanted = "";
        send("delete", { c, open });
      });
      no.addEventListener("click", close);
      box.replaceChildren(ask, yes, no);
      no.focus();
    });
    box.append(rename, ...forms, remove);
    row.append(box);
    rename.focus();
  };

  // thumbs: the server is told at once, and again with the reason; without one it keeps what it has
  const judged = new Map();
  const showThumbs = () => {
    for (const thumb of $$(".cw-thumb")) {
      const said = judged.get(thumb.dataset.cwTurn);
      if (said) thumb.setAttribute("aria-pressed", String(said.thumb === +thumb.dataset.cwKey));
    }
  };
  const judge = (button) => {
    const turn = button.dataset.cwTurn;
    const taken = button.getAttribute("aria-pressed") === "true";
    const thumb = taken ? 0 : +button.dataset.cwKey;
    const c = inAddress();
    const tell = (reason) => {
      judged.set(turn, { thumb, reason });
      send("like", { c, turn, thumb, reason });
      showThumbs();
    };
    tell(null);
    const foot = button.closest(".cw-foot");
    $(".cw-why", foot.parentElement)?.remove();
    if (!thumb) return;
    const box = make("div", "cw-why");
    const close = () => { box.remove(); if (button.isConnected) button.focus(); };
    const input = field(thumb > 0 ? "What is good about it? (optional)"
      : "What is wrong with it? (optional)", button.dataset.cwQuote || "",
      (value) => { tell(value); close(); notice("Thank you, kept."); }, close);
    const done = make("button", "cw-link", "Send");
    done.addEventListener("click", () => { tell(input.value); close(); notice("Thank you, kept."); });
    box.append(input, done);
    foot.after(box);
    input.focus({ preventScroll: true });
  };

  // editing an earlier question
  const edit = (button) => {
    const box = $("#cw-box textarea");
    $("#cw-editing")?.remove();
    replacing = null;
    if (!button || !box) return;
    replacing = button.dataset.cwTurn;
    const later = $$("#cw-talk .cw-turn").filter((turn) =>
      +turn.dataset.cwTurn > +replacing).length;
    const line = make("div", "");
    line.id = "cw-editing";
    line.append(make("span", "", later
      ? `Asked anew, its answer and the ${later === 1 ? "turn" : `${later} turns`} after it go.`
      : "Asked anew, its answer goes."));
    const no = make("button", "cw-link", "Keep it");
    no.addEventListener("click", () => { edit(null); put(""); box.focus(); });
    line.append(no);
    $("#cw-chips").before(line);
    put(button.dataset.cwQuote);
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  };

  // the drawer that holds conversations and filters where the page is narrow
  const draw = (open) => {
    const was = document.body.classList.contains("cw-drawer");
    document.body.classList.toggle("cw-drawer", open);
    if (open !== was) cover(open);
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
  // the sentence that a chip stands in or behind, and what is shown of it alone
  const sentenceOf = (chip) => {
    const before = $$(".cw-s", chip.closest(".cw-turn") || document).filter((s) =>
      s.contains(chip) || s.compareDocumentPosition(chip) & Node.DOCUMENT_POSITION_FOLLOWING);
    return before.pop()?.dataset.cwS ?? null;
  };
  const isOf = (sentence) => (shown) =>
    (shown.dataset.cwSentences || "").split(" ").includes(sentence);
  const lightUp = () => {
    const card = openKey && $(`.cw-cards [data-cw-key="${CSS.escape(openKey)}"]`);
    const marks = card ? $$("mark", card) : [];
    const own = marks.some(isOf(openFor));
    for (const mark of marks) mark.classList.toggle("cw-faint", own && !isOf(openFor)(mark));
    const citing = (card?.dataset.cwSentences || "").split(" ").filter(Boolean);
    const lit = new Set(citing.includes(openFor) ? [openFor] : citing);
    for (const s of $$("#cw-talk .cw-s")) s.classList.toggle("cw-lit", lit.has(s.dataset.cwS));
    for (const chip of $$("#cw-talk .cw-chip")) {
      const pressed = chip.dataset.cwOpen === openKey;
      chip.classList.toggle("cw-lit", pressed && (lit.size !== 1 || lit.has(sentenceOf(chip))));
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
    openFor = from?.closest(".cw-chip") ? sentenceOf(from) : null;
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
    const mark = $("mark:not(.cw-faint)", wanted);
    const pane = cards.getBoundingClientRect();
    const top = wanted.getBoundingClientRect();
    // the card's head stays in view unless the marked words would then be out of it
    const far = mark && mark.getBoundingClientRect().bottom - top.top > pane.height * 0.9;
    bring(cards, far ? mark : wanted, far ? 0.3 : 0.02);
  };
  const slide = (open) => {
    const was = document.body.classList.contains("cw-evidence");
    document.body.classList.toggle("cw-evidence", open);
    if (open !== was) cover(open);
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
      ($("main") || document.body).append(tip);
    }
    const key = element.dataset.cwOpen;
    const card = key && $(`.cw-store [data-cw-key="${CSS.escape(key)}"]`);
    tip.children[0].textContent = element.dataset.cwTitle;
    tip.children[1].textContent = element.dataset.cwQuote || "";
    if (card) {
      // the same words as the server drew them, formulas included
      tip.children[0].replaceChildren(...$(".cw-title", card).cloneNode(true).childNodes);
      const all = $$(".cw-quotes blockquote", card);
      const own = all.filter(isOf(sentenceOf(element)));
      const quotes = own.length ? own : all;
      if (quotes.length && card.textContent.length < 6000) {
        tip.children[1].replaceChildren(...quotes.flatMap((quote, i) =>
          [...(i ? [" … "] : []), ...quote.cloneNode(true).childNodes]));
      }
    }
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
    for (const more of $$("details.cw-more[open]")) {
      if (!more.contains(event.target) || event.target.closest("button")) more.open = false;
    }
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
    else if (cwAct === "logout") leave();
    else if (cwAct === "library") goTo(target);
    else if (cwAct === "side") draw(true);
    else if (cwAct === "open") openConversation(target.dataset.cwC);
    else if (cwAct === "manage") manage(target);
    else if (cwAct === "thumb") judge(target);
    else if (cwAct === "edit") edit(target);
    else if (cwAct === "again") {
      edit(null);
      send("retry", { c: inAddress(), turn: target.dataset.cwTurn });
    } else if (cwAct === "export") {
      send("download", { c: inAddress(), turn: target.dataset.cwTurn, form: target.dataset.cwKey });
    } else if (cwAct === "unfilter") send("clear", { key: target.dataset.cwKey });
    else if (cwAct === "only") {
      send("option_select", { paper: target.dataset.cwPaper });
      notice(`Asking only ${target.dataset.cwTitle}`);
      if (room !== "chat") walk("chat");
    }
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
  // the Library room hands over papers: ask only these
  document.addEventListener("citewise-only", ({ detail }) => {
    send("option_select", { papers: detail.map((paper) => paper.id) });
    notice(detail.length === 1 ? `Asking only ${detail[0].title}`
      : `Asking only ${detail.length} papers`);
  });
  document.addEventListener("scroll", hideTip, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hideTip();
      const more = $("details.cw-more[open]");
      if (more) { more.open = false; $("summary", more).focus(); }
      else if (document.body.classList.contains("cw-evidence")) slide(false);
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
    // the server says which conversation this is, unless another has been asked for meanwhile
    const c = ($("#cw-current [data-cw-c]") || current)?.dataset.cwC;
    if (c !== undefined && (wanted === null || wanted === c)) {
      if (inAddress() !== c) setAddress(c, false);
      wanted = null;
    }
    for (const row of $$(".cw-conv-open")) {
      if (row.dataset.cwC === inAddress()) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    showThumbs();
    if (turn !== lastTurn) {
      lastTurn = turn;
      if (turn !== null && shownTurn !== null && !store(shownTurn)) {
        $(".cw-cards")?.replaceChildren();
        sources.clear();
        shownTurn = openKey = null;
      }
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
    addEventListener("popstate", () => {
      slide(false);
      draw(false);
      enter(roomInAddress());
      const here = $("#cw-current [data-cw-c]")?.dataset.cwC || "";
      if (inAddress() !== here) {
        wanted = inAddress();
        send("select", { c: wanted });
      }
    });
    document.addEventListener("click", (event) => {
      if (event.target.closest("#cw-new")) { wanted = ""; edit(null); setAddress("", true); }
    }, true);
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
    wanted = inAddress() || null;
    waiting.unshift(["focus", { c: inAddress(), start: true }]);
    flush();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
