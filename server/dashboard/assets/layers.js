// A job's layers as a table, outliers first.

import {KeyedTable, make, setText} from './dom.js';
import {count, ratio, signed, words} from './format.js';
import {rowKey} from './load.js';

const trend = (layer, name) => layer.trend ? Number(layer.trend[name]) : NaN;
const orLow = (value) => Number.isNaN(value) ? -Infinity : value;

// Whether the bias is where it ought to be going: not when it stays for a reason that nobody asked for.
const STUCK = new Set(['NO_TOKENS', 'HALTED', 'SKIPPED']);

const violation = (layer) => Number(layer.max_violation);
const window64 = (layer) => orLow(trend(layer, 'max_violation'));
const noiseFloor = (layer) => Number(layer.noise_floor ?? 0);

export function layersTable() {
  return new KeyedTable('Layers', [
    {title: 'Layer', left: true},
    {title: 'Max violation', sort: violation, help: 'load of the fullest expert less 1'},
    {title: 'Window', sort: window64, help: 'the same over the last 64 steps together'},
    {title: 'Noise floor', sort: noiseFloor, help: 'what an even router would show by chance'},
    {title: 'Min', sort: (layer) => -layer.min_violation, help: 'load of the emptiest expert less 1'},
    {title: 'Avg', sort: (layer) => Number(layer.avg_violation)},
    {title: 'CV', sort: (layer) => Number(layer.coefficient_of_variation)},
    {title: 'Entropy', sort: (layer) => -layer.normalized_entropy},
    {title: 'Dead', sort: (layer) => layer.dead_experts, help: 'experts without a token in the last step'},
    {title: 'Starved', sort: (layer) => layer.starved_experts, help: 'experts below a tenth of the mean'},
    {title: 'Bias', sort: (layer) => layer.bias_max - layer.bias_min, help: 'smallest to largest'},
    {title: 'Flips', sort: (layer) => orLow(trend(layer, 'sign_flip_ratio')), help: 'share of biases that turned back'},
    {title: 'Last update', left: true, sort: (layer) => Number(layer.last_update)},
    {title: 'Experts', sort: (layer) => layer.num_experts},
  ]);
}

// Far from even first; layers whose bias is stuck before all.
export function layersByOutlier(layers) {
  const stuck = (layer) => STUCK.has(layer.last_reason) ? 1 : 0;
  return [...layers].sort((a, b) => stuck(b) - stuck(a) || b.max_violation - a.max_violation);
}

export function layerItem(layer, rows, selected, onSelect) {
  const key = rowKey(layer.name, layer.stream);
  const short = rows.find((row) => row.key === key)?.short ?? layer.name;
  const floor = noiseFloor(layer);
  const why = words(layer.last_reason);
  return {
    key,
    state: STUCK.has(layer.last_reason) || layer.dead_experts > 0 ? 'warn' : '',
    cells: [
      {
        make: () => make('button', {
          type: 'button', class: 'link', textContent: short, title: layer.name, onclick: () => onSelect(key),
          'aria-pressed': String(key === selected),
        }),
        fill: (button) => {
          setText(button, short);
          if (button.getAttribute('aria-pressed') !== String(key === selected)) {
            button.setAttribute('aria-pressed', String(key === selected));
          }
        },
      },
      ratio(layer.max_violation),
      ratio(trend(layer, 'max_violation')),
      floor > 0 ? ratio(floor) : '–',
      ratio(layer.min_violation),
      ratio(layer.avg_violation),
      ratio(layer.coefficient_of_variation),
      ratio(layer.normalized_entropy),
      count(layer.dead_experts),
      count(layer.starved_experts),
      `${signed(layer.bias_min, 3)} … ${signed(layer.bias_max, 3)}`,
      Number.isNaN(trend(layer, 'sign_flip_ratio')) ? '–' : `${Math.round(100 * trend(layer, 'sign_flip_ratio'))}%`,
      Number(layer.last_update) === 0 ? why : `step ${count(layer.last_update)}, ${why}`,
      `${count(layer.num_experts)}, top ${layer.top_k}`,
    ],
  };
}
