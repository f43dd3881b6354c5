import { until } from '../support/until.js';
import { type Moment, PATIENCE, type Scene } from './scene.js';

/** Lines a second of jobs that shall be seen while they run, and of one that must not end before it is told to. */
const SLOW = 100;
const CRAWL = 1;

/** With so many devices on the target an import job is in its middle: the waves before it are smaller. */
const WRITTEN = 50;

/** How often the job is asked for by whoever took over, before it may end. */
const LOOKS = 2;

/** An import job of the target runs, and goes on while nobody looks; it ends only after somebody looked again. */
export const importRuns: Moment = {
  name: 'an import job is waited for',
  arm({ target }) {
    const looks = (): number => target.counts()['GET /jobs/{id}'] ?? 0;
    const running = () =>
      target.jobs.list().find(({ type, status }) => type === 'import' && status === 'running')?.['jobId'];
    let job: unknown;
    target.set({ rate: SLOW });
    return {
      reached: async () => {
        await until('half of a chunk is written', () => target.store.deviceCount >= WRITTEN, PATIENCE);
        target.set({ rate: CRAWL });
        job = running();
      },
      release: async () => {
        const before = looks();
        await until('the job is looked at again', () => looks() >= before + LOOKS, PATIENCE);
        if (job === undefined || running() !== job) throw new Error('the job ended before it was adopted');
        target.set({ rate: 0 });
      },
    };
  },
};

/** The source snapshot is being turned into the desired state: its first piece is about to be written. */
export const transform = storageMoment(
  'the source snapshot is transformed',
  /^PUT \/hf-[^/]+-work\/desired\//,
);

/** A plan is being made: the first changes are about to be written. */
export const plan = storageMoment('the plan is made', /^PUT \/hf-[^/]+-work\/pass-1\/changes\//);

/** A job was created, and the id that the hub gave it is not written down yet: it must be found and adopted. */
export const jobUnnoted = storageMoment(
  'the id of a job just created is not written down yet',
  /^PUT \/hf-[^/]+-100001-1\/hubferry\/job\.json/,
);

/** The first chunk of the devices is done, the container of the second is about to be made. */
export const betweenChunks = storageMoment(
  'one chunk is done and the next is not begun',
  /^PUT \/hf-[^/]+-100002-1\?restype=container$/,
);

/** The second snapshot of the target is being compared with the desired state. */
export const verify = storageMoment('the result is verified', /^PUT \/hf-[^/]+-work\/pass-2\//);

/** The verdict is there, and the containers of the run are about to be deleted. */
export const cleanUp = storageMoment('the run is cleaned up', /^DELETE \/hf-[^/]+-work\?restype=container/);

/** In their order. */
export const MOMENTS: readonly Moment[] = [
  transform,
  plan,
  jobUnnoted,
  importRuns,
  betweenChunks,
  verify,
  cleanUp,
];

/** The moment before a request to the blob service arrives there. */
export function storageMoment(name: string, request: RegExp): Moment {
  return {
    name,
    arm({ gate }: Scene) {
      const hold = gate.hold(request);
      return { reached: () => hold.reached, release: hold.release };
    },
  };
}
