import { type FaultProxy, type Protocol, startFaultProxy } from './fault-proxy';

/**
 * PostgreSQL's protocol, version 3: after the first message, one letter and a length. A transcript
 * is the SQL and the parameters since the last BEGIN of the connection.
 */
function postgresProtocol(): Protocol {
  const transcripts = new WeakMap<object, string>();
  return {
    frameLength: (buffer, isFirstOfConnection) => {
      if (isFirstOfConnection) return buffer.length < 4 ? undefined : buffer.readInt32BE(0);
      return buffer.length < 5 ? undefined : 1 + buffer.readInt32BE(1);
    },
    transcribe: (request, connection) => {
      const text = textOf(request);
      if (text === undefined) return undefined;
      const before = /^begin\b/i.test(text) ? '' : (transcripts.get(connection) ?? '');
      const transcript = before === '' ? text : `${before}; ${text}`;
      transcripts.set(connection, transcript);
      return transcript;
    },
    // ReadyForQuery: whatever was asked is done, or has failed.
    endsAnswer: (frame) => frame[0] === 'Z'.charCodeAt(0),
    failing: simpleQuery('select 1 / 0'),
  };
}

/** Query, Parse and Bind: names, SQL and parameters are the readable part of each. */
function textOf(request: Buffer): string | undefined {
  if (!['Q', 'P', 'B'].includes(String.fromCharCode(request[0] ?? 0))) return undefined;
  return readable(request.subarray(5));
}

/** What can be read in a message, on one line. */
export function readable(message: Buffer): string {
  return message
    .toString('latin1')
    .replaceAll(/[^\x21-\x7e]+/g, ' ')
    .trim();
}

/** A simple query, as bytes. */
function simpleQuery(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`);
  const message = Buffer.alloc(5 + text.length);
  message.write('Q');
  message.writeInt32BE(4 + text.length, 1);
  text.copy(message, 5);
  return message;
}

export interface PostgresProxy extends FaultProxy {
  /** The same database, through the proxy. */
  readonly url: string;
}

export async function startPostgresProxy(url: string): Promise<PostgresProxy> {
  const address = new URL(url);
  const target = { host: address.hostname, port: Number(address.port) };
  const proxy = await startFaultProxy(target, postgresProtocol());
  address.host = `127.0.0.1:${proxy.port}`;
  return { ...proxy, url: address.toString() };
}
