// Elements made of text. Nothing in this page parses HTML: whatever a key, a tag or a URL holds is put in as text.

/** The element with this id. */
export const find = (id) => document.getElementById(id);

/** An element with attributes and children; texts become text nodes. */
export function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Sets a node's text, and leaves alone what is the same: a selection in it stays. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Writes a figure: the text for people, and the number it stands for. */
export function figure(node, value, text) {
  let data = node.localName === "data" ? node : node.firstElementChild;
  if (!data) node.append((data = make("data")));
  const exact = value === null || value === undefined ? "" : String(value);
  if (data.getAttribute("value") !== exact) data.setAttribute("value", exact);
  write(data, text);
}

/** One child for each item. Children are used again by their place, so that focus stays where it is. */
export function fill(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, place) => {
    if (place === parent.children.length) parent.append(create());
    update(parent.children[place], item, place);
  });
}

/** Rows of a table's body. Each column is a function that writes one cell; the first cell heads its row. */
export function rows(body, items, columns) {
  const head = body.parentElement.tHead.rows[0].cells;
  const create = () => {
    const cells = columns.map((_, place) => {
      const attributes = { class: head[place].className || undefined, scope: place ? undefined : "row" };
      return make(place ? "td" : "th", attributes);
    });
    return make("tr", {}, ...cells);
  };
  fill(body, items, create, (row, item) => columns.forEach((column, place) => column(row.cells[place], item)));
}

/** A column of texts. */
export const text = (of) => (cell, item) => write(cell, of(item));

/** A column of figures: what the number is, and how it is written. */
export const number = (of, as) => (cell, item) => figure(cell, of(item), as(of(item)));

/** A column of names to press. */
export const button = (of, label, press) => (cell, item) => {
  let inside = cell.firstElementChild;
  if (!inside) {
    inside = make("button", { type: "button", class: "name" });
    inside.addEventListener("click", () => press(inside.item));
    cell.append(inside);
  }
  inside.item = item;
  write(inside, of(item));
  inside.setAttribute("aria-label", `${label} ${of(item)}`);
};

/** Says something to those who cannot see the page. */
export function announce(words) {
  find("announcement").textContent = words;
}
