// What /api/v1/jobs/NAME/load says, as rows that pictures and tables show.

import {shortNames} from './format.js';

const STARVED = 0.1;
const inOrder = new Intl.Collator('en', {numeric: true});

// [{name, stream, key, short, load, counts, bias, tokens}]: load is count over wanted count, NaN where none is wanted.
// In the order in which people count: layer 2 before layer 10.
export function loadRows(answer) {
  const short = shortNames(answer.layers.map((layer) => layer.name));
  const streams = new Set(answer.layers.filter((layer) => layer.stream > 0).map((layer) => layer.name));
  const rows = answer.layers.map((layer) => {
    const wanted = (expert) => Array.isArray(layer.wanted) ? layer.wanted[expert] : layer.wanted;
    return {
      name: layer.name,
      stream: layer.stream,
      key: rowKey(layer.name, layer.stream),
      short: streams.has(layer.name) ? `${short.get(layer.name)}·${layer.stream}` : short.get(layer.name),
      load: Float64Array.from(layer.counts, (value, expert) => wanted(expert) > 0 ? value / wanted(expert) : NaN),
      counts: layer.counts,
      bias: layer.bias,
      tokens: layer.tokens,
    };
  });
  return rows.sort((a, b) => inOrder.compare(a.short, b.short));
}

export const rowKey = (name, stream) => `${stream} ${name}`;

// The most loaded expert of all rows, the least, and how many have no token, or are starved.
export function extremes(rows) {
  const found = {hottest: null, coldest: null, dead: 0, starved: 0};
  rows.forEach((row) => {
    if (row.tokens === 0) return;
    row.load.forEach((load, expert) => {
      if (Number.isNaN(load)) return;
      if (load === 0) ++found.dead;
      if (load < STARVED) ++found.starved;
      if (!found.hottest || load > found.hottest.load) found.hottest = {row, expert, load};
      if (!found.coldest || load < found.coldest.load) found.coldest = {row, expert, load};
    });
  });
  return found;
}

// The row's experts by load, the most loaded first; those with no wanted count are left out.
export function byLoad(row) {
  const experts = Array.from(row.load.keys()).filter((expert) => !Number.isNaN(row.load[expert]));
  return experts.sort((a, b) => row.load[b] - row.load[a] || a - b);
}
