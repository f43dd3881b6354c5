import { setTimeout } from 'node:timers/promises';
import type {
  BlobServiceClient,
  ContainerSASPermissions,
  SASProtocol,
  SignedIdentifier,
} from '@azure/storage-blob';
import { blobLibrary } from './blob-library.js';
import { DELEGATOR_ROLE } from './entra.js';
import { StorageAnswerError, type StorageCall, storageAnswer, storageError } from './storage-errors.js';
import type { GrantedAccess, GrantName, GrantTimes } from './storage-port.js';
import { deadline, type StorageTransport } from './storage-transport.js';

/** How long a new access policy may take to become known (Microsoft: up to 30 s), in milliseconds, and between looks. */
const POLICY_KNOWN = { within: 45_000, every: 500 };

/** Milliseconds by which the clocks of this machine and the storage may differ. */
const CLOCKS = 5 * 60_000;

/** What a job may take beyond its deadline until it is noticed and cancelled, in milliseconds. */
const MARGIN = 60 * 60_000;

/** The longest life of a user delegation key, counted from its start (Microsoft), in milliseconds. */
const LONGEST_DELEGATION = 7 * 24 * 60 * 60_000;

/**
 * By which rules a user delegation SAS is signed. The library's newest are younger than some of the services that have to
 * understand them: Azurite 3.35 does not (seen), and other clouds may lag behind.
 */
const DELEGATION_VERSION = '2020-12-06';

type Call = (what: string) => StorageCall;

/**
 * With the account's key: a SAS bound to a stored access policy of the container. It is short, moved on while the job
 * lives, and ends at once when the policy is removed.
 */
export class PolicyAccess implements GrantedAccess {
  readonly revocable = true;
  readonly hubIdentity = false;
  readonly #service: BlobServiceClient;
  readonly #call: Call;
  readonly #transport: StorageTransport;

  constructor(service: BlobServiceClient, call: Call, transport: StorageTransport) {
    this.#service = service;
    this.#call = call;
    this.#transport = transport;
  }

  expiry(now: number, { lifetime }: GrantTimes): number {
    return now + lifetime;
  }

  async grant(container: string, name: GrantName, permissions: string, expiresOn: Date): Promise<string> {
    const call = this.#call(`grant access to container ${container}`);
    const allowed = permissionsOf(permissions);
    // No start: the clocks of this machine, the storage and the hub differ.
    const policy = {
      id: name,
      accessPolicy: { expiresOn, permissions: allowed.toString() },
    };
    await this.#changePolicies(call, container, (others) => [
      ...others.filter((other) => other.id !== name),
      policy,
    ]);
    const client = this.#service.getContainerClient(container);
    const uri = await client.generateSasUrl({ identifier: name, ...overTls(client.url) });
    if (allowed.read) await this.#untilKnown(call, uri);
    return uri;
  }

  async extend(container: string, expiresOn: Date): Promise<void> {
    const call = this.#call(`extend the access to container ${container}`);
    await this.#changePolicies(call, container, (policies) =>
      policies.map((policy) =>
        isOurs(policy) ? { ...policy, accessPolicy: { ...policy.accessPolicy, expiresOn } } : policy,
      ),
    );
  }

  async revoke(container: string): Promise<void> {
    const call = this.#call(`revoke the access to container ${container}`);
    await this.#changePolicies(call, container, (policies) => policies.filter((one) => !isOurs(one)), [404]);
  }

  async #changePolicies(
    call: StorageCall,
    container: string,
    change: (policies: SignedIdentifier[]) => SignedIdentifier[],
    faults: readonly number[] = [],
  ): Promise<void> {
    const client = this.#service.getContainerClient(container);
    await storageAnswer(
      call,
      async () => {
        const { signedIdentifiers } = await client.getAccessPolicy({ abortSignal: deadline() });
        await client.setAccessPolicy(undefined, change(signedIdentifiers), { abortSignal: deadline() });
      },
      faults,
    );
  }

  /**
   * Waits until a signed URI is taken, so that a hub that is given it does not refuse it: asks for a blob that is not
   * there, which is 404 with the right to read and 403 without.
   */
  async #untilKnown(call: StorageCall, uri: string): Promise<void> {
    const blob = new (blobLibrary().ContainerClient)(uri, undefined, this.#transport).getBlobClient(
      'hubferry-probe',
    );
    const until = Date.now() + POLICY_KNOWN.within;
    for (;;) {
      try {
        await storageAnswer(call, () => blob.getProperties({ abortSignal: deadline() }), [404]);
        return;
      } catch (error) {
        const unknown = error instanceof StorageAnswerError && error.status === 403;
        if (!unknown || Date.now() > until) throw error;
        await setTimeout(POLICY_KNOWN.every);
      }
    }
  }
}

/** A policy that `grant` made: a container that was made beforehand may have others, which are not touched. */
function isOurs({ id }: SignedIdentifier): boolean {
  return /^(?:input|output)(?:-[0-9a-f]+)?$/.test(id);
}

/**
 * Under Microsoft Entra ID: a SAS signed by a user delegation key. The service binds it to no stored access policy, so
 * it can be neither moved on nor taken back: it is made to outlive the job, and ends by itself.
 */
export class DelegationAccess implements GrantedAccess {
  readonly revocable = false;
  readonly hubIdentity = false;
  readonly #service: BlobServiceClient;
  readonly #call: Call;

  constructor(service: BlobServiceClient, call: Call) {
    this.#service = service;
    this.#call = call;
  }

  expiry(now: number, { deadline: longest }: GrantTimes): number {
    return now + Math.min(longest + MARGIN, LONGEST_DELEGATION - CLOCKS);
  }

  async grant(container: string, _name: GrantName, permissions: string, expiresOn: Date): Promise<string> {
    const call = { ...this.#call(`sign access to container ${container}`), role: DELEGATOR_ROLE };
    const startsOn = new Date(Date.now() - CLOCKS);
    const allowed = permissionsOf(permissions);
    try {
      const options = { abortSignal: deadline() };
      const key = await this.#service.getUserDelegationKey(startsOn, expiresOn, options);
      const client = this.#service.getContainerClient(container);
      const values = {
        permissions: allowed,
        startsOn,
        expiresOn,
        version: DELEGATION_VERSION,
        ...overTls(client.url),
      };
      return await client.generateUserDelegationSasUrl(values, key);
    } catch (error) {
      throw storageError(call, error);
    }
  }

  async extend(): Promise<void> {}

  async revoke(): Promise<void> {}
}

/** The hub opens the container by its own identity: nothing is signed, and nothing ends while it has its role. */
export class HubIdentityAccess implements GrantedAccess {
  readonly revocable = false;
  readonly hubIdentity = true;
  readonly #account: string;

  /** @param account the blob endpoint, without a final slash */
  constructor(account: string) {
    this.#account = account;
  }

  expiry(now: number, { lifetime }: GrantTimes): number {
    return now + lifetime;
  }

  async grant(container: string): Promise<string> {
    return `${this.#account}/${container}`;
  }

  async extend(): Promise<void> {}

  async revoke(): Promise<void> {}
}

/** A SAS is good over TLS only, but for an account that has none: an emulator. */
function overTls(url: string): { readonly protocol?: SASProtocol } {
  return url.startsWith('https:') ? { protocol: blobLibrary().SASProtocol.Https } : {};
}

const permissionsOf = (letters: string): ContainerSASPermissions =>
  blobLibrary().ContainerSASPermissions.parse(letters);
