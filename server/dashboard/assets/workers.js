// What a job's contributors are and run on.

import {KeyedTable} from './dom.js';
import {count, duration, few, microseconds, words} from './format.js';

// How much a state asks to be looked at.
const ORDER = ['FAILED', 'LOST', 'LATE', 'AWAY', 'FREE', 'LEFT', 'COMING', 'AWAITED', 'PUSHED'];
const BAD = new Set(['FAILED', 'LOST', 'LATE']);
const WHAT = {
  library_version: 'library', device: 'device', driver_version: 'driver', cuda_version: 'CUDA', nccl_version: 'NCCL',
  routing_paths: 'routing path',
};

// One sentence for each thing that differs among the workers.
export function mixes(contributors) {
  const told = contributors.filter((contributor) => contributor.joined && contributor.worker);
  const sentences = [];
  for (const [field, name] of Object.entries(WHAT)) {
    const groups = new Map();
    for (const {worker, contributor} of told) {
      const value = [...new Set([worker[field]].flat())].join(' and ') || 'none';
      groups.set(value, [...(groups.get(value) ?? []), contributor]);
    }
    if (groups.size < 2) continue;
    const parts = [...groups].sort((a, b) => b[1].length - a[1].length)
        .map(([value, who]) => `${value} (${who.length > 3 ? `${count(who.length)} workers` : `worker ${few(who)}`})`);
    sentences.push(`Workers differ in ${name}: ${parts.join(', ')}`);
  }
  return sentences;
}

const figure = (name) => (worker) => Number(worker.figures?.[name] ?? -1);

export function workersTable() {
  return new KeyedTable('Workers', [
    {title: 'Worker', sort: (worker) => worker.contributor},
    {title: 'State', left: true},
    {title: 'Ranks', left: true},
    {title: 'Heard', help: 'since anything came from it'},
    {title: 'Pushed', help: 'since it last pushed counts'},
    {title: 'Host', left: true, sort: (worker) => worker.worker?.hostname ?? ''},
    {title: 'Device', left: true, sort: (worker) => worker.worker?.device ?? ''},
    {title: 'Library', left: true, sort: (worker) => worker.worker?.library_version ?? ''},
    {title: 'CUDA', left: true},
    {title: 'NCCL', left: true},
    {title: 'Stale', help: 'steps by which its bias is older than the one due', sort: figure('staleness')},
    {title: 'Undelivered', help: 'steps that it keeps for the coordinator', sort: figure('undelivered_steps')},
    {title: 'Lost', help: 'steps whose counts were lost', sort: figure('lost_steps')},
    {title: 'Commit', help: 'of its trainer\'s thread, for each step', sort: figure('commit_host_ns')},
  ]);
}

// Those to be looked at first.
export function outliersFirst(contributors) {
  const place = (worker) => ORDER.indexOf(worker.state);
  return [...contributors].sort((a, b) => place(a) - place(b) || a.contributor - b.contributor);
}

export function workerItem(contributor, stragglers) {
  const {figures} = contributor;
  const worker = contributor.joined ? contributor.worker : undefined;
  const behind = stragglers.includes(contributor.contributor);
  return {
    key: contributor.contributor,
    state: BAD.has(contributor.state) ? 'bad' : behind ? 'warn' : '',
    cells: [
      String(contributor.contributor),
      behind ? `${words(contributor.state)}, straggler` : words(contributor.state),
      few(contributor.ranks, 8),
      contributor.heard_ms_ago === undefined ? '–' : duration(contributor.heard_ms_ago),
      contributor.pushed_ms_ago === undefined ? '–' : duration(contributor.pushed_ms_ago),
      worker?.hostname || '–',
      worker?.device || (worker ? 'CPU' : '–'),
      worker?.library_version || '–',
      worker?.cuda_version || '–',
      worker?.nccl_version || '–',
      figures ? count(figures.staleness) : '–',
      figures ? count(figures.undelivered_steps) : '–',
      figures ? count(figures.lost_steps) : '–',
      figures && Number(figures.commit_host_ns) > 0 ? microseconds(figures.commit_host_ns) : '–',
    ],
  };
}
