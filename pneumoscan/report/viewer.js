// The large view of pictures, one at a time, and what else pages of pictures share. Its names are for the script after it.
"use strict";
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children); // strings become text
  return element;
}

function switchHeat() {
  const isOff = document.body.classList.toggle("without-heat");
  for (const button of all(".heat-switch")) button.setAttribute("aria-pressed", !isOff);
}

// Pictures have places from 0 to count() - 1: place() is that of the active one, go(place) makes another one active,
// which gets the focus unless the view is open, and show() fills the view with the active one.
function largeView({ place, count, go, show, hasHeat }) {
  const viewer = byId("viewer");

  function view() {
    show();
    byId("place").textContent = `${(place() + 1).toLocaleString("en")} of ${count().toLocaleString("en")}`;
    byId("previous").disabled = place() === 0;
    byId("next").disabled = place() === count() - 1;
  }

  function move(by) {
    const to = place() + by;
    if (to < 0 || to >= count()) return;
    go(to);
    if (viewer.open) view();
  }

  function open(at) {
    go(at);
    view();
    viewer.showModal();
    byId("view-name").focus();
  }

  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  byId("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => go(place()));
  for (const button of all(".heat-switch")) button.addEventListener("click", switchHeat);
  for (const element of all(".heat-switch, .of-heat")) element.hidden = !hasHeat;
  return { open, move };
}
