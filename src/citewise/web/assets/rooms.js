"use strict";
// The browser's side of the Library and Evaluate rooms: what is looked at and chosen is kept here,
// the server is asked through one wire a room. Text goes in with textContent only; all HTML was
// made and cleaned by the server.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const narrow = () => matchMedia("(max-width: 860px)").matches;
  const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const wires = window.citewiseWires = window.citewiseWires || {};
  const send = (room, name, data) => wires[room]?.(name, data);
  const element = (tag, css, text) => {
    const made = document.createElement(tag);
    if (css) made.className = css;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const button = (label, css, doing) => {
    const made = element("button", css, label);
    made.type = "button";
    made.dataset.cwDo = doing;
    return made;
  };

  // ---- library: what is looked at
  const fresh = () => ({ q: "", since: "", until: "", author: "", source: "", order: "",
    theme: "", page: 0 });
  let view = fresh();
  let asked = 0;
  const chosen = new Map();
  let reading = null;
  const look = (change) => {
    view = { ...view, page: 0, ...change };
    asked += 1;
    noteFilters();
    $("#cw-lib-list")?.setAttribute("aria-busy", "true");
    send("library", "look", { ...view, n: asked });
  };
  const act = (doing, data = {}) => send("library", "act", { do: doing, ...data });

  const form = () => $("#cw-lib-find form");
  const noteFilters = () => {
    const note = $(".cw-narrow-note");
    if (!note) return;
    const set = [["since", "from "], ["until", "to "], ["author", "author "], ["source", "source "]]
      .filter(([name]) => view[name]).map(([name, word]) => word + view[name]);
    note.textContent = set.length ? `: ${set.join(", ")}` : "";
  };
  const fillForm = () => {
    const fields = form()?.elements;
    if (!fields) return;
    for (const name of ["q", "since", "until", "author", "source"]) {
      if (fields[name] && fields[name].value !== view[name]) fields[name].value = view[name];
    }
    const best = $("option[value=best]", fields.order);
    const ranked = Boolean(view.q) || view.theme !== "";
    if (best) best.hidden = !ranked;
    fields.order.value = view.order || (ranked ? "best" : "newest");
    noteFilters();
  };
  const readForm = () => {
    const fields = form()?.elements;
    if (!fields) return;
    const got = {};
    for (const name of ["q", "since", "until", "author", "source"]) {
      got[name] = fields[name].value.trim();
    }
    const order = fields.order.value === "best" ? "" : fields.order.value;
    const searched = got.q !== view.q;
    const theme = searched || got.q ? "" : view.theme;
    const same = theme === view.theme && !searched && order === (view.order || order)
      && Object.keys(got).every((name) => got[name] === view[name]);
    if (same && order === view.order) return;
    // a new search is ranked by how well it fits
    look({ ...got, theme, order: searched ? "" : order });
    fillForm();
  };

  // ---- library: what is chosen
  const paint = () => {
    const list = $("#cw-lib-list");
    if (!list) return;
    if ($(`[data-cw-number="${asked}"]`, list)) list.removeAttribute("aria-busy");
    for (const box of $$("[data-cw-do=pick]", list)) {
      box.setAttribute("aria-checked", String(chosen.has(box.dataset.cwKey)));
    }
    for (const row of $$(".cw-row", list)) {
      if (row.dataset.cwKey === reading) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    const n = chosen.size;
    const said = $(".cw-chosen", list);
    if (!said) return;
    // written only when it differs: every change here comes back as news
    const words = `${n.toLocaleString("en")} chosen`;
    if (said.textContent !== words) said.textContent = words;
    said.hidden = !n;
    $(".cw-found", list).hidden = n > 0;
    $(".cw-of-chosen", list).hidden = !n;
  };
  const sure = (place, ids, title) => {
    if (!place) return;
    const what = ids.length === 1 ? `“${title}”` : plural(ids.length, "paper");
    const yes = button("Remove", "cw-deed cw-danger", "remove-now");
    yes.dataset.cwIds = JSON.stringify(ids);
    place.replaceChildren(
      element("p", "", `Remove ${what} from the library? This cannot be taken back.`),
      yes, button("Keep", "cw-deed", "keep"));
    place.hidden = false;
    yes.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest" });
  };
  const keep = (place) => { place.hidden = true; place.replaceChildren(); };
  const save = (href, name) => {
    const link = element("a");
    link.href = href;
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
  };
  const exportAs = async (format) => {
    const name = `papers.${{ bibtex: "bib" }[format] || format}`;
    if (!chosen.size) {
      // the browser saves what comes, however large
      save(`papers/export?${new URLSearchParams({ ...view, format })}`, name);
      return;
    }
    const fields = new URLSearchParams({ format, ids: JSON.stringify([...chosen.keys()]) });
    const reply = await fetch("papers/export", { method: "POST", body: fields });
    if (!reply.ok) { say((await reply.json()).error, true); return; }
    const address = URL.createObjectURL(await reply.blob());
    save(address, name);
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  };
  const only = (papers) => {
    const most = 200;
    if (papers.length > most) {
      say(`Up to ${most} papers can be asked alone; choose fewer.`, true);
      return;
    }
    document.dispatchEvent(new CustomEvent("citewise-only", { detail: papers }));
    $(".cw-door[data-cw-room=chat]")?.click();
  };
  const read = (id) => {
    if ((id === null) !== (reading === null)) window.citewiseCover?.(id !== null);
    reading = id;
    document.body.classList.toggle("cw-lib-reading", id !== null);
    paint();
  };

  // ---- library: files in
  const say = (text, wrong = false) => {
    const place = $(".cw-sending");
    if (!place) return;
    place.textContent = text;
    place.classList.toggle("cw-wrong", wrong);
  };
  const post = (path, body, onProgress) => new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    if (body) request.setRequestHeader("Content-Type", "application/octet-stream");
    if (onProgress) {
      request.upload.onprogress = (event) => onProgress(event.loaded);
    }
    const end = () => {
      let said = {};
      try { said = JSON.parse(request.responseText); } catch { /* no JSON: said below */ }
      if (request.status === 200) resolve(said);
      else resolve({ fault: said.error || said.detail || "The server could not be reached." });
    };
    request.onload = end;
    request.onerror = end;
    request.send(body || null);
  });
  // Answers of the server may overtake each other, and one from before the files came in may take
  // their report away again: it is asked for until it has been seen.
  let awaited = 0;
  let again = null;
  const watch = () => {
    clearTimeout(again);
    act("watch");
    again = setTimeout(() => {
      const job = $(`#cw-lib-job .cw-job[data-cw-number="${awaited}"]`);
      if (!job || job.classList.contains("cw-going")) watch();
    }, 5000);
  };
  let sending = false;
  const sendFiles = async (files) => {
    const adder = $(".cw-adder");
    if (!adder || sending || !files.length) return;
    const limit = Number(adder.dataset.cwLimit);
    const most = Number(adder.dataset.cwNumber);
    if (files.length > most) { say(`At most ${most} files at once.`, true); return; }
    const large = files.find((file) => file.size > limit);
    if (large) {
      say(`${large.name} is too large: at most ${Math.floor(limit / 2 ** 20)} MB.`, true);
      return;
    }
    sending = true;
    adder.classList.add("cw-busy-adder");
    const lot = [...crypto.getRandomValues(new Uint8Array(16))]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
    let sent = 0;
    let said = {};
    for (const file of files) {
      said = await post(`papers/upload?lot=${lot}&name=${encodeURIComponent(file.name)}`, file,
        (loaded) => say(`Sending ${file.name}: ${Math.floor(100 * (sent + loaded) / total)} %`));
      if (said.fault) break;
      sent += file.size;
    }
    if (!said.fault) said = await post(`papers/begin?lot=${lot}`);
    sending = false;
    adder.classList.remove("cw-busy-adder");
    say(said.fault || "", Boolean(said.fault));
    if (said.job) {
      awaited = said.job;
      watch();
    }
  };

  // ---- evaluate
  const evaluate = (doing, data = {}) => send("evaluate", "act", { do: doing, ...data });

  // ---- what a person does
  const doings = {
    pick: (at) => {
      const { cwKey, cwTitle } = at.dataset;
      if (chosen.has(cwKey)) chosen.delete(cwKey); else chosen.set(cwKey, cwTitle);
      paint();
    },
    open: (at) => {
      read(at.dataset.cwKey);
      act("open", { id: at.dataset.cwKey });
    },
    close: () => {
      const was = reading;
      read(null);
      act("close");
      if (was !== null) {
        $(`#cw-lib-list .cw-row[data-cw-key="${CSS.escape(was)}"] .cw-row-open`)
          ?.focus({ preventScroll: true });
      }
    },
    remove: (at) => {
      const inPaper = at.closest(".cw-reading");
      if (inPaper) sure($(".cw-sure", inPaper), [at.dataset.cwKey], at.dataset.cwTitle);
      else {
        const [first] = chosen.values();
        sure($("#cw-lib-list .cw-sure"), [...chosen.keys()], first);
      }
    },
    "remove-now": (at) => {
      const ids = JSON.parse(at.dataset.cwIds);
      for (const id of ids) chosen.delete(id);
      keep(at.closest(".cw-sure"));
      read(null);
      act("remove", { ids, view });
    },
    keep: (at) => keep(at.closest(".cw-sure")),
    none: () => { chosen.clear(); paint(); },
    only: (at) => {
      if (at.dataset.cwKey) only([{ id: at.dataset.cwKey, title: at.dataset.cwTitle }]);
      else only([...chosen].map(([id, title]) => ({ id, title })));
    },
    export: (at) => {
      at.closest("details").open = false;
      exportAs(at.dataset.cwKey);
    },
    page: (at) => {
      look({ page: Number(at.dataset.cwNumber) });
      $("#cw-lib-list")?.scrollIntoView({ block: "start" });
    },
    theme: (at) => {
      view = fresh();
      look({ theme: at.dataset.cwNumber });
      fillForm();
      if (narrow()) $("#cw-lib-left")?.scrollIntoView({ block: "start" });
    },
    when: (at) => {
      look({ since: at.dataset.cwKey, until: at.dataset.cwKey });
      $(".cw-narrow").open = true;
      fillForm();
      if (narrow()) $("#cw-lib-left")?.scrollIntoView({ block: "start" });
    },
    clear: () => { view = fresh(); look({}); fillForm(); },
    stop: () => act("stop"),
    dismiss: () => { clearTimeout(again); act("dismiss"); },
    "eval-start": (at) => {
      const fields = at.closest("form").elements;
      evaluate("start", { set: fields.set.value, limit: fields.limit.value,
        backend: fields.backend.value });
    },
    "eval-stop": () => evaluate("stop"),
    "eval-show": (at) => {
      evaluate("show", { name: at.dataset.cwKey });
      if (narrow()) $("#cw-eval-run")?.scrollIntoView({ block: "start" });
    },
    "eval-report": (at) => {
      const place = at.closest("section").querySelector(".cw-report");
      if (place.firstChild) { place.replaceChildren(); at.setAttribute("aria-expanded", "false"); return; }
      const frame = element("iframe", "cw-report-frame");
      frame.title = "The report of the run";
      frame.setAttribute("sandbox", "allow-scripts");
      frame.src = `evaluations/${encodeURIComponent(at.dataset.cwKey)}/report.html`;
      place.append(frame);
      at.setAttribute("aria-expanded", "true");
    },
  };
  document.addEventListener("click", (event) => {
    const at = event.target.closest?.("[data-cw-do]");
    for (const menu of $$(".cw-menu-of[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (at && !at.disabled) doings[at.dataset.cwDo]?.(at);
  });
  document.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && event.target.matches?.("g[data-cw-do]")) {
      event.preventDefault();
      doings[event.target.dataset.cwDo]?.(event.target);
    }
    if (event.key !== "Escape" || document.body.dataset.cwRoom !== "library") return;
    const menu = $(".cw-menu-of[open]");
    const asked = $(".cw-sure:not([hidden])");
    if (menu) { menu.open = false; $("summary", menu).focus(); }
    else if (asked) keep(asked);
    else if (reading !== null) doings.close();
  });
  let soon = null;
  document.addEventListener("input", (event) => {
    if (!event.target.closest?.("#cw-lib-find form")) return;
    clearTimeout(soon);
    soon = setTimeout(readForm, event.target.type === "search" ? 350 : 600);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("#cw-files")) {
      sendFiles([...event.target.files]);
      event.target.value = "";
    } else if (event.target.matches?.("[data-cw-do=eval-compare]")) {
      evaluate("show", { name: event.target.dataset.cwKey, against: event.target.value });
    }
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.closest?.("#cw-room-library, #cw-room-evaluate")) return;
    event.preventDefault();
    clearTimeout(soon);
    if (event.target.matches(".cw-find")) readForm();
  });
  const overRoom = (event) => document.body.dataset.cwRoom === "library"
    && event.dataTransfer?.types?.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!overRoom(event)) return;
    event.preventDefault();
    document.body.classList.add("cw-dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("cw-dragging");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("cw-dragging");
    if (!overRoom(event)) return;
    event.preventDefault();
    sendFiles([...event.dataTransfer.files]);
  });

  addEventListener("popstate", () => { if (reading !== null && narrow()) doings.close(); });

  // ---- what the server sends
  let wasBusy = false;
  const changed = () => {
    paint();
    if (form() && form() !== changed.form) {
      changed.form = form();
      fillForm();
    }
    const facts = $(".cw-lib-facts")?.textContent;
    if (changed.facts && facts && facts !== changed.facts) {
      document.getElementById("cw-visit-head")?.click();
    }
    changed.facts = facts || changed.facts;
    const job = $("#cw-lib-job .cw-job");
    const busy = Boolean($("#cw-lib-job .cw-going"));
    // what has been added shows up by itself
    if (wasBusy && !busy && job) look({ page: view.page });
    wasBusy = busy;
  };
  let due = false;
  const start = () => {
    new MutationObserver(() => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => { due = false; changed(); });
    }).observe(document.body, { childList: true, subtree: true });
    new MutationObserver(() => {
      if (document.body.dataset.cwRoom === "library" && wires.library) look({ page: view.page });
    }).observe(document.body, { attributes: true, attributeFilter: ["data-cw-room"] });
  };
  // the room's wire is up: ask for what it opens with
  document.addEventListener("cw-wired-library", () => look({}));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
