// Highlight what belongs to one phrase: its boxes, its word in the caption, its name in the list.
// A pointer highlights while it is there; a click, or a tap, until the next one.
(() => {
  const light = (element, on) => {
    const result = element.closest(".glip-result");
    if (!result) return;
    for (const each of result.querySelectorAll(".glip-on")) each.classList.remove("glip-on");
    result.classList.toggle("glip-dim", on);
    if (!on) return;
    for (const each of result.querySelectorAll("[data-phrase]"))
      each.classList.toggle("glip-on", each.dataset.phrase === element.dataset.phrase);
  };
  const target = (event) => event.target instanceof Element && event.target.closest(".glip-result [data-phrase]");
  const pinned = (result) => result && result.dataset.pinned !== undefined;
  document.addEventListener("mouseover", (event) => {
    const element = target(event);
    if (element && !pinned(element.closest(".glip-result"))) light(element, true);
  });
  document.addEventListener("mouseout", (event) => {
    const element = target(event);
    if (element && !pinned(element.closest(".glip-result"))) light(element, false);
  });
  document.addEventListener("click", (event) => {
    const element = target(event);
    if (!element) return;
    const result = element.closest(".glip-result");
    const same = result.dataset.pinned === element.dataset.phrase;
    if (same) delete result.dataset.pinned;
    else result.dataset.pinned = element.dataset.phrase;
    light(element, !same);
  });
})();
