// Preloaded into a program that a script starts: if the script is gone, even by SIGKILL, the program
// is told to end as if by SIGTERM, so that nothing is left running.
process.channel?.unref();
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
