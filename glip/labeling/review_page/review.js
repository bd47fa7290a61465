"use strict";
// Names come from files and from users: they are set as textContent only, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const ROW = 152; // height of a card in the list, pixels
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const storageKey = "glip-review:" + data.run;

const images = data.images.map((each, index) => ({ ...each, index, accepted: false, touched: false }));
let nextId = 1 + images.reduce((most, each) => each.boxes.reduce((m, b) => Math.max(m, b.id), most), data.last_id);
let shown = []; // indices of the images in the list
let current = -1; // index of the image on the stage
let selected = -1; // index of the selected box in boxesOf(image)
let proposing = false; // whether the boxes below the threshold are shown
let mode = "select"; // "draw": the next drag is a new box; "redraw": it replaces the selected one
let drag = null;
const undone = [];
const done = [];

const color = (label) => `hsl(${(label * 137.5) % 360} 85% 42%)`;
const round = (value) => Math.round(value * 100) / 100;

function element(tag, attributes, text) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The boxes on the stage: the labels, and the proposals after them if they are shown.
const boxesOf = (image) => (proposing ? [...image.boxes, ...image.proposals] : image.boxes);
const isProposal = () => current >= 0 && selected >= images[current].boxes.length;

// Changes: each stores the image before and after, so that undo and redo only exchange them.

const snapshot = (image) => ({
  boxes: image.boxes.map((box) => ({ ...box, box: [...box.box] })),
  proposals: image.proposals.map((box) => ({ ...box })),
  accepted: image.accepted,
  touched: image.touched,
});

function restore(index, state) {
  Object.assign(images[index], snapshot(state));
  save();
}

function change(index, edit) {
  const before = snapshot(images[index]);
  edit(images[index]);
  images[index].touched = true;
  done.push({ index, before, after: snapshot(images[index]) });
  undone.length = 0;
  save();
}

function step(from, to, side) {
  const entry = from.pop();
  if (!entry) return;
  to.push(entry);
  restore(entry.index, entry[side]);
  selected = -1;
  show(entry.index);
}

let timer = 0;
function save() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const edits = {};
    for (const image of images) if (image.touched) edits[image.id] = snapshot(image);
    try {
      localStorage.setItem(storageKey, JSON.stringify({ nextId, edits }));
    } catch (error) { /* a browser that stores nothing: the download is the way to keep the work */ }
  }, 200);
}

function load() {
  try {
    const stored = JSON.parse(localStorage.getItem(storageKey) || "null");
    if (!stored) return;
    nextId = Math.max(nextId, stored.nextId);
    for (const image of images) if (stored.edits[image.id]) Object.assign(image, stored.edits[image.id]);
  } catch (error) { /* nothing usable is stored */ }
}

// The list: only the cards in view are in the document.

function matches(box) {
  const wanted = byId("filter-class").value;
  const score = box.score === undefined ? 1 : box.score;
  return (wanted === "" || box.label === Number(wanted)) &&
    score >= Number(byId("filter-low").value) && score <= Number(byId("filter-high").value);
}

function filter() {
  const all = byId("filter-class").value === "" && Number(byId("filter-low").value) <= 0 &&
    Number(byId("filter-high").value) >= 1;
  shown = images.filter((image) => (all || boxesOf(image).some(matches)) &&
    !(byId("filter-open").checked && image.accepted)).map((image) => image.index);
  if (byId("order").value === "name") {
    shown.sort((a, b) => (images[a].file_name < images[b].file_name ? -1 : 1));
  }
  byId("spacer").style.height = `${shown.length * ROW}px`;
  byId("list").scrollTop = 0;
  selected = -1;
  show(shown.includes(current) ? current : shown.length ? shown[0] : -1);
}

function drawList() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 3);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 3);
  const present = new Map();
  for (const card of list.querySelectorAll(".card")) present.set(Number(card.dataset.at), card);
  for (const [at, card] of present) {
    if (at < first || at >= last || Number(card.dataset.index) !== shown[at]) {
      card.remove();
      present.delete(at);
    }
  }
  for (let at = first; at < last; at += 1) {
    const image = images[shown[at]];
    let card = present.get(at);
    if (!card) {
      card = element("div", { "data-at": at, "data-index": image.index });
      card.style.top = `${at * ROW}px`;
      card.append(element("img", { src: image.thumbnail, loading: "lazy", alt: "" }), element("div", { class: "caption" }));
      list.append(card);
    }
    card.className = "card" + (image.index === current ? " current" : "") + (image.accepted ? " accepted" : "");
    const more = proposing && image.proposals.length ? `+${image.proposals.length}` : "";
    card.lastChild.textContent = `${image.boxes.length}${more} · ${image.file_name}`;
  }
}

function move(by) {
  const at = shown.indexOf(current) + by;
  if (at < 0 || at >= shown.length) return;
  selected = -1;
  show(shown[at]);
}

// The stage

