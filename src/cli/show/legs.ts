import type { WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { isLeg, titleOf } from '../../domain/progress';

/** One step of an update, as Temporal's history tells it. */
export interface Leg {
  readonly leg: string;
  readonly title: string;
  readonly startedAt: string;
  /**
   * From when it was asked for to when it answered, all attempts and pauses included; nothing while
   * it runs, or where Temporal does not say.
   */
  readonly durationMillis: number | null;
  readonly attempts: number;
  /** What the step answered, `running`, or how it ended without an answer. */
  readonly answer: string;
  readonly lastFailure: string | null;
}

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];
type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];
type Timestamp = HistoryEvent['eventTime'];
type PendingActivity = NonNullable<
  WorkflowExecutionDescription['raw']['pendingActivities']
>[number];

type UntitledLeg = Omit<Leg, 'title'>;

/** The marker under which the SDK records an activity that ran inside the workflow task. */
const LOCAL_ACTIVITY_MARKER = 'core_local_activity';

/** The steps of one run, in the order in which they began. */
export function legsOf(history: History, { raw }: WorkflowExecutionDescription): Leg[] {
  const events = history.events ?? [];
  const endings = endingsOf(events);
  const pending = new Map(
    (raw.pendingActivities ?? []).map((activity) => [activity.activityId ?? '', activity]),
  );
  const legs = events.flatMap((event) => {
    const local = localLeg(event);
    if (local !== undefined) return [local];
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled === null || scheduled === undefined) return [];
    const ending = endings.get(String(event.eventId));
    const now = pending.get(scheduled.activityId ?? '');
    return [legOf(scheduled.activityType?.name ?? 'unknown', event.eventTime, ending, now)];
  });
  return legs.map((leg, index) => ({ ...leg, title: nameOf(leg.leg, legs.slice(0, index)) }));
}

interface Ending {
  attempts: number;
  lastFailure: string | null;
  answer?: string;
  at?: Timestamp;
}

function legOf(
  leg: string,
  began: Timestamp,
  ending: Ending | undefined,
  pending: PendingActivity | undefined,
): UntitledLeg {
  const durationMillis = ending?.at === undefined ? null : millisOf(ending.at) - millisOf(began);
  return {
    leg,
    startedAt: new Date(millisOf(began)).toISOString(),
    durationMillis,
    attempts: ending?.attempts ?? pending?.attempt ?? 0,
    answer: ending?.answer ?? 'running',
    lastFailure: ending?.lastFailure ?? pending?.lastFailure?.message ?? null,
  };
}

/** How each activity ended, by the event that scheduled it. */
function endingsOf(events: readonly HistoryEvent[]): Map<string, Ending> {
  const endings = new Map<string, Ending>();
  for (const event of events) {
    const started = event.activityTaskStartedEventAttributes;
    if (started) {
      endings.set(String(started.scheduledEventId), {
        attempts: started.attempt ?? 1,
        lastFailure: started.lastFailure?.message ?? null,
      });
    }
    const ended = endOf(event);
    if (ended === undefined) continue;
    const before = endings.get(ended.scheduled) ?? { attempts: 1, lastFailure: null };
    endings.set(ended.scheduled, {
      ...before,
      at: event.eventTime,
      answer: ended.answer,
      lastFailure: ended.failure ?? before.lastFailure,
    });
  }
  return endings;
}

interface End {
  readonly scheduled: string;
  readonly answer: string;
  readonly failure?: string | null | undefined;
}

function endOf(event: HistoryEvent): End | undefined {
  const completed = event.activityTaskCompletedEventAttributes;
  if (completed) {
    const answer = answerOf(completed.result?.payloads?.[0]);
    return { scheduled: String(completed.scheduledEventId), answer };
  }
  const failed = event.activityTaskFailedEventAttributes;
  if (failed) {
    const failure = failed.failure?.message;
    return { scheduled: String(failed.scheduledEventId), answer: 'failed', failure };
  }
  const timedOut = event.activityTaskTimedOutEventAttributes;
  if (timedOut) return { scheduled: String(timedOut.scheduledEventId), answer: 'timed out' };
  const canceled = event.activityTaskCanceledEventAttributes;
  if (canceled) return { scheduled: String(canceled.scheduledEventId), answer: 'cancelled' };
  return undefined;
}

/** What the SDK writes about a local activity, as far as it concerns a reader. */
interface LocalActivity {
  readonly activity_type?: string;
  readonly attempt?: number;
  readonly original_schedule_time?: { readonly seconds: number; readonly nanos: number };
  readonly complete_time?: { readonly seconds: number; readonly nanos: number };
}

function localLeg(event: HistoryEvent): UntitledLeg | undefined {
  const marker = event.markerRecordedEventAttributes;
  if (marker?.markerName !== LOCAL_ACTIVITY_MARKER) return undefined;
  const data = (decode(marker.details?.['data']?.payloads?.[0]) ?? {}) as LocalActivity;
  const leg = data.activity_type ?? 'local';
  const ended =
    data.complete_time === undefined ? millisOf(event.eventTime) : partsOf(data.complete_time);
  const began =
    data.original_schedule_time === undefined ? ended : partsOf(data.original_schedule_time);
  const failure = marker.failure?.message ?? null;
  const answer = failure === null ? answerOf(marker.details?.['result']?.payloads?.[0]) : 'failed';
  return {
    leg,
    startedAt: new Date(began).toISOString(),
    // The clocks are two, the workflow's and the worker's: a retried one may seem to end before it
    // began.
    durationMillis: ended >= began ? ended - began : null,
    attempts: data.attempt ?? 1,
    answer,
    lastFailure: failure,
  };
}

function partsOf({ seconds, nanos }: { seconds: number; nanos: number }): number {
  return Math.round(seconds * 1_000 + nanos / 1e6);
}

/** A step of a later build has a name that this one does not know. */
function nameOf(leg: string, before: readonly UntitledLeg[]): string {
  return isLeg(leg) ? titleOf(leg, before) : leg;
}

function answerOf(payload: Payload | undefined): string {
  const answer = decode(payload) as { at?: unknown } | null | undefined;
  return typeof answer?.at === 'string' ? answer.at : 'answered';
}

/** Nothing where a codec has encrypted it: the rest of the history is readable all the same. */
function decode(payload: Payload | null | undefined): unknown {
  try {
    return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
  } catch {
    return undefined;
  }
}

function millisOf(timestamp: Timestamp): number {
  return partsOf({ seconds: Number(timestamp?.seconds ?? 0), nanos: timestamp?.nanos ?? 0 });
}
