// Elements, made and filled. Whatever comes from the coordinator becomes text, never markup.

// An element with these properties (`class` and `dataset` too; names with a dash are attributes) and children.
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class') node.className = value;
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else if (name.includes('-') || name === 'role' || name === 'for') node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Shows `node` with this text; an empty one hides it.
export function setNotice(node, text) {
  setText(node, text);
  node.hidden = text === '';
}

// A table of rows that have keys: an update touches only what has changed, so that focus and selection stay.
// `columns`: [{title, left, sort}], of which `sort` gives a row's value to sort by, downwards first.
export class KeyedTable {
  constructor(label, columns) {
    this.columns = columns;
    this.rows = new Map();
    this.body = make('tbody');
    this.sorted = -1;
    this.ascending = false;
    this.heads = columns.map((column, index) => this.#head(column, index));
    const table = make('table', {}, make('caption', {class: 'unseen', textContent: label}),
        make('thead', {}, make('tr', {}, ...this.heads)), this.body);
    this.node = make('div', {class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label}, table);
    this.onSort = () => {};
  }

  #head(column, index) {
    const title = column.sort ?
        make('button', {type: 'button', textContent: column.title, onclick: () => this.#sortBy(index)}) : column.title;
    return make('th', {scope: 'col', class: column.left ? 'left' : '', title: column.help ?? ''}, title);
  }

  #sortBy(index) {
    if (this.sorted !== index) {
      this.sorted = index;
      this.ascending = false;
    } else if (!this.ascending) {
      this.ascending = true;
    } else {
      this.sorted = -1;
    }
    this.heads.forEach((head, i) => {
      if (i === this.sorted) head.setAttribute('aria-sort', this.ascending ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
    this.onSort();
  }

  // The items as the person wants them; as they are where nobody said.
  sort(items) {
    if (this.sorted < 0) return items;
    const value = this.columns[this.sorted].sort;
    const sign = this.ascending ? 1 : -1;
    return [...items].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x < y ? -sign : x > y ? sign : 0;
    });
  }

  // `items`: [{key, cells, state}], with a string for each column, or {make, fill}: `make` gives the element of a new
  // row, and `fill` puts what has changed into it.
  update(items) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    const kept = new Set(items.map((item) => item.key));
    for (const [key, row] of this.rows) {
      if (kept.has(key)) continue;
      row.remove();
      this.rows.delete(key);
    }
    items.forEach((item, index) => {
      const row = this.#row(item);
      if (this.body.children[index] !== row) this.body.insertBefore(row, this.body.children[index] ?? null);
    });
    if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({preventScroll: true});
  }

  #row(item) {
    let row = this.rows.get(item.key);
    if (!row) {
      row = make('tr', {}, ...this.columns.map((column) => make('td', {class: column.left ? 'left' : ''})));
      this.rows.set(item.key, row);
    }
    if (row.dataset.state !== (item.state ?? '')) row.dataset.state = item.state ?? '';
    item.cells.forEach((cell, i) => {
      const place = row.children[i];
      if (typeof cell === 'string') setText(place, cell);
      else if (!place.firstChild) place.append(cell.make());
      else cell.fill?.(place.firstChild);
    });
    return row;
  }
}
