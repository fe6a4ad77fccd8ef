// What the page does more with a script: fresh slots, a price while one types, one form at a time, printing.
// Everything works without it.
"use strict";

const announce = (text) => {
  const place = document.getElementById("annonce");
  if (place) place.textContent = text;
};

// A piece is not replaced under somebody's fingers: neither while a field in it has the focus and a value, nor
// while a form of it is on its way.
const isInUse = (piece) => {
  const active = document.activeElement;
  return piece.dataset.busy === "1" || (piece.contains(active) && active.matches("input") && active.value !== "");
};

const put = (piece, html, pick) => {
  const held = piece.contains(document.activeElement) ? document.activeElement.id : "";
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const source = pick ? parsed.getElementById(pick) : parsed.body;
  if (!source) return;
  piece.replaceChildren(...source.childNodes);
  if (held) document.getElementById(held)?.focus();
};

const refresh = async (piece) => {
  if (isInUse(piece)) {
    setTimeout(() => refresh(piece), 1500);
    return;
  }
  const answer = await fetch(piece.dataset.piece, { credentials: "same-origin" });
  if (answer.status === 401) location.assign("/connexion");
  if (!answer.ok) return;
  const before = piece.textContent;
  put(piece, await answer.text(), piece.dataset.pick);
  if (piece.textContent !== before) announce(piece.querySelector(".slot.vitale .who, .slot.vitale .empty")?.textContent ?? "");
};

const listen = () => {
  const pieces = [...document.querySelectorAll("[data-piece]")];
  const sheet = document.getElementById("feuille");
  if (!pieces.length && !sheet) return;
  const source = new EventSource(`/evenements?depuis=${document.body.dataset.live}`);
  for (const name of ["desk", "sheets"]) {
    source.addEventListener(name, () => {
      for (const piece of pieces) if (piece.dataset.on.split(" ").includes(name)) refresh(piece).catch(() => {});
      if (sheet && name === "desk") price(sheet).catch(() => {});
    });
  }
  addEventListener("pagehide", () => source.close());
};

let asked = 0;
const price = async (form) => {
  const place = document.getElementById("prix");
  const mine = (asked += 1);
  const body = new URLSearchParams(new FormData(form));
  const isOpen = place.querySelector("details")?.open;
  place.classList.add("stale");
  try {
    const answer = await fetch(form.dataset.price, { method: "POST", body, credentials: "same-origin" });
    if (mine !== asked || !answer.ok) return;
    put(place, await answer.text(), "");
    const why = place.querySelector("details");
    if (why) why.open = Boolean(isOpen);
  } finally {
    if (mine === asked) place.classList.remove("stale");
  }
};

const watchSheet = (form) => {
  let later = 0;
  form.addEventListener("input", (event) => {
    if (event.target.matches("[data-form]")) return;
    clearTimeout(later);
    later = setTimeout(() => price(form).catch(() => {}), 250);
  });
  form.addEventListener("change", (event) => {
    // another mode shows other fields: the server draws them
    if (event.target.matches("[data-form], [name=personne]")) form.requestSubmit(form.querySelector("button[value=prix]"));
  });
};

// Between the click and the answer the page says so; a second click sends the same key and changes nothing.
document.addEventListener("submit", (event) => {
  const piece = event.target.closest("[data-piece]");
  if (piece) piece.dataset.busy = "1";
  event.submitter?.setAttribute("aria-busy", "true");
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

document.addEventListener("DOMContentLoaded", () => {
  const sheet = document.getElementById("feuille");
  if (sheet) watchSheet(sheet);
  if (document.body.hasAttribute("data-live")) listen();
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.querySelector("[aria-invalid]")?.focus();
});
