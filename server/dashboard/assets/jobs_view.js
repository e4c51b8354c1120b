// All jobs.

import {KeyedTable, make, setText} from './dom.js';
import {count, ratio} from './format.js';

export const jobAddress = (name) => `#/job/${encodeURIComponent(name)}`;

const waitsFor = (job) => job.failure ? 'failed' : job.stragglers.length > 0 ? 'waits for stragglers' :
    job.joined < job.contributors ? 'waits for workers' : 'runs';

export class JobsView {
  constructor() {
    this.table = new KeyedTable('Jobs', [
      {title: 'Job', left: true},
      {title: 'State', left: true},
      {title: 'Step', sort: (job) => Number(job.version.step)},
      {title: 'Mean violation', sort: (job) => job.max_violation, help: 'Mean over the layers, of the last commit'},
      {title: 'Workers', sort: (job) => job.joined},
      {title: 'Layers'},
      {title: 'Experts', sort: (job) => job.experts},
      {title: 'Epoch'},
    ]);
    this.table.onSort = () => this.update(this.answer);
    this.none = make('p', {class: 'hint', textContent: 'No jobs yet: the first worker that joins makes one.'});
    this.none.hidden = true;
    this.node = make('section', {class: 'card'}, make('h1', {textContent: 'Jobs'}), this.none, this.table.node);
  }

  update(answer) {
    this.answer = answer;
    this.none.hidden = answer.jobs.length > 0;
    this.table.node.hidden = answer.jobs.length === 0;
    this.table.update(this.table.sort(answer.jobs).map((job) => ({
      key: job.name,
      state: job.failure ? 'bad' : job.stragglers.length > 0 ? 'warn' : '',
      cells: [
        {make: () => make('a', {href: jobAddress(job.name), textContent: job.name})},
        waitsFor(job),
        count(job.version.step),
        ratio(job.max_violation),
        `${count(job.joined)} of ${count(job.contributors)}`,
        count(job.layers),
        count(job.experts),
        String(job.epoch),
      ],
    })));
    setText(document.querySelector('title'), 'Jobs – Evenkeel');
  }
}
