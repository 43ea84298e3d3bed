/**
 * Goal: the search attributes are registered once and usable afterwards, and a server that does not
 * let us is no obstacle. Method: a namespace of its own on the real server; for the refusals, which
 * it never makes, its own operator service with one call replaced by the error that such a server
 * answers.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type Connection } from '@temporalio/client';
import { registerSearchAttributes } from '../../src/client/register-search-attributes';
import { eventually } from '../support/eventually';
import { openWorld, type World } from '../support/world';

describe('registerSearchAttributes', () => {
  let world: World;
  let connection: Connection;
  const namespaces: string[] = [];

  beforeAll(async () => {
    world = await openWorld();
    connection = world.temporal.connection as Connection;
  });

  afterAll(async () => {
    for (const namespace of namespaces) {
      await connection.operatorService.deleteNamespace({ namespace });
    }
    await world.close();
  });

  const openNamespace = async (): Promise<Client> => {
    const namespace = `test-${randomUUID()}`;
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 } as never,
    });
    namespaces.push(namespace);
    const client = new Client({ connection, namespace });
    await eventually(
      () =>
        client.workflow.count('TaskQueue = "x"').then(
          () => true,
          () => undefined,
        ),
      'the namespace is there',
    );
    return client;
  };

  test('two at once register them, a start and a search that name them work, and nothing else is left', async () => {
    const client = await openNamespace();
    const both = await Promise.all([
      registerSearchAttributes(client),
      registerSearchAttributes(client),
    ]);
    expect(both.map(({ status }) => status)).toContain('registered');
    expect(await registerSearchAttributes(client)).toEqual({ status: 'present' });
    expect(await client.workflow.count('TwinwriteOutcome = "running"')).toMatchObject({ count: 0 });
    await eventually(
      async () => ((await client.workflow.count()).count === 0 ? true : undefined),
      'the start that tested them is deleted',
      50_000,
    );
  });

  test.each([
    [7, 'no permission'],
    [12, 'the server does not offer it'],
  ])(
    'a server that answers gRPC code %i denies them, and that is an answer',
    async (code, reason) => {
      const client = await openNamespace();
      const denied = refusing(client, 'addSearchAttributes', code);
      expect(await registerSearchAttributes(denied)).toEqual({
        status: 'denied',
        names: ['TwinwriteDefinition', 'TwinwriteOutcome'],
        reason,
      });
    },
  );

  test('without the right to list them it still tries, and says that they are on their way', async () => {
    const client = await openNamespace();
    const blind = refusing(client, 'listSearchAttributes', 7);
    expect(await registerSearchAttributes(blind, { timeoutMillis: 1 })).toMatchObject({
      status: 'pending',
    });
  });

  test('a server that is away is no denial', async () => {
    const client = await openNamespace();
    const away = refusing(client, 'addSearchAttributes', 14);
    await expect(registerSearchAttributes(away)).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('an attribute of that name and another type is told', async () => {
    const client = await openNamespace();
    await connection.operatorService.addSearchAttributes({
      namespace: client.options.namespace,
      // Text. The type is an enum that the SDK does not export.
      searchAttributes: { TwinwriteOutcome: 1 as never },
    });
    await expect(registerSearchAttributes(client)).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining('TwinwriteOutcome that is no KEYWORD'),
    });
  });
});

/** The same client, whose server refuses one call. */
function refusing(client: Client, method: string, code: number): Client {
  const { connection } = client;
  const error = Object.assign(new Error('refused'), { code, details: 'refused', metadata: {} });
  const operatorService = Object.create(connection.operatorService, {
    [method]: { value: () => Promise.reject(error) },
  }) as typeof connection.operatorService;
  const refused = Object.create(connection, { operatorService: { value: operatorService } });
  return new Client({
    connection: refused as typeof connection,
    namespace: client.options.namespace,
  });
}
