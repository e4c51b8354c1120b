// Numbers and words as people read them.

const integers = new Intl.NumberFormat('en-GB', {maximumFractionDigits: 0});

export const count = (value) => integers.format(Number(value));

// A ratio with three digits that say something; what JSON cannot hold comes as a word.
export function ratio(value) {
  const number = Number(value);
  if (!Number.isFinite(number)) return '–';
  const size = Math.abs(number);
  return (number < 0 ? '−' : '') + size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export function signed(value, digits = 4) {
  const number = Number(value);
  if (!Number.isFinite(number)) return '–';
  return (number >= 0 ? '+' : '−') + Math.abs(number).toFixed(digits);
}

// WARM_UP as "warm up".
export const words = (name) => String(name).toLowerCase().replaceAll('_', ' ');

export function duration(milliseconds) {
  const seconds = Number(milliseconds) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const microseconds = (nanoseconds) => `${count(Number(nanoseconds) / 1000)} µs`;

export const plural = (number, noun) => `${count(number)} ${noun}${Number(number) === 1 ? '' : 's'}`;

// A few of many: "3, 7, 9 and 12 more".
export function few(values, most = 3) {
  const shown = values.slice(0, most).join(', ');
  return values.length > most ? `${shown} and ${count(values.length - most)} more` : shown;
}

// What tells names apart: "model.layers.7.mlp.gate" is "7" among its like.
export function shortNames(names) {
  const distinct = [...new Set(names)];
  if (distinct.length < 2) return new Map(distinct.map((name) => [name, name]));
  const parts = distinct.map((name) => name.split('.'));
  const shortest = Math.min(...parts.map((part) => part.length));
  let head = 0;
  while (head < shortest - 1 && parts.every((part) => part[head] === parts[0][head])) ++head;
  let tail = 0;
  const last = (part) => part[part.length - 1 - tail];
  while (tail < shortest - 1 - head && parts.every((part) => last(part) === last(parts[0]))) ++tail;
  return new Map(distinct.map((name, i) => [name, parts[i].slice(head, parts[i].length - tail).join('.')]));
}
