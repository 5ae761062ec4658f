
'use strict';
/* Keeps the page live: every two seconds /api/status is read, the tables are filled again, the charts move on.
   Without it the same page is there, rendered by the daemon.  The forms of figures are those of page.c. */
(() => {
  const EVERY_MS = 2000, PATIENCE_MS = 5000, KEPT = 150, RATE_OVER = 30, TIMES_OVER = 5, EVENTS_SHOWN = 12;
  const ORIGINS = ['cached', 'joined', 'warm', 'cold', 'stale', 'none'];
  const STATES = ['leased', 'idle', 'starting', 'draining', 'ending'];
  const DASHES = {cached: '', joined: '7 3', warm: '2 3', cold: '9 3 2 3', stale: '1 5', none: '5 5'};
  const samples = [];
  const $ = (id) => document.getElementById(id);
  const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
  let paused = false, timer = 0, lost = false;

  /* ---- figures in words ---- */

  function ms(value) {
    const s = Math.floor(value / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
    if (value < 1000) return value + ' ms';
    if (s < 60) return (Math.floor(value / 100) / 10).toFixed(1) + ' s';
    const both = (large, small) => large + (small.startsWith('0 ') ? '' : ' ' + small);
    if (m < 60) return both(m + ' min', s % 60 + ' s');
    if (h < 24) return both(h + ' h', m % 60 + ' min');
    return both(Math.floor(h / 24) + ' d', h % 24 + ' h');
  }
  function seconds(value) {
    if (value === null) return '';
    if (value < 0.001) return Math.round(value * 1e6) + ' µs';
    if (value < 1) return Number((value * 1e3).toPrecision(3)) + ' ms';
    return Number(value.toPrecision(3)) + ' s';
  }
  const rate = (value) => value === null ? '' : value.toFixed(value < 10 ? 1 : 0);
  function workers(counts) {
    return ['leased', 'idle', 'starting', 'draining', 'ending'].filter((state) => counts[state] > 0)
      .map((state) => counts[state] + ' ' + state).join(', ');
  }
  function moment(value) {
    const at = new Date(value), two = (part) => String(part).padStart(2, '0');
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
      `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  }
  const FORMS = {
    number: (value) => value.toLocaleString('en'), rate, seconds, workers,
    ms: (value) => value === 0 ? '' : ms(value),
    moment, id: String,
    scope: (value) => value || 'all',
    undefined: String,
  };

  /* ---- tables ---- */

  function fill(name, rows) {
    const table = document.querySelector(`table[data-list="${name}"]`);
    if (!table) return;
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const fresh = rows.map((row) => {
      const line = document.createElement('tr');
      line.setAttribute('role', 'row');
      heads.forEach((head, index) => {
        const cell = document.createElement(index === 0 ? 'th' : 'td');
        cell.setAttribute('role', index === 0 ? 'rowheader' : 'cell');
        if (index === 0) cell.scope = 'row';
        cell.dataset.label = head.textContent;
        cell.className = head.className + (head.dataset.field === 'home' ? ' home' : '');
        cell.textContent = FORMS[head.dataset.kind](row[head.dataset.field]);
        line.append(cell);
      });
      return line;
    });
    if (fresh.length === 0) {
      const line = document.createElement('tr'), cell = document.createElement('td');
      line.setAttribute('role', 'row');
      cell.setAttribute('role', 'cell');
      cell.className = 'empty';
      cell.colSpan = heads.length;
      cell.textContent = 'none';
      line.append(cell);
      fresh.push(line);
    }
    body.replaceChildren(...fresh);
  }

  /* The time that the share `share` of the calls kept to, estimated within its bucket; null: no calls. */
  function quantile(bounds, buckets, share) {
    const wanted = share * sum(buckets);
    let below = 0, i = 0;
    if (wanted === 0) return null;
    while (i < bounds.length && below + buckets[i] < wanted) below += buckets[i++];
    if (i === bounds.length) return bounds[i - 1];
    const floor = i === 0 ? 0 : bounds[i - 1];
    return floor + (bounds[i] - floor) * (wanted - below) / buckets[i];
  }

  const keyOf = (series) => series.origin + ' ' + series.status;
  const inOrder = (list) => [...list].sort((one, other) => ORIGINS.indexOf(one.origin) - ORIGINS.indexOf(other.origin));
  const nameOf = (series) => series.origin === 'none' ? 'failed: ' + series.status : series.origin;

  /* What was counted between two samples, series by series. */
  function between(older, newer) {
    const before = new Map(older.report.probe_seconds.series.map((series) => [keyOf(series), series]));
    return newer.report.probe_seconds.series.map((series) => {
      const past = before.get(keyOf(series));
      return {
        origin: series.origin, status: series.status,
        buckets: past ? series.buckets.map((count, i) => count - past.buckets[i]) : series.buckets,
      };
    });
  }

  function showAnswers(now) {
    const then = samples[Math.max(0, samples.length - 1 - RATE_OVER)];
    const bounds = now.report.probe_seconds.bounds, span = (now.at - then.at) / 1000;
    const moved = new Map(between(then, now).map((series) => [keyOf(series), series]));
    fill('answers', inOrder(now.report.probe_seconds.series).map((series) => {
      const buckets = moved.get(keyOf(series)).buckets;
      return {
        what: nameOf(series), count: series.count,
        rate: span > 0 ? sum(buckets) / span : null,
        half: span > 0 ? quantile(bounds, buckets, 0.5) : null,
        most: span > 0 ? quantile(bounds, buckets, 0.99) : null,
      };
    }));
    if (span > 0)
      $('c-answers').textContent = `Calls since the start; the rest of the last ${Math.round(span)} s`;
  }

  function showMore(name, more) {
    const table = document.querySelector(`table[data-list="${name}"]`);
    if (table) table.caption.querySelector('.more').textContent = more ? 'There are more than are listed.' : '';
  }

  /* ---- charts ---- */

  function svg(name, attributes, ...inside) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  }

  /* What the charts reach back: a minute at first, then all there is. */
  const spanOf = () => Math.max(60000, samples[samples.length - 1].at - samples[0].at);
  const xOf = (sample) => 100 - 100 * (samples[samples.length - 1].at - sample.at) / spanOf();

  /* marks: [height 0..1, text]; shapes: what is drawn, in 0..100 both ways; words: the same for who can't see it. */
  function draw(id, marks, shapes, words) {
    const scale = document.createElement('div'), times = document.createElement('div');
    const lines = marks.map(([height]) => svg('line', {
      class: 'grid', x1: 0, x2: 100, y1: 100 - 100 * height, y2: 100 - 100 * height, 'vector-effect': 'non-scaling-stroke',
    }));
    scale.className = 'ys';
    scale.setAttribute('aria-hidden', 'true');
    for (const [height, text] of marks) {
      const mark = document.createElement('span');
      mark.style.top = 100 - 100 * height + '%';
      mark.textContent = text;
      scale.append(mark);
    }
    times.className = 'xs';
    times.setAttribute('aria-hidden', 'true');
    times.append(...[`${ms(spanOf())} ago`, 'now'].map((text) => Object.assign(document.createElement('span'), {textContent: text})));
    $(id).replaceChildren(scale, svg('svg', {
      viewBox: '0 0 100 100', preserveAspectRatio: 'none', role: 'img', 'aria-label': words,
    }, ...lines, ...shapes), times);
  }


  function line(name, points) {
    if (points.length === 1) points = [[points[0][0] - 0.3, points[0][1]], ...points]; /* or it would not be seen */
    return svg('polyline', {
      class: name, points: points.map(([x, y]) => x.toFixed(2) + ',' + y.toFixed(2)).join(' '),
      'stroke-dasharray': DASHES[name], 'vector-effect': 'non-scaling-stroke',
    });
  }

  /* A round number that is at least so much. */
  function roundUp(value) {
    const power = Math.pow(10, Math.floor(Math.log10(Math.max(value, 1e-9))));
    return [1, 2, 5, 10].find((step) => step * power >= value) * power;
  }

  function drawRates(steps) {
    const top = roundUp(Math.max(1, ...steps.flatMap((step) => ORIGINS.map((name) => step.rates[name]))));
    const last = steps[steps.length - 1];
    draw('chart-rate', [[0, '0'], [0.5, rate(top / 2)], [1, rate(top)]],
      ORIGINS.filter((name) => steps.some((step) => step.rates[name] > 0))
        .map((name) => line(name, steps.map((step) => [xOf(step), 100 - 100 * step.rates[name] / top]))),
      'Answers a second now: ' + ORIGINS.map((name) => word(name) + ' ' + rate(last.rates[name])).join(', '));
  }

  const word = (origin) => origin === 'none' ? 'failed' : origin;

  function drawTimes(steps) {
    const low = -5, high = 2, last = steps[steps.length - 1];
    const height = (value) => (Math.log10(Math.max(value, 1e-5)) - low) / (high - low);
    const known = (name) => steps.filter((step) => step.times[name] !== null);
    draw('chart-time', [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100].map((mark) => [height(mark), seconds(mark)]),
      ORIGINS.filter((name) => known(name).length > 0)
        .map((name) => line(name, known(name).map((step) => [xOf(step), 100 - 100 * height(step.times[name])]))),
      'Time that 99 of 100 answers kept to: ' + (ORIGINS.filter((name) => last.times[name] !== null)
        .map((name) => word(name) + ' ' + seconds(last.times[name])).join(', ') || 'no answers just now'));
  }

  function drawWorkers() {
    const counts = (sample) => sample.report.status.workers, last = samples[samples.length - 1];
    const top = roundUp(Math.max(4, ...samples.map((sample) => sum(STATES.map((state) => counts(sample)[state])))));
    const floors = samples.map(() => 0);
    draw('chart-workers', [[0, '0'], ...(top % 2 ? [] : [[0.5, String(top / 2)]]), [1, String(top)]], STATES.map((state) => {
      const under = samples.map((sample, i) => [xOf(sample), 100 - 100 * floors[i] / top]);
      samples.forEach((sample, i) => { floors[i] += counts(sample)[state]; });
      const over = samples.map((sample, i) => [xOf(sample), 100 - 100 * floors[i] / top]);
      return svg('polygon', {
        class: state, points: [...over, ...under.reverse()].map(([x, y]) => x.toFixed(2) + ',' + y.toFixed(2)).join(' '),
      });
    }), 'Workers now: ' + (workers(counts(last)) || 'none'));
  }

  /* From sample to sample, by origin; times over a few of them, since one has few calls. */
  function stepsOf() {
    const bounds = samples[0].report.probe_seconds.bounds;
    return samples.slice(1).map((sample, i) => {
      const moved = between(samples[i], sample), lately = between(samples[Math.max(0, i + 1 - TIMES_OVER)], sample);
      const span = (sample.at - samples[i].at) / 1000, rates = {}, times = {};
      const bucketsOf = (list, name) => bounds.concat(0).map((bound, bucket) =>
        sum(list.filter((series) => series.origin === name).map((series) => series.buckets[bucket])));
      for (const name of ORIGINS) {
        rates[name] = span > 0 ? sum(bucketsOf(moved, name)) / span : 0;
        times[name] = quantile(bounds, bucketsOf(lately, name), 0.99);
      }
      return {at: sample.at, rates, times};
    });
  }

  function showCharts() {
    const steps = stepsOf();
    if (steps.length === 0) return;
    $('charts').hidden = false;
    drawRates(steps);
    drawTimes(steps);
    drawWorkers();
  }

  function makeLegends() {
    const entry = (text, sign) => {
      const item = document.createElement('li');
      item.append(svg('svg', {viewBox: '0 0 32 12', 'aria-hidden': 'true'}, sign), text);
      return item;
    };
    $('legend').replaceChildren(...ORIGINS.map((name) => entry(word(name), svg('line', {
      class: 'key ' + name, x1: 0, x2: 32, y1: 6, y2: 6, 'stroke-dasharray': DASHES[name],
    }))));
    $('legend-workers').replaceChildren(...STATES.map((name) =>
      entry(name, svg('rect', {class: name, x: 4, y: 0, width: 24, height: 12}))));
  }

  /* ---- tiles and state ---- */

  function showTiles(now) {
    const status = now.report.status, busy = status.workers, last = samples[samples.length - 2];
    const moved = last ? sum(between(last, now).flatMap((series) => series.buckets)) : 0;
    const put = (id, text) => { $(id).textContent = text; };
    put('tile-rate', last ? rate(moved * 1000 / (now.at - last.at)) : '0.0');
    put('tile-rate-what', 'now');
    put('tile-flights', FORMS.number(status.flights));
    put('tile-waiting', FORMS.number(status.waiting));
    put('tile-workers', FORMS.number(sum(Object.values(busy))));
    put('tile-workers-what', workers(busy));
    put('tile-cache', FORMS.number(status.cache_entries));
    put('tile-homes', FORMS.number(status.homes));
    put('uptime', ms(status.uptime_ms));
    put('sandbox', status.sandbox);
  }

  function showState(text, news) {
    if ($('state').textContent !== text) {
      $('state').textContent = text;
      $('state').className = 'state ' + text;
    }
    if ($('news').textContent !== news) $('news').textContent = news;
  }

  function show(report) {
    const now = {at: report.at_ms, report};
    /* Another run of the daemon counts from zero. */
    if (samples.length > 0 && report.status.uptime_ms < samples[samples.length - 1].report.status.uptime_ms)
      samples.length = 0;
    samples.push(now);
    if (samples.length > KEPT + 1) samples.shift();
    showTiles(now);
    showAnswers(now);
    if (report.names_homes) {
      fill('homes', report.homes);
      fill('workers', report.workers);
      fill('events', report.events.slice(0, EVENTS_SHOWN));
      showMore('homes', report.more_homes);
      showMore('workers', report.more_workers);
    }
    showCharts();
    $('asof').textContent = new Date(report.at_ms).toLocaleTimeString();
    showState(report.status.draining ? 'draining' : 'serving', '');
  }

  async function look() {
    try {
      const response = await fetch('/api/status', {cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS)});
      if (!response.ok) throw new Error(response.status);
      const report = await response.json();
      if (!paused) show(report);
    } catch (error) {
      showState('lost', 'The daemon does not answer; what you see is old. Trying again.');
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(look, EVERY_MS);
  }

  $('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', String(paused));
    schedule();
  });
  document.addEventListener('visibilitychange', schedule);
  $('pause').hidden = false;
  makeLegends();
  look();
})();