function show(index) {
  const isNew = index !== current;
  current = index;
  mode = "select";
  const at = shown.indexOf(index);
  const list = byId("list");
  if (at >= 0 && (at * ROW < list.scrollTop || (at + 1) * ROW > list.scrollTop + list.clientHeight)) {
    list.scrollTop = at * ROW - (list.clientHeight - ROW) / 2;
  }
  if (isNew && index >= 0) {
    const image = byId("image");
    const { source, thumbnail } = images[index];
    image.onerror = () => { image.onerror = null; image.src = thumbnail; };
    image.src = source || thumbnail;
  }
  draw();
}

function draw() {
  drawList();
  const image = images[current];
  byId("frame").hidden = !image;
  byId("name").textContent = image ? image.file_name : "no image matches the filter";
  const accepted = images.filter((each) => each.accepted).length;
  byId("progress").textContent = `${shown.length} of ${images.length} images shown, ${accepted} accepted`;
  byId("undo").disabled = !done.length;
  byId("redo").disabled = !undone.length;
  const svg = byId("boxes");
  svg.replaceChildren();
  byId("box-list").replaceChildren();
  if (!image) return;
  fit();
  svg.setAttribute("viewBox", `0 0 ${image.width} ${image.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.classList.toggle("drawing", mode !== "select");
  const rects = boxesOf(image).map((box, at) => {
    const rect = document.createElementNS(SVG, "rect");
    ["x", "y", "width", "height"].forEach((name, side) => rect.setAttribute(name, box.box[side]));
    rect.setAttribute("stroke", color(box.label));
    rect.dataset.at = at;
    if (at === selected) rect.classList.add("selected");
    if (!matches(box)) rect.classList.add("dimmed");
    if (at >= image.boxes.length) rect.classList.add("proposal");
    const title = document.createElementNS(SVG, "title");
    title.textContent = describe(box);
    rect.append(title);
    const item = element("li", { "data-at": at, class: at === selected ? "selected" : "" }, describe(box));
    item.style.borderColor = color(box.label);
    if (at >= image.boxes.length) item.classList.add("proposal");
    byId("box-list").append(item);
    return rect;
  });
  // Large boxes first, so that a small one inside them can be clicked.
  const area = (rect) => Number(rect.getAttribute("width")) * Number(rect.getAttribute("height"));
  svg.append(...rects.sort((a, b) => area(b) - area(a)));
  if (selected >= 0) byId("relabel").value = boxesOf(image)[selected].label;
}

function describe(box) {
  const parts = [data.classes[box.label]];
  if (box.score !== undefined) parts.push(box.score.toFixed(2));
  if (box.probability !== undefined) parts.push(`p ${box.probability.toFixed(2)}`);
  if (box.prompt !== undefined && box.prompt !== data.classes[box.label]) parts.push(`"${box.prompt}"`);
  if (box.edited) parts.push("corrected");
  return parts.join(" · ");
}

function fit() {
  const image = images[current];
  const stage = byId("stage");
  const scale = Math.min((stage.clientWidth - 20) / image.width, (stage.clientHeight - 20) / image.height);
  byId("frame").style.width = `${image.width * scale}px`;
  byId("frame").style.height = `${image.height * scale}px`;
}

function position(event) {
  const area = byId("boxes").getBoundingClientRect();
  const image = images[current];
  const clip = (value, most) => Math.min(Math.max(value, 0), most);
  return [
    clip(((event.clientX - area.left) / area.width) * image.width, image.width),
    clip(((event.clientY - area.top) / area.height) * image.height, image.height),
  ];
}

const between = (a, b) => [
  round(Math.min(a[0], b[0])), round(Math.min(a[1], b[1])),
  round(Math.abs(a[0] - b[0])), round(Math.abs(a[1] - b[1])),
];

byId("boxes").addEventListener("pointerdown", (event) => {
  const at = event.target.dataset.at;
  if (at !== undefined && mode === "select") {
    selected = Number(at);
    draw();
    return;
  }
  if (mode === "select") mode = "draw";
  const draft = document.createElementNS(SVG, "rect");
  draft.classList.add("draft");
  byId("boxes").append(draft);
  byId("boxes").setPointerCapture(event.pointerId);
  drag = { start: position(event), client: [event.clientX, event.clientY], draft };
});

byId("boxes").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const box = between(drag.start, position(event));
  ["x", "y", "width", "height"].forEach((name, side) => drag.draft.setAttribute(name, box[side]));
});

byId("boxes").addEventListener("pointerup", (event) => {
  if (!drag) return;
  const { start, client, draft } = drag;
  const box = between(start, position(event));
  const far = Math.min(Math.abs(event.clientX - client[0]), Math.abs(event.clientY - client[1])) > 3;
  drag = null;
  draft.remove();
  if (far && box[2] > 0 && box[3] > 0) {
    if (mode === "redraw" && selected >= 0 && !isProposal()) edit((each) => { each.box = box; });
    else {
      const label = Number(byId("relabel").value);
      change(current, (image) => image.boxes.push({ id: nextId, box, label, edited: true }));
      nextId += 1;
      selected = images[current].boxes.length - 1;
    }
  } else selected = -1; // a click beside the boxes
  mode = "select";
  draw();
});

// What a user does

function edit(how) {
  if (selected < 0) return;
  change(current, (image) => {
    const box = image.boxes[selected];
    how(box);
    box.edited = true;
    delete box.score; // the score is that of another box
    delete box.probability;
    delete box.prompt;
  });
  draw();
}

function confirm(label) {
  if (!isProposal()) return;
  change(current, (image) => {
    const [found] = image.proposals.splice(selected - image.boxes.length, 1);
    image.boxes.push({ id: nextId, box: found.box, label: label === undefined ? found.label : label, edited: true });
  });
  nextId += 1;
  selected = images[current].boxes.length - 1;
  draw();
}

function relabel(label) {
  if (label < 0 || label >= data.classes.length) return;
  byId("relabel").value = label;
  if (isProposal()) { confirm(label); return; }
  if (selected >= 0 && images[current].boxes[selected].label !== label) edit((box) => { box.label = label; });
}

function remove() {
  if (selected < 0) return;
  change(current, (image) => (isProposal()
    ? image.proposals.splice(selected - image.boxes.length, 1) : image.boxes.splice(selected, 1)));
  selected = Math.min(selected, boxesOf(images[current]).length - 1);
  draw();
}

function accept() {
  if (current < 0) return;
  change(current, (image) => { image.accepted = true; });
  const before = current;
  move(1);
  if (current === before) draw();
}

function cycle(by) {
  const count = current < 0 ? 0 : boxesOf(images[current]).length;
  if (count) selected = (selected + by + count + (selected < 0 && by < 0 ? 1 : 0)) % count;
  draw();
}

function corrected() {
  const ordered = [...images].sort((a, b) => a.id - b.id);
  return {
    info: { description: "labels of a detector, reviewed", version: data.model, labels: data.labels },
    licenses: [],
    categories: data.classes.map((name, label) => ({ id: label + 1, name })),
    images: ordered.map((image) => ({
      id: image.id, file_name: image.file_name, width: image.width, height: image.height,
      reviewed: image.accepted || image.touched,
    })),
    annotations: ordered.flatMap((image) => image.boxes.map((box) => {
      const made = {
        id: box.id, image_id: image.id, category_id: box.label + 1, bbox: box.box,
        area: round(box.box[2] * box.box[3]), iscrowd: 0,
      };
      for (const key of ["score", "probability", "prompt"]) if (box[key] !== undefined) made[key] = box[key];
      if (box.edited) made.corrected = true;
      return made;
    })),
  };
}

function download() {
  const url = URL.createObjectURL(new Blob([JSON.stringify(corrected())], { type: "application/json" }));
  const link = element("a", { href: url, download: data.download });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const keys = {
  a: accept, Enter: accept, j: () => move(1), ArrowDown: () => move(1), ArrowRight: () => move(1),
  k: () => move(-1), ArrowUp: () => move(-1), ArrowLeft: () => move(-1),
  x: remove, Delete: remove, Backspace: remove, r: () => byId("relabel").focus(),
  d: () => { mode = "draw"; draw(); }, e: () => { if (selected >= 0 && !isProposal()) { mode = "redraw"; draw(); } },
  z: () => step(done, undone, "before"), y: () => step(undone, done, "after"), s: download,
  p: () => byId("proposals").click(), c: () => confirm(),
  Escape: () => { mode = "select"; selected = -1; draw(); },
};

document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT", "BUTTON"].includes(event.target.tagName)) return;
  if (event.altKey || ((event.ctrlKey || event.metaKey) && !"zyZY".includes(event.key))) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Tab") cycle(event.shiftKey ? -1 : 1);
  else if (/^[1-9]$/.test(key)) relabel(Number(key) - 1);
  else if (key === "z" && event.shiftKey) keys.y();
  else if (keys[key]) keys[key]();
  else return;
  event.preventDefault();
});

byId("relabel").addEventListener("change", (event) => { relabel(Number(event.target.value)); event.target.blur(); });
byId("proposals").addEventListener("change", (event) => { proposing = event.target.checked; });
for (const id of ["filter-class", "filter-low", "filter-high", "filter-open", "order", "proposals"]) {
  byId(id).addEventListener("change", (event) => { filter(); event.target.blur(); });
}
byId("list").addEventListener("scroll", () => requestAnimationFrame(drawList));
byId("list").addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (card) { selected = -1; show(Number(card.dataset.index)); }
});
byId("box-list").addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (item) { selected = Number(item.dataset.at); draw(); }
});
for (const [id, action] of [["undo", keys.z], ["redo", keys.y], ["download", download]]) {
  byId(id).addEventListener("click", (event) => { action(); event.target.blur(); });
}
window.addEventListener("resize", () => { if (current >= 0) draw(); });

byId("filter-class").append(element("option", { value: "" }, "all"));
data.classes.forEach((name, label) => {
  byId("filter-class").append(element("option", { value: label }, name));
  byId("relabel").append(element("option", { value: label }, label < 9 ? `${label + 1} ${name}` : name));
});
byId("note").textContent = data.note;
load();
filter();
