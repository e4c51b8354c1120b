// One job: its figures, faults, heat map, lines, layers and workers.

import {themeColour} from './canvas.js';
import {KeyedTable, make, setText} from './dom.js';
import {faultsOf, stateOf} from './faults.js';
import {count, plural, ratio, signed, words} from './format.js';
import {HeatMap} from './heat_map.js';
import {historyLines} from './history.js';
import {layerItem, layersByOutlier, layersTable} from './layers.js';
import {LineChart} from './line_chart.js';
import {byLoad, extremes, loadRows} from './load.js';
import {LoadScale} from './scale.js';
import {outliersFirst, workerItem, workersTable} from './workers.js';

const FEW = 10;
const LISTED = 5;  // experts at either end
const NAMED = 3;  // experts with a line of their own at either end
const RANGES = [1.5, 2, 4, 8];

export class JobView {
  // `onLayer(row)` when a person chooses another layer.
  constructor(name, onLayer) {
    this.name = name;
    this.onLayer = onLayer;
    this.rows = [];
    this.lines = null;
    this.node = make('article', {}, this.#heading(), this.#faults(), this.#figures(), this.#heatMap(),
        make('div', {class: 'pair'}, this.#violation(), this.#bias()), this.#experts(), this.#layers(), this.#workers(),
        this.#settings());
    setText(document.querySelector('title'), `${name} – Evenkeel`);
  }

  // The chosen layer's row; the most uneven one until a person chooses.
  get selected() {
    const chosen = this.rows.findIndex((row) => row.key === this.chosen);
    if (chosen >= 0) return chosen;
    const worst = (row) => Math.max(0, ...row.load.filter((load) => !Number.isNaN(load)));
    return this.rows.reduce((best, row, i) => best < 0 || worst(row) > worst(this.rows[best]) ? i : best, -1);
  }

  choose(key) {
    this.chosen = key;
    this.lines = null;
    this.#showLoad();
    this.#showLayers();
    this.#showLines();
    this.onLayer(this.rows[this.selected]);
  }

  updateJob(job) {
    this.job = job;
    const [word, severity] = stateOf(job);
    setText(this.state, word);
    this.state.dataset.state = severity;
    this.#showFaults();
    this.#showFigures();
    this.#showLayers();
    this.#showWorkers();
    this.#showSettings();
  }

  updateLoad(answer) {
    this.loadStep = answer.version.step;
    this.rows = loadRows(answer);
    // What was the most uneven layer stays the chosen one: a picture that jumps is not read.
    if (this.chosen === undefined && this.selected >= 0 && Number(this.loadStep) > 0) {
      this.chosen = this.rows[this.selected].key;
      this.onLayer(this.rows[this.selected]);
    }
    this.#showLoad();
    if (this.job) this.#showLayers();
  }

  updateHistory(answer, row) {
    if (row.key !== this.rows[this.selected]?.key) return;
    this.lines = historyLines(answer, row.name, row.stream);
    this.#showLines();
  }

  // Why there are no lines.
  noHistory(message) {
    this.lines = null;
    setText(this.violationText, message);
    setText(this.biasText, message);
  }

  // After a change of the theme.
  refresh() {
    this.map.picture.refresh();
    this.#showLines();
  }

  #heading() {
    this.state = make('span', {class: 'state'});
    return make('div', {class: 'heading'}, make('h1', {textContent: this.name}), this.state);
  }

  #faults() {
    this.faultList = make('ul', {class: 'faults', 'aria-label': 'Faults', 'aria-live': 'polite'});
    return this.faultList;
  }

