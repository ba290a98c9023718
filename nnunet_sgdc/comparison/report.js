"use strict";

const collator = new Intl.Collator("en", { numeric: true });

function sortBy(header) {
  const body = header.closest("table").tBodies[0];
  const sign = header.ariaSort === "ascending" ? -1 : 1;
  const numeric = header.classList.contains("number");
  const key = (row) => row.cells[header.cellIndex].dataset.value;
  const compare = (one, other) => {
    if (!one || !other) return !one - !other;
    return sign * (numeric ? one - other : collator.compare(one, other));
  };
  for (const cell of header.parentNode.cells) cell.ariaSort = null;
  header.ariaSort = sign > 0 ? "ascending" : "descending";
  body.append(...[...body.rows].sort((one, other) => compare(key(one), key(other))));
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function filter(controls) {
  const items = [...document.getElementById(controls.dataset.items).children];
  const text = controls.querySelector("input").value.trim().toLowerCase();
  const selects = [...controls.querySelectorAll("select")];
  for (const item of items) {
    const searched = (item.dataset.text ?? item.textContent).toLowerCase();
    const chosen = selects.every(({ name, value }) => !value || item.dataset[name] === value);
    item.hidden = !(chosen && searched.includes(text));
  }
  const shown = items.filter((item) => !item.hidden).length;
  controls.querySelector("output").value = `${shown} of ${items.length} shown`;
}

for (const controls of document.querySelectorAll(".filters")) {
  controls.addEventListener("input", () => filter(controls));
  controls.hidden = false;
  filter(controls);
}

const dialog = document.querySelector("dialog");
let enlarged = null;

function enlarge(figure) {
  const [from, to] = [figure, dialog].map((place) => place.querySelector("img"));
  Object.assign(to, { src: from.src, alt: from.alt });
  dialog.querySelector("figcaption").replaceChildren(...figure.querySelector("figcaption").cloneNode(true).childNodes);
  enlarged = figure;
  if (!dialog.open) dialog.showModal();
}

for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => enlarge(button.closest("figure")));
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("button")) dialog.close();
});

dialog.addEventListener("keydown", ({ key }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const figures = [...enlarged.parentNode.querySelectorAll("figure:not([hidden])")];
  const next = step && figures[figures.indexOf(enlarged) + step];
  if (next) enlarge(next);
});
