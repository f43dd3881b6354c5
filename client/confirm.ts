import { createInterface } from 'node:readline/promises';
import { HubferryError } from '../registry/errors.js';

/**
 * Asks on a terminal before something is done that cannot be taken back.
 *
 * @param what is about to be done, as a sentence.
 * @param asks who asks, for where there is no terminal: `rollback asks first`.
 * @throws HubferryError USAGE without a yes
 */
export async function confirm(what: string, asks: string): Promise<void> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY)
    throw new HubferryError('USAGE', `${asks}; without a terminal it needs --yes.`);
  const prompt = createInterface({ input: stdin, output: stderr });
  const answer = await prompt.question(`${what} Go on? [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new HubferryError('USAGE', 'Nothing was done.', 'Answer y to go on.');
}
