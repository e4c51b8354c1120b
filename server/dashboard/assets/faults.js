// What is wrong with a job, in sentences, the worst first.

import {count, few, words} from './format.js';
import {mixes} from './workers.js';

const where = (violation) => [
  violation.layer ? `layer ${violation.layer}` : '',
  violation.ranks?.length > 0 ? `ranks ${few(violation.ranks)}` : '',
].filter(Boolean).join(', ');

const sentence = (violation) => {
  const place = where(violation);
  return `${words(violation.kind)}${place ? ` (${place})` : ''}: ${violation.message}`;
};

// [{severity: 'bad' | 'warn', text}]
export function faultsOf(job) {
  const {summary, contributors} = job;
  const faults = [];
  const tell = (severity, text) => faults.push({severity, text});
  if (summary.failure) tell('bad', `The job has failed: ${summary.failure}`);
  if (job.halt) {
    const cause = job.halt.cause ? `: ${sentence(job.halt.cause)}` : '';
    tell('bad', `No layer moves since step ${count(job.halt.step)}${cause}`);
  }
  for (const violation of job.violations) tell('bad', sentence(violation));
  const lost = contributors.filter((contributor) => contributor.state === 'LOST').map(({contributor}) => contributor);
  if (lost.length > 0) tell('bad', `Not heard of: worker ${few(lost)}`);
  if (summary.stragglers.length > 0) {
    tell('warn', `Step ${count(summary.open_step)} waits for worker ${few(summary.stragglers)}`);
  }
  const dropped = contributors.filter(({figures}) => Number(figures?.lost_steps ?? 0) > 0);
  if (dropped.length > 0) {
    tell('warn', `Counts were lost on their way from worker ${few(dropped.map(({contributor}) => contributor))}`);
  }
  if (Number(summary.staleness) > 0) {
    tell('warn', `The last step was routed with a bias ${count(summary.staleness)} steps older than the one due`);
  }
  for (const mix of mixes(contributors)) tell('warn', mix);
  return faults;
}

// One word for how the job is: [word, 'good' | 'idle' | 'warn' | 'bad'].
export function stateOf(job) {
  const {summary, effective} = job;
  if (summary.failure) return ['failed', 'bad'];
  if (job.halt) return ['halted', 'bad'];
  if (summary.counts.every((entry) => entry.state === 'LEFT')) return ['all workers have left', 'idle'];
  if (summary.joined < summary.contributors) return ['waiting for workers', 'warn'];
  if (summary.stragglers.length > 0) return ['waiting for stragglers', 'warn'];
  const mode = effective.mode === 'FROZEN' ? 'frozen' : effective.mode === 'OBSERVE' ? 'observing' : 'balancing';
  return [mode, 'good'];
}