  #showFaults() {
    const faults = faultsOf(this.job);
    const text = JSON.stringify(faults);
    if (text === this.faultsShown) return;
    this.faultsShown = text;
    this.faultList.replaceChildren(...faults.map((fault) =>
        make('li', {dataset: {state: fault.severity}, textContent: fault.text})));
  }

  #figures() {
    this.figures = new Map();
    const tile = (key, title) => {
      const value = make('dd', {id: `figure-${key}`});
      const note = make('dd', {class: 'note'});
      this.figures.set(key, {value, note});
      return make('div', {class: 'tile'}, make('dt', {textContent: title}), value, note);
    };
    return make('dl', {class: 'tiles', 'aria-label': 'Figures'}, tile('step', 'Step'),
        tile('mean', 'Mean violation'), tile('worst', 'Most uneven layer'), tile('dead', 'Dead experts'),
        tile('workers', 'Workers'), tile('epoch', 'Epoch'));
  }

  #showFigures() {
    const {summary, layers} = this.job;
    const show = (key, value, note) => {
      setText(this.figures.get(key).value, value);
      setText(this.figures.get(key).note, note);
    };
    const worst = layers.reduce((a, b) => a.max_violation >= b.max_violation ? a : b);
    const sum = (field) => layers.reduce((total, layer) => total + layer[field], 0);
    show('step', count(summary.version.step), `step ${count(summary.open_step)} is open`);
    show('mean', ratio(summary.max_violation), `over ${plural(layers.length, 'layer')}`);
    show('worst', ratio(worst.max_violation), this.#short(worst));
    show('dead', count(sum('dead_experts')), `${count(sum('starved_experts'))} starved, of ${count(summary.experts)}`);
    show('workers', `${count(summary.joined)} of ${count(summary.contributors)}`,
        summary.counts.map((entry) => `${count(entry.contributors)} ${words(entry.state)}`).join(', '));
    show('epoch', String(summary.epoch), 'coordinator starts');
  }

  #short(layer) {
    const row = this.rows.find((other) => other.name === layer.name && other.stream === layer.stream);
    return `layer ${row?.short ?? layer.name}`;
  }

  #heatMap() {
    const canvas = make('canvas', {
      id: 'heat-map', tabIndex: 0, role: 'application', 'aria-roledescription': 'heat map',
      'aria-label': 'Load of every expert, a row for each layer. Arrow keys move, Enter chooses the layer.',
      'aria-describedby': 'heat-text',
    });
    this.readout = make('output', {class: 'readout', id: 'heat-readout'});
    this.heatText = make('figcaption', {class: 'hint', id: 'heat-text'});
    this.ticks = make('span', {class: 'ticks', 'aria-hidden': 'true'});
    const range = make('select', {id: 'range', onchange: () => this.#setRange(Number(range.value))},
        ...RANGES.map((value) => make('option', {value: String(value), textContent: `1/${value} to ${value}`})));
    range.value = '4';
    const legend = make('div', {class: 'legend'}, make('span', {class: 'key none'}),
        make('span', {textContent: 'no token'}),
        make('span', {class: 'ramp'}, make('span', {class: 'key colours'}), this.ticks),
        make('label', {for: 'range', textContent: 'Load'}), range);
    this.map = new HeatMap(canvas, {
      onCursor: (row, expert) => this.#read(row, expert),
      onSelect: (row) => this.choose(this.rows[row].key),
    });
    this.#setRange(4);
    return make('section', {class: 'card'},
        make('div', {class: 'title'}, make('h2', {textContent: 'Load of every expert'}), legend), this.readout,
        make('figure', {}, make('div', {class: 'picture'}, canvas), this.heatText));
  }

  #setRange(range) {
    this.map.setRange(range);
    const scale = new LoadScale(range);
    this.ticks.replaceChildren(...scale.ticks().map((text) => make('span', {textContent: text})));
  }

  #read(row, expert) {
    if (row < 0) {
      setText(this.readout, 'Point at a cell, or use the arrow keys.');
      return;
    }
    const {short, load, counts, bias} = this.rows[row];
    const text = Number.isNaN(load[expert]) ? 'no load is wanted' : `load ${ratio(load[expert])}`;
    setText(this.readout,
        `layer ${short}, expert ${expert}: ${text}, ${plural(counts[expert], 'token')}, bias ${signed(bias[expert])}`);
  }

  #showLoad() {
    this.map.update(this.rows, this.selected);
    const {row, expert} = this.map.cursor;
    this.#read(row, expert);
    const {hottest, coldest, dead, starved} = extremes(this.rows);
    const at = (cell) => `layer ${cell.row.short}, expert ${cell.expert}, ${ratio(cell.load)}`;
    setText(this.heatText, hottest ?
        `Step ${count(this.loadStep)}, ${plural(this.rows.length, 'row')}. Fullest: ${at(hottest)}. Emptiest: ` +
        `${at(coldest)}. ${plural(starved, 'expert')} below a tenth of the mean, ${count(dead)} without a token.` :
        'No step has been committed yet.');
    this.#showExperts();
  }

  #lineCard(id, title, label, log, onCursor) {
    const canvas = make('canvas', {
      id, tabIndex: 0, role: 'application', 'aria-roledescription': 'line chart', 'aria-label': label,
      'aria-describedby': `${id}-text`,
    });
    const chart = new LineChart(canvas, {log, onCursor});
    const heading = make('h2', {textContent: title});
    const keys = make('div', {class: 'keys'});
    const readout = make('output', {class: 'readout', id: `${id}-readout`});
    const text = make('figcaption', {class: 'hint', id: `${id}-text`});
    const card = make('section', {class: 'card'}, heading, keys, readout,
        make('figure', {}, make('div', {class: 'picture'}, canvas), text));
    return {card, chart, heading, keys, readout, text};
  }

  #violation() {
    const parts = this.#lineCard('violation', 'Violation over time',
        'Violation over the steps. Left and right arrow keys move.', true, (index) => this.#readViolation(index));
    this.violation = parts.chart;
    this.violationReadout = parts.readout;
    this.violationText = parts.text;
    this.violationKey = make('span', {textContent: 'this layer'});
    const key = (name, text) => make('span', {class: 'entry'}, make('span', {class: `stroke ${name}`}), text);
    parts.keys.append(key('max', 'largest of the layers'), key('mean', 'mean of the layers'),
        key('layer', this.violationKey), key('floor', 'noise floor'));
    return parts.card;
  }

  #bias() {
    const parts = this.#lineCard('bias', 'Bias',
        'Bias of the chosen layer\'s experts over the steps. Left and right arrow keys move.', false,
        (index) => this.#readBias(index));
    this.biasChart = parts.chart;
    this.biasHeading = parts.heading;
    this.biasReadout = parts.readout;
    this.biasText = parts.text;
    const key = (name, text) => make('span', {class: 'entry'}, make('span', {class: `stroke ${name}`}), text);
    parts.keys.append(key('cold', `${NAMED} raised most`), key('hot', `${NAMED} lowered most`), key('other', 'others'));
    return parts.card;
  }

  #floor() {
    const row = this.rows[this.selected];
    const layer = this.job?.layers.find((other) => row && other.name === row.name && other.stream === row.stream);
    return Number(layer?.noise_floor ?? 0);
  }

  #showLines() {
    const row = this.rows[this.selected];
    if (!row) return;
    setText(this.violationKey, `layer ${row.short}`);
    setText(this.biasHeading, `Bias of layer ${row.short}`);
    if (!this.lines) return;
    this.#showViolation(row);
    this.#showBias();
  }

  #showViolation(row) {
    const {steps, max, mean, layer} = this.lines;
    const floor = this.#floor();
    const lines = [
      {values: max, colour: themeColour('--line-max')},
      {values: mean, colour: themeColour('--line-mean'), width: 2},
      {values: layer, colour: themeColour('--line-layer'), width: 1.5, dash: [6, 2]},
    ];
    if (floor > 0) lines.unshift({values: steps.map(() => floor), colour: themeColour('--faint'), dash: [2, 3]});
    this.violation.update(steps, lines);
    this.#readViolation(this.violation.cursor);
    const last = steps.length - 1;
    setText(this.violationText, last < 0 ? 'No step has been committed since the coordinator started.' :
        `Steps ${count(steps[0])} to ${count(steps[last])}. Largest of the layers from ${ratio(max[0])} to ` +
        `${ratio(max[last])}, mean from ${ratio(mean[0])} to ${ratio(mean[last])}, layer ${row.short} now ` +
        `${ratio(layer[last])}${floor > 0 ? `; chance alone makes ${ratio(floor)}` : ''}.`);
  }

  #readViolation(index) {
    const {steps, max, mean, layer} = this.lines ?? {steps: []};
    setText(this.violationReadout, index < 0 || index >= steps.length ? '' :
        `step ${count(steps[index])}: largest ${ratio(max[index])}, mean ${ratio(mean[index])}, ` +
        `this layer ${ratio(layer[index])}`);
  }

  // An expert whose bias is raised was starved, one whose bias is lowered was overloaded: colours are those of the map.
  #showBias() {
    const {biasSteps, bias} = this.lines;
    const last = biasSteps.length - 1;
    const experts = Array.from(bias.keys()).sort((a, b) => bias[b][last] - bias[a][last]);
    const ends = Math.min(NAMED, Math.floor(experts.length / 2));
    this.cold = experts.slice(0, ends);
    this.hot = experts.slice(experts.length - ends).reverse();
    const named = new Set([...this.hot, ...this.cold]);
    const line = (expert, colour) => ({values: bias[expert] ?? [], colour, width: 2});
    const others = bias.filter((_, expert) => !named.has(expert));
    const alpha = Math.max(0.25, Math.min(0.8, 30 / bias.length));
    this.biasChart.update(biasSteps, [
      ...others.map((values) => ({values, colour: themeColour('--faint'), width: 1, alpha})),
      ...this.cold.map((expert) => line(expert, themeColour('--cold'))),
      ...this.hot.map((expert) => line(expert, themeColour('--hot'))),
    ]);
    this.#readBias(this.biasChart.cursor);
    const now = bias.map((values) => values[last]);
    setText(this.biasText, last < 0 ? 'No bias is remembered yet.' :
        `After step ${count(biasSteps[last])} from ${signed(Math.min(...now))} to ${signed(Math.max(...now))}, over ` +
        `${plural(bias.length, 'expert')}.`);
  }

  #readBias(index) {
    const {biasSteps, bias} = this.lines ?? {biasSteps: []};
    const tell = (expert) => `${expert}: ${signed(bias[expert]?.[index])}`;
    setText(this.biasReadout, index < 0 || index >= biasSteps.length ? '' :
        `step ${count(biasSteps[index])}: expert ${this.cold.map(tell).join(', ')}; ` +
        `expert ${this.hot.map(tell).join(', ')}`);
  }

  #experts() {
    this.expertsHeading = make('h2', {textContent: 'Experts'});
    const columns = ['Expert', 'Load', 'Tokens', 'Bias'].map((title) => ({title}));
    this.fullest = new KeyedTable('Fullest experts', columns);
    this.emptiest = new KeyedTable('Emptiest experts', columns);
    return make('section', {class: 'card'}, this.expertsHeading, make('div', {class: 'pair'},
        make('div', {}, make('h3', {textContent: 'Fullest'}), this.fullest.node),
        make('div', {}, make('h3', {textContent: 'Emptiest'}), this.emptiest.node)));
  }

  #showExperts() {
    const row = this.rows[this.selected];
    if (!row) return;
    setText(this.expertsHeading, `Experts of layer ${row.short}`);
    const item = (expert, place) => ({
      key: place,
      cells: [String(expert), ratio(row.load[expert]), count(row.counts[expert]), signed(row.bias[expert])],
    });
    const experts = byLoad(row);
    const half = Math.min(LISTED, Math.ceil(experts.length / 2));
    this.fullest.update(experts.slice(0, half).map(item));
    this.emptiest.update(experts.slice(half).slice(-half).reverse().map(item));
  }

  // A card with a table that shows its first few rows until a person asks for all.
  #tableCard(title, id, table, show) {
    const more = make('button', {type: 'button', id: `${id}-more`, hidden: true, 'aria-expanded': 'false'});
    more.onclick = () => {
      more.setAttribute('aria-expanded', String(more.getAttribute('aria-expanded') !== 'true'));
      show();
    };
    table.onSort = show;
    table.node.id = id;
    return {more, card: make('section', {class: 'card'}, make('h2', {textContent: title}), table.node, more)};
  }

  #shorten(items, more) {
    const all = more.getAttribute('aria-expanded') === 'true';
    more.hidden = items.length <= FEW;
    setText(more, all ? `Show the first ${FEW}` : `Show all ${count(items.length)}`);
    return all ? items : items.slice(0, FEW);
  }

  #layers() {
    this.layerTable = layersTable();
    const {card, more} = this.#tableCard('Layers, outliers first', 'layers', this.layerTable, () => this.#showLayers());
    this.moreLayers = more;
    return card;
  }

  #showLayers() {
    if (!this.job) return;
    const selected = this.rows[this.selected]?.key;
    const layers = this.layerTable.sort(layersByOutlier(this.job.layers));
    this.layerTable.update(this.#shorten(layers, this.moreLayers)
        .map((layer) => layerItem(layer, this.rows, selected, (key) => this.choose(key))));
  }

  #workers() {
    this.workerTable = workersTable();
    const {card, more} = this.#tableCard('Workers', 'workers', this.workerTable, () => this.#showWorkers());
    this.moreWorkers = more;
    return card;
  }

  #showWorkers() {
    const workers = this.workerTable.sort(outliersFirst(this.job.contributors));
    this.workerTable.update(this.#shorten(workers, this.moreWorkers)
        .map((worker) => workerItem(worker, this.job.summary.stragglers)));
  }

  #settings() {
    this.settings = make('dl', {class: 'settings'});
    return make('details', {class: 'card'}, make('summary', {textContent: 'Settings and changes'}), this.settings);
  }

  #showSettings() {
    const {effective, changes, summary} = this.job;
    const {balance} = effective;
    const entries = [
      ['Preset', balance?.preset ?? '–'],
      ['Rule', words(balance?.rule ?? '–')],
      ['Rate', String(balance?.rate ?? '–')],
      ['Momentum', String(balance?.momentum ?? '–')],
      ['Mode', words(effective.mode)],
      ['Missing contributors', words(effective.missing_policy)],
      ['Impossible numbers', words(effective.invariant_policy)],
      ['Lag', String(effective.lag)],
      ['Layers with settings of their own', count(effective.overrides.length)],
      ['State hash', BigInt(summary.state_hash).toString(16).padStart(16, '0')],
      ...changes.map((change) => [`From step ${count(change.from_step)}`,
        `${words(change.balance?.rule ?? '–')}, rate ${change.balance?.rate ?? '–'}, ${words(change.mode)}` +
        (change.note ? ` (${change.note})` : '')]),
    ];
    const text = JSON.stringify(entries);
    if (text === this.settingsShown) return;
    this.settingsShown = text;
    this.settings.replaceChildren(...entries.flatMap(([title, value]) =>
        [make('dt', {textContent: title}), make('dd', {textContent: value})]));
  }
}
