import type { CreateFunctionStmt, CreateStmt, CreateTrigStmt, Node } from 'libpg-query';
import type { Column, Schema, Table } from './schema';
import { kindOf, nameOf, namesOf, open, parse, refuse, stringOf, typeOf } from './syntax';

/** Statements that say nothing to the model. */
const SILENT = new Set(['CommentStmt', 'CreateSchemaStmt', 'CreateEnumStmt', 'VariableSetStmt']);

/**
 * Reads the definitions in some SQL into the schema, and answers the other statements: the rows that
 * the tables begin with.
 */
export function declare(schema: Schema, text: string): Node[] {
  return parse(text).filter((node) => !isDeclared(schema, node));
}

function isDeclared(schema: Schema, node: Node): boolean {
  const of = open(node);
  if (SILENT.has(kindOf(node))) return true;
  if (of.InsertStmt !== undefined) return false;
  if (of.CreateStmt !== undefined) declareTable(schema, of.CreateStmt);
  else if (of.CreateFunctionStmt !== undefined) declareFunction(schema, of.CreateFunctionStmt);
  else if (of.CreateTrigStmt !== undefined) declareTrigger(schema, of.CreateTrigStmt);
  else if (of.CreateSeqStmt !== undefined) {
    schema.sequences.add(of.CreateSeqStmt.sequence?.relname ?? '');
  } else if (of.CompositeTypeStmt !== undefined) {
    const { typevar, coldeflist = [] } = of.CompositeTypeStmt;
    schema.composites.set(typevar?.relname ?? '', coldeflist.map(columnOf));
  } else if (of.ViewStmt?.query !== undefined) {
    schema.views.set(of.ViewStmt.view?.relname ?? '', of.ViewStmt.query);
  } else if (of.IndexStmt !== undefined) {
    const { relation, idxname = '', indexParams = [], unique, whereClause } = of.IndexStmt;
    if (unique !== true) return true;
    if (whereClause !== undefined) refuse('partial unique index');
    const columns = indexParams.map((param) => open(param).IndexElem?.name ?? refuse('index'));
    schema.table(relation?.relname ?? '').unique.push({ name: idxname, columns });
  } else if (of.AlterTableStmt !== undefined) {
    const { relation, cmds = [] } = of.AlterTableStmt;
    for (const command of cmds) {
      const { subtype, def } = open(command).AlterTableCmd ?? {};
      if (subtype !== 'AT_AddColumn') refuse(`ALTER TABLE ${subtype}`);
      addColumn(schema.table(relation?.relname ?? ''), def);
    }
  } else refuse(`definition ${kindOf(node)}`);
  return true;
}

function declareTable(schema: Schema, { relation, tableElts = [] }: CreateStmt): void {
  const name = relation?.relname ?? '';
  const table: Table = { name, columns: [], unique: [], checks: [], triggers: [] };
  for (const element of tableElts) {
    const { ColumnDef, Constraint } = open(element);
    if (ColumnDef !== undefined) addColumn(table, element);
    else addConstraint(table, Constraint, namesOf(Constraint?.keys), name);
  }
  schema.tables.set(name, table);
}

function columnOf(node: Node | undefined): Column {
  const { colname = '', typeName, constraints = [] } = open(node).ColumnDef ?? {};
  const written = nameOf(typeName?.names);
  const byDefault = constraints.map((each) => open(each).Constraint);
  const fallback = byDefault.find((each) => each?.contype === 'CONSTR_DEFAULT')?.raw_expr;
  const isSerial =
    written.endsWith('serial') || byDefault.some((each) => each?.contype === 'CONSTR_IDENTITY');
  return {
    name: colname,
    type: typeOf(typeName),
    ...(fallback === undefined ? {} : { fallback }),
    ...(isSerial ? { isSerial } : {}),
  };
}

type Constraint = NonNullable<ReturnType<typeof open>['Constraint']>;

function addColumn(table: Table, node: Node | undefined): void {
  const column = columnOf(node);
  table.columns.push(column);
  for (const each of open(node).ColumnDef?.constraints ?? []) {
    const constraint = open(each).Constraint;
    addConstraint(table, constraint, [column.name], `${table.name}_${column.name}`);
  }
}

const WITHOUT_EFFECT = new Set([
  'CONSTR_NOTNULL',
  'CONSTR_NULL',
  'CONSTR_DEFAULT',
  'CONSTR_IDENTITY',
]);

function addConstraint(
  table: Table,
  constraint: Constraint | undefined,
  columns: readonly string[],
  stem: string,
): void {
  const { contype = '', conname, raw_expr, deferrable } = constraint ?? {};
  if (WITHOUT_EFFECT.has(contype)) return;
  if (deferrable === true) refuse('deferrable constraint');
  if (contype === 'CONSTR_PRIMARY') {
    table.unique.unshift({ name: conname ?? `${table.name}_pkey`, columns });
  } else if (contype === 'CONSTR_UNIQUE') {
    table.unique.push({ name: conname ?? `${stem}_key`, columns });
  } else if (contype === 'CONSTR_CHECK' && raw_expr !== undefined) {
    table.checks.push({ name: conname ?? `${stem}_check`, condition: raw_expr });
  } else refuse(`constraint ${contype}`);
}

function declareFunction(schema: Schema, statement: CreateFunctionStmt): void {
  const options = new Map(
    (statement.options ?? []).map((option) => {
      const { defname = '', arg } = open(option).DefElem ?? {};
      return [defname, arg] as const;
    }),
  );
  const language = stringOf(options.get('language'));
  if (language !== 'sql' && language !== 'plpgsql') refuse(`language ${language}`);
  const name = nameOf(statement.funcname);
  const parameters = (statement.parameters ?? []).map((node) => {
    const { name: called = '', argType, defexpr, mode = '' } = open(node).FunctionParameter ?? {};
    return { name: called, type: typeOf(argType), fallback: defexpr, mode };
  });
  const columns = parameters
    .filter(({ mode }) => mode === 'FUNC_PARAM_TABLE')
    .map((parameter) => ({ name: parameter.name, type: parameter.type }));
  if (columns.length > 0) schema.composites.set(name, columns);
  const other = parameters.find(({ mode }) => !KNOWN_PARAMETERS.has(mode));
  schema.declare({
    name,
    parameters: parameters.filter(({ mode }) => INPUTS.has(mode)),
    returns: columns.length > 0 ? name : returnTypeOf(statement),
    isSet: statement.returnType?.setof === true,
    language,
    body: stringOf(open(options.get('as')).List?.items?.[0]),
    ...(other === undefined ? {} : { unknown: `parameter ${other.mode} of ${name}` }),
  });
}

const INPUTS = new Set(['FUNC_PARAM_DEFAULT', 'FUNC_PARAM_IN']);
const KNOWN_PARAMETERS = new Set([...INPUTS, 'FUNC_PARAM_TABLE']);

/** None is said where the parameters of mode OUT say it. */
const returnTypeOf = ({ returnType }: CreateFunctionStmt): string =>
  returnType === undefined ? 'record' : typeOf(returnType);

/** As the catalogue counts them. */
const BEFORE = 2;
const UPDATE = 16;

function declareTrigger(schema: Schema, statement: CreateTrigStmt): void {
  const { relation, row, timing, events, columns, whenClause, funcname, args } = statement;
  const isKnown = row === true && timing === BEFORE && events === UPDATE && args === undefined;
  if (!isKnown || columns === undefined) refuse(`trigger like ${statement.trigname}`);
  schema.table(relation?.relname ?? '').triggers.push({
    columns: namesOf(columns),
    when: whenClause,
    function: nameOf(funcname),
  });
}
