# Runs one program and ends it when the other end of standard input closes.
#
# Standard input is a pipe whose write end only the starting program holds, so it closes when that
# program asks for an end and also when it is killed. Standard output is the locked lock file: the
# program and its children inherit it, so the lock lasts until the last of them is gone.
# Plain sh: runs under dash, bash and the sh of macOS.
PATH=$PATH:/usr/bin:/bin
exec 3<&0 4>&1 </dev/null >&2

"$@" 3<&- &
program=$!

(
    # Returns at the end of the pipe; nothing is ever written to it.
    read -r _ <&3
    second=0
    # Repeated, because a program still starting may miss a signal. SIGINT is PostgreSQL's fast
    # shutdown, SIGQUIT its immediate one; both are harmless a second time.
    while [ "$second" -lt 40 ]; do
        signal=INT
        [ "$second" -ge 20 ] && signal=QUIT
        [ "$second" -ge 30 ] && signal=KILL
        kill -s "$signal" "$program" 2>/dev/null || exit 0
        # Without a pause there would be no mercy either.
        sleep 1 || exit 0
        second=$((second + 1))
    done
) 4>&- &
watcher=$!
exec 3<&-

wait "$program"
status=$?
# Some shells report a killed child, which is no news for the log.
exec 2>/dev/null
kill -s KILL "$watcher"
wait "$watcher"
exit "$status"
