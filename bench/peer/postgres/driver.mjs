// One of the peers does one step: driver.mjs PEER setup | fill TOTAL | work. It talks to the database of PEER_URL, has
// its packages from PEER_MODULES, and tells what it handled in PEER_RUN as Tasklane's own worker does (src/tally.rs).
import { createRequire } from 'node:module';
import { mkdirSync, openSync, writeSync } from 'node:fs';

const { PEER_URL: connectionString, PEER_MODULES, PEER_RUN } = process.env;
const require = createRequire(`${PEER_MODULES}/package.json`);
const BATCH = 1000;

// As `payload` in src/payload.rs.
const payload = () => ({ user: 123456, kind: 'welcome-email', to: 'someone@example.com', ref: 'b7c1d9e0f2', t: 0 });

let done = 0, first = 0n, last = 0n;
function handle(count) {
  const now = process.hrtime.bigint();
  first ||= now;
  last = now;
  done += count;
}

function tell() {
  mkdirSync(`${PEER_RUN}/progress`, { recursive: true });
  const file = openSync(`${PEER_RUN}/progress/${process.pid}`, 'w');
  let told = -1;
  const write = () => {
    if (done === told) return;
    told = done;
    writeSync(file, new BigInt64Array([BigInt(done), first, last]), 0, 24, 0);
  };
  write();
  setInterval(write, 2);
}

// Its local queue of 500 and completions in batches: the fastest settings its makers offer.
function graphileWorker() {
  const { makeWorkerUtils, run, Logger } = require('graphile-worker');
  const logger = new Logger(() => () => {});
  const utils = () => makeWorkerUtils({ connectionString, logger });
  return {
    setup: async () => (await utils()).migrate(),
    open: utils,
    add: (client, payloads) => client.addJobs(payloads.map((it) => ({ identifier: 't', payload: it }))),
    work: () => run({
      logger,
      taskList: { t: async () => handle(1) },
      preset: {
        worker: {
          connectionString, concurrentJobs: 24, maxPoolSize: 20,
          localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0,
        },
      },
    }),
  };
}

// With LISTEN/NOTIFY, batches of 1000 and two of them at once.
function pgBoss() {
  const { PgBoss } = require('pg-boss');
  const open = async () => {
    const boss = new PgBoss({ connectionString, max: 10, useListenNotify: true, schedule: false });
    boss.on('error', console.error);
    return boss.start();
  };
  return {
    setup: async () => (await open()).createQueue('q', { notify: true }),
    open,
    add: (boss, payloads) => boss.insert('q', payloads.map((data) => ({ data }))),
    work: async () => {
      const options = { batchSize: 1000, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, localConcurrency: 2 };
      await (await open()).work('q', options, async (jobs) => handle(jobs.length));
    },
  };
}

const [name, step, total] = process.argv.slice(2);
const peer = { 'graphile-worker': graphileWorker, 'pg-boss': pgBoss }[name]();
if (step === 'work') {
  tell();
  await peer.work();
} else if (step === 'setup') {
  await peer.setup();
  process.exit(0);
} else {
  const client = await peer.open();
  const began = process.hrtime.bigint();
  for (let left = +total; left > 0; left -= BATCH) {
    await peer.add(client, Array.from({ length: Math.min(BATCH, left) }, payload));
  }
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  process.exit(0);
}
