/**
 * The guardian: a shell that starts one program and outlives nobody. Its standard input is a pipe
 * whose other end only the starting process holds. When that process ends, however it ends (even by
 * SIGKILL, which no handler sees), the pipe closes, and the guardian stops the program: first with
 * the given signal, then, after the grace time, with SIGKILL.
 *
 * A stop that is asked for takes the same way: the starting process closes the pipe. It closes it
 * as well when it reads that the program ended by itself, so that no shell is ever killed and
 * everybody is waited for: in a container whose first process does not reap, orphans stay.
 *
 * Descriptors: 0 is the pipe described above, 1 and 2 are the program's output, on 3 it reports
 * `pid N` and `exit N`, and 4 is the write end of the sweeper's pipe, held so that the sweeper
 * waits. The signal goes to the whole group, since a compiler's driver, for one, has children. The
 * shells of the group survive it by their empty traps, which a started program does not inherit.
 */
export const GUARDIAN_SCRIPT = `
signal=$1 tenths=$2
shift 2
exec 5<&0 </dev/null
trap : INT TERM
"$@" 3>&- 4>&- 5<&- &
program=$!
echo "pid $program" >&3
{
  trap : INT TERM
  PATH=$PATH:/usr/bin:/bin
  read -r _ <&5
  kill -s "$signal" 0
  while [ "$tenths" -gt 0 ] && kill -0 "$program"; do
    sleep 0.1
    tenths=$((tenths - 1))
  done
  kill -s KILL "$program"
} 2>/dev/null 3>&- 4>&- &
watcher=$!
wait "$program"
code=$?
while kill -0 "$program" 2>/dev/null; do
  wait "$program"
  code=$?
done
echo "exit $code" >&3
while kill -0 "$watcher" 2>/dev/null; do wait "$watcher"; done
`;

/**
 * The sweeper: removes the runtime folder once everybody who uses it is gone. Its pipe is held by
 * the starting process and by every guardian, so it reads the end of it only after the last one.
 */
export const SWEEPER_SCRIPT = `
PATH=$PATH:/usr/bin:/bin
read -r _
rm -rf "$1"
`;
