import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, filledFolder } from './cache.js';
import type { Client } from './client.js';
import { must } from './commands.js';

const project = fileURLToPath(new URL('./java', import.meta.url));
const pom = join(project, 'pom.xml');
/** Where Java's own sources lie, in the folder of their package. */
const sources = join(project, 'src', 'main', 'java', 'clients');
/** The password of a key store that holds no key. */
const password = 'changeit';

/** Microsoft's service client for Java, in a Maven project. */
export const java: Client = {
  name: 'Java',
  install: async () => {
    const runtime = (await must('java', ['--version'])).split('\n')[0]?.trim() ?? '';
    const files = [pom, ...readdirSync(sources).map((name) => join(sources, name))];
    const { folder, reused } = await filledFolder('java', { files, text: runtime }, async (made) => {
      await must('mvn', [
        '--batch-mode',
        '--quiet',
        '--file',
        pom,
        `-Dmaven.repo.local=${join(cacheFolder, 'maven')}`,
        `-DoutputFolder=${made}`,
        'compile',
        'dependency:build-classpath',
        `-Dmdep.outputFile=${join(made, 'classpath')}`,
      ]);
    });
    const libraries = readFileSync(join(folder, 'classpath'), 'utf8').trim();
    return {
      versions: `iot-service-client ${pinned()}, ${runtime}`,
      reused,
      script: async ({ folder: temporary, caFile, env }) => {
        const trusted = join(temporary, 'trusted.p12');
        await must('keytool', [
          '-importcert',
          '-noprompt',
          '-alias',
          'simulator',
          '-file',
          caFile,
          '-keystore',
          trusted,
          '-storetype',
          'PKCS12',
          '-storepass',
          password,
        ]);
        return {
          command: 'java',
          args: [
            `-Djavax.net.ssl.trustStore=${trusted}`,
            `-Djavax.net.ssl.trustStorePassword=${password}`,
            '-classpath',
            `${join(folder, 'classes')}:${libraries}`,
            'clients.Main',
          ],
          env,
        };
      },
    };
  },
};

function pinned(): string {
  const text = readFileSync(pom, 'utf8');
  const version = /<artifactId>iot-service-client<\/artifactId>\s*<version>([^<]+)</.exec(text)?.[1];
  if (version === undefined) throw new Error('iot-service-client is not in pom.xml');
  return version;
}
