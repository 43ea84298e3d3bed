import type { Node, SelectStmt } from 'libpg-query';
import type { Scope } from './scope';
import { nameOf, open } from './syntax';
import { type AggregateName, aggregates } from './values';

interface AggregateCall {
  readonly column: string;
  readonly name: AggregateName;
  readonly argument: Node | undefined;
  readonly filter: Node | undefined;
  readonly isDistinct: boolean;
}

type CompileCall = (
  argument: Node | undefined,
  filter: Node | undefined,
  isDistinct: boolean,
  name: AggregateName,
) => string;

/** A query whose aggregates have become columns of a tuple that is made for each group. */
type Replaced = Pick<SelectStmt, 'targetList' | 'havingClause' | 'sortClause'> & {
  readonly prelude: string;
};

export interface AggregateCalls {
  readonly isGrouped: boolean;
  replace(scope: Scope, compileCall: CompileCall): Replaced;
}

export function findAggregates(select: SelectStmt): AggregateCalls {
  const calls: AggregateCall[] = [];
  const targetList = select.targetList?.map((node) => nameTarget(node));
  const rewritten = rewrite(
    {
      targetList: targetList ?? [],
      ...(select.havingClause === undefined ? {} : { havingClause: select.havingClause }),
      ...(select.sortClause === undefined ? {} : { sortClause: select.sortClause }),
    },
    calls,
  );
  return {
    isGrouped: calls.length > 0 || select.groupClause !== undefined,
    replace: (scope, compileCall) => {
      const js = 'aggregated';
      const fields = calls.map(
        ({ column, argument, filter, isDistinct, name }) =>
          `${column}: ${compileCall(argument, filter, isDistinct, name)}`,
      );
      const types = calls.map(
        ({ column, name }) => [column, name === 'count' ? 'bigint' : 'unknown'] as const,
      );
      scope.ranges.push({ alias: js, js, columns: new Map(types) });
      return { ...rewritten, prelude: `const ${js} = { ${fields.join()} };` };
    },
  };
}

/** Before its call is replaced. */
function nameTarget(node: Node): Node {
  const target = open(node).ResTarget;
  const call = open(target?.val).FuncCall;
  if (target === undefined || target.name !== undefined || call === undefined) return node;
  return { ResTarget: { ...target, name: nameOf(call.funcname) } };
}

function rewrite<Part>(part: Part, calls: AggregateCall[]): Part {
  if (Array.isArray(part)) {
    return (part as unknown[]).map((item) => rewrite(item, calls)) as Part;
  }
  if (typeof part !== 'object' || part === null) return part;
  // A query within the query has aggregates of its own.
  if ('SelectStmt' in part) return part;
  const call = open(part as unknown as Node).FuncCall;
  const name = call === undefined ? '' : nameOf(call.funcname);
  if (call !== undefined && Object.hasOwn(aggregates, name)) {
    const column = `aggregate${calls.length + 1}`;
    calls.push({
      column,
      name: name as AggregateName,
      argument: call.args?.[0],
      filter: call.agg_filter,
      isDistinct: call.agg_distinct === true,
    });
    return { ColumnRef: { fields: [{ String: { sval: column } }] } } as Part;
  }
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, rewrite(value as unknown, calls)]),
  ) as Part;
}
