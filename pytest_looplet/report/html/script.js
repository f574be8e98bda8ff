"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const cases = [...document.querySelectorAll(".case")];
  const search = get("search"), filter = get("filter"), count = get("count"), none = get("none");
  const texts = new Map();
  const text = (one) => {
    if (!texts.has(one)) texts.set(one, one.textContent.toLowerCase());
    return texts.get(one);
  };
  const red = new Set(["failed", "error"]);
  const fits = (one, wanted) =>
    !wanted || (wanted === "red" ? red.has(one.dataset.standing) : one.dataset.standing === wanted);
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of cases) {
      const ok = fits(one, filter.value) && words.every((word) => text(one).includes(word));
      one.hidden = !ok;
      shown += ok;
    }
    count.textContent = shown + " of " + cases.length;
    none.hidden = shown > 0;
  };
  const visible = () => cases.filter((one) => !one.hidden);
  const all = (open) => { for (const one of visible()) one.open = open; };
  const current = () => document.activeElement && document.activeElement.closest(".case");
  const go = (by) => {
    const list = visible(), at = list.indexOf(current());
    const next = list[at < 0 ? 0 : Math.min(Math.max(at + by, 0), list.length - 1)];
    if (!next) return;
    next.querySelector("summary").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const steps = () => {
    const one = current();
    if (!one) return;
    const inner = [...one.querySelectorAll(".step")], open = inner.some((step) => !step.open);
    one.open = true;
    for (const step of inner) step.open = open;
  };
  let later = 0;
  search.addEventListener("input", () => { clearTimeout(later); later = setTimeout(show, 120); });
  filter.addEventListener("change", show);
  get("tools").addEventListener("submit", (event) => event.preventDefault());
  get("expand").addEventListener("click", () => all(true));
  get("collapse").addEventListener("click", () => all(false));
  const keys = { j: () => go(1), k: () => go(-1), e: steps, "/": () => search.focus() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { search.value = ""; filter.value = ""; show(); search.blur(); return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  show();
})();
