import { BSON } from 'mongodb';
import { type FaultProxy, type Protocol, startFaultProxy } from './fault-proxy';
import { readable } from './postgres-proxy';

const OP_MSG = 2013;

/**
 * MongoDB's OP_MSG: a header of four integers, flags, and sections of which the first is the
 * command. A transcript is the commands of a transaction, which may come over several connections,
 * or one command alone; each with its name, what it is about, and its readable values.
 */
function mongoProtocol(): Protocol {
  const transcripts = new Map<string, string>();
  return {
    frameLength: (buffer) => (buffer.length < 4 ? undefined : buffer.readInt32LE(0)),
    transcribe: (request) => {
      if (request.readInt32LE(12) !== OP_MSG || request[20] !== 0) return undefined;
      const body = BSON.deserialize(request.subarray(21, 21 + request.readInt32LE(21)));
      const [name, subject] = Object.entries(body)[0] ?? [];
      const values = name === 'commitTransaction' ? '' : ` ${readable(request.subarray(21))}`;
      const text = `${name} ${String(subject)}${values}`;
      const session = sessionOf(body);
      if (session === undefined) return text;
      const before = body['startTransaction'] === true ? undefined : transcripts.get(session);
      const transcript = before === undefined ? text : `${before}; ${text}`;
      transcripts.set(session, transcript);
      return transcript;
    },
    endsAnswer: (frame, request) => frame.readInt32LE(8) === request.readInt32LE(4),
  };
}

function sessionOf(body: BSON.Document): string | undefined {
  if (body['autocommit'] !== false) return undefined;
  return (body['lsid'] as { id: BSON.Binary }).id.toString('hex');
}

export interface MongoProxy extends FaultProxy {
  /** The same database, through the proxy and nowhere else. */
  readonly uri: string;
}

export async function startMongoProxy(uri: string): Promise<MongoProxy> {
  const address = new URL(uri);
  const target = { host: address.hostname, port: Number(address.port) };
  const proxy = await startFaultProxy(target, mongoProtocol());
  // A client that learns the replica set's members would go to them directly.
  return {
    ...proxy,
    uri: `mongodb://127.0.0.1:${proxy.port}${address.pathname}?directConnection=true`,
  };
}
