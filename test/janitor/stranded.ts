import type { Outcome, UpdateHandle } from 'twinwrite';
import { Gate, type Moment, type Steering } from '../compensation/steering';
import { type Kind, stateOf, type Transfer, transfer } from '../compensation/transfers';
import { eventually } from '../support/eventually';
import type { World } from '../support/world';

/** How an update's workflow goes without its outcome. */
export type Removal = 'terminated' | 'deleted' | 'timed out';

const SETTLED = new Set(['applied', 'compensated', 'refused']);

/** A generous look at what is not settled yet: the tests judge the time themselves. */
const SETTLED_WITHIN_MILLIS = 60_000;

/** Updates whose workflow goes in the middle of a step, and whose attempt fails after that. */
export class Stranding {
  constructor(
    private readonly world: World,
    private readonly steering: Steering,
  ) {}

  /**
   * Stops the update at a run of a callback and at all that follow; once the gate is opened, whoever
   * stands there fails, and whoever comes later passes.
   */
  stop(moment: Moment, id: string, fromRun: number): Gate {
    const gate = new Gate();
    let isOpen = false;
    const open = gate.open.bind(gate);
    gate.open = () => {
      isOpen = true;
      open();
    };
    this.steering.at(moment, id, async (run) => {
      if (run < fromRun || isOpen) return;
      await gate.hold();
      throw new Error('stranded by the test');
    });
    return gate;
  }

  /** Submits the update, and takes its workflow away where it stops. */
  async strand(kind: Kind, input: Transfer, gate: Gate, removal: Removal): Promise<UpdateHandle> {
    const handle = await this.submit(kind, input, removal);
    await gate.reached();
    await this.remove(handle, removal);
    gate.open();
    return handle;
  }

  /** As an application does, or with a time-out as only somebody without our client would. */
  async submit(kind: Kind, input: Transfer, removal: Removal): Promise<UpdateHandle> {
    const { temporal, twinwrite, name } = this.world;
    if (removal !== 'timed out') return await twinwrite.submit(kind, input);
    const handle = twinwrite.handle(kind, input.id);
    await temporal.workflow.start('crossStoreUpdate', {
      workflowId: handle.workflowId,
      taskQueue: name,
      args: [{ definition: kind.name, token: input.id, input }],
      workflowExecutionTimeout: '3 seconds',
    });
    return handle;
  }

  async remove({ workflowId }: UpdateHandle, removal: Removal): Promise<void> {
    const { workflow, workflowService } = this.world.temporal;
    const handle = workflow.getHandle(workflowId);
    const { runId } = await handle.describe();
    if (removal === 'terminated') await handle.terminate();
    if (removal === 'deleted') {
      const workflowExecution = { workflowId };
      await workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution });
    }
    const run = workflow.getHandle(workflowId, runId);
    await eventually(async () => {
      const description = await run.describe().catch(() => undefined);
      const isThere = removal === 'deleted' || description?.status.name === 'RUNNING';
      return description !== undefined && isThere ? undefined : true;
    }, `the workflow ${workflowId} is ${removal}`);
  }

  /** Makes the update overdue now. */
  async makeOverdue(id: string): Promise<void> {
    await this.world.postgres.query(
      'update twinwrite.pending set due = now() where tokens[1] = $1',
      [id],
    );
  }

  /** Waits for the ledger's outcome, and answers how long it took from now on. */
  async settled(id: string): Promise<{ status: Outcome['status']; millis: number }> {
    const from = performance.now();
    const status = await eventually(
      async () => {
        const state = (await stateOf(this.world, id)) ?? '';
        return SETTLED.has(state) ? (state as Outcome['status']) : undefined;
      },
      `${id} is settled`,
      SETTLED_WITHIN_MILLIS,
    );
    return { status, millis: performance.now() - from };
  }

  /** An update that has the account, and lets go of it when its gate is opened. */
  async hold(kind: Kind): Promise<{ input: Transfer; gate: Gate; handle: UpdateHandle }> {
    const input = transfer({ points: 0 });
    const gate = this.steering.gate('mongo apply', input.id);
    const handle = await this.world.twinwrite.submit(kind, input);
    await gate.reached();
    return { input, gate, handle };
  }

  async reached(id: string, state: string): Promise<void> {
    await eventually(
      async () => ((await stateOf(this.world, id)) === state ? true : undefined),
      `${id} is ${state}`,
    );
  }
}
