"""Bash for the host: start a command that outlives the connection, and follow it. `_ssh_detached` says how it is used.

Each kept shell has it as functions. Once it had the first such command, it prepares for the next while it lies idle:
what follows the command, the command's own bash (forked, waiting for its text), the files for its output (a *slot*).
Both processes end when the shell does. What follows runs in a subshell, so that its variables are its own.
"""

from typing import Final

# A trap's action does all the work; in bash 5.2 it spoils `read -t`, and `wait`: see _dsi_reap.
# `read -t` on a pipe in which nothing comes is a sleep that costs no process.
# LC_ALL=C: in other locales an incomplete character swallows what is behind it, and lengths aren't bytes.
# `read -N` reads a pipe in blocks; with a delimiter it is byte by byte.
# File descriptors: 3 the session's input, 4 its stderr, 5 silence, 7 the pipe from the shell, then that
# from the reaper, 8 that to the command. A coprocess has both pipes for one fork; `<(:)` forks for each.
FOLLOW: Final = r"""
_dsi_told=99  # the exit status of what has said the end of its output itself
_dsi_prepare() {
  [[ -e /dev/fd/7 ]] || exec 7<> <(:)
  _dsi_slot=$((_dsi_slot + 1))
  set -m
  (_dsi_follow) 3<&0 </dev/fd/7 7>&- &
  set +m
  _dsi_next=$!
}
_dsi_follow() {
  local go begin end length prepared request line s stat
  s= mine= tails= others= ending= quiet= unheard=
  folder=$HOME/.dsi/run slot=$HOME/.dsi/run/@SLOTS@.$_dsi_slot
  prepared=$slot
  trap '_dsi_stop; [[ $mine ]] || rm -f -- "$prepared".*' EXIT
  _dsi_ready
  trap '' PIPE  # a session that ends must not end us
  until [[ $1 == "$_dsi_slot" ]]; do
    IFS= read -r -N 128 go || exit  # the shell has ended
    set -- $go
  done
  begin=$2 end=$3 length=$4
  [[ $c ]] || _dsi_ready
  LC_ALL=C
  IFS= read -r -N "$length" request <&3 || exit
  exec </dev/null 3<&-
  set -- ${request%%$'\n'*}
  i=$folder/$1 beat=$folder/$2.beat mark=$3 may_start=$4 at_once=$5 orphan_s=$6 o=$7 e=$8 limit=$9
  trap _dsi_show USR1
  trap _dsi_let_go USR2
  trap _dsi_end TERM
  echo "$begin$BASHPID"
  if [[ $may_start == 1 ]]; then
    # A request that lay in the pipe when its sshd ended must not start what another request has started and finished.
    IFS= read -r stat </proc/$PPID/stat || exit
    stat=${stat##*) }
    [[ $stat != [ZX]* ]] || exit
    if [[ ! -e $i.state ]]; then  # else an earlier request has begun it
      [[ $c ]] || _dsi_tell refused
      [[ -s $beat ]] || _dsi_beat
      kill -0 "$c" && [[ -e $slot.out && -e $slot.err ]] || exit  # somebody removed them: ask again
      set -C
      { mine=1; echo "${slot##*/} $c $BASHPID $start $boot"; } >"$i.state" || {
        [[ ! $mine ]] || rm -f -- "$i.state"  # the disk is full
        mine=
      }
      set +C
      [[ -e $i.state ]] || _dsi_tell refused
    fi
  else
    _dsi_beat
    [[ -e $i.state ]] || _dsi_tell gone
  fi
  if [[ $mine && $at_once == 1 ]]; then  # ended before it began: now it never will
    echo "143 0 0" >>"$i.state"
    _dsi_tell "143 all"
  fi
  if [[ $mine ]]; then _dsi_supervise "${request#*$'\n'}"; else _dsi_follow_on; fi
}
_dsi_ready() {
  local line
  c=
  [[ -d $folder ]] || mkdir -p -m 700 "$folder"
  {  # opened before the fork: later they would be made again where the shell has ended and they were removed
    coproc _dsi_pipes { _dsi_reap; }
  } 6>>"$slot.out" 9>>"$slot.err" && exec 7<&"${_dsi_pipes[0]}"- 8>&"${_dsi_pipes[1]}"- && IFS= read -r c <&7
  # Nothing in c: the disk is full.
  { IFS= read -r line <"/proc/$BASHPID/stat"; IFS= read -r boot </proc/sys/kernel/random/boot_id; }
  set -- ${line##*) }
  start=${20}
}
_dsi_reap() {  # a wait that a trap interrupts may never hear of the child's end (bash 5.2): here no signal does
  trap '' USR1 TERM
  exec 3<&- 4>&- 7>&-
  set -m
  (
    trap - USR1 TERM
    exec bash --norc --noprofile -c 'LC_ALL=C IFS= read -r REPLY <&3 && LC_ALL=C IFS= read -r -N "$REPLY" REPLY <&3 &&
      exec 3<&- && eval "$REPLY"' 3<&0 </dev/null >&6 2>&9 6>&- 9>&-
  ) &
  echo "$!"
  exec </dev/null 6>&- 9>&-
  wait "$!"
  echo "$?"
}
_dsi_now() { IFS=' ' read -r up _ </proc/uptime && up=${up/./}; }  # hundredths of seconds
_dsi_beat() { _dsi_now && echo "$up" >"$beat"; }
_dsi_supervise() {
  local short out err
  printf '%s\n%s' "${#1}" "$1" >&8
  exec 8>&-
  IFS= read -r s <&7 || {  # somebody has ended the reaper
    kill -KILL -- "-$c"
    _dsi_tell gone
  }
  [[ -e $slot.out && -e $slot.err ]] || _dsi_tell gone  # what it wrote was removed
  trap '' USR1 USR2 TERM
  [[ ! $ending ]] || _dsi_wait_for_group
  _dsi_sizes
  echo "$s $o_end $e_end" >>"$i.state"
  if [[ -e $i.orphan ]]; then
    _dsi_stop
    rm -f -- "$i".* "$slot".*
    exit 0
  fi
  if [[ $unheard ]]; then
    _dsi_stop
    exit 0
  fi
  # The tails may have sent all of it or not: dsi, who has counted, asks for the rest. Nothing has no rest.
  [[ $tails ]] && ((o_end + e_end > 0)) && _dsi_tell "$s more"
  [[ $short ]] || _dsi_rest
  [[ ! $err ]] || printf %s "$err" >&4
  mark=$out$mark
  _dsi_tell "$s all"
}
_dsi_sizes() {  # what a process that was left behind writes later is nobody's
  short= out= err= o_end=0 e_end=0
  if _dsi_short "$slot.out" && out=$REPLY && _dsi_short "$slot.err"; then
    short=1 err=$REPLY o_end=${#out} e_end=${#err}
  else
    { read -r o_end && read -r e_end; } < <(stat -c %s "$slot.out" "$slot.err")
  fi
}
_dsi_short() {  # a short output without a NUL is read here, byte by byte: no process is started
  ! IFS= read -r -d '' -n 1000 REPLY <"$1"
}
_dsi_quiet() {  # a pipe in which nothing comes
  [[ $quiet ]] || exec 5<> <(:)
  quiet=1
}
_dsi_rest() {
  if [[ -e $i.full ]]; then  # of what it wrote until it was ended no more is told than was allowed
    ((o_end <= o + limit)) || o_end=$((o + limit))
    ((e_end <= e + limit)) || e_end=$((e + limit))
  fi
  ((o_end > o)) && _dsi_part "$slot.out" "$o" "$o_end"
  ((e_end > e)) && _dsi_part "$slot.err" "$e" "$e_end" >&4
  _dsi_tell "$s all"
}
_dsi_part() {
  if (($2 == 0)); then head -c "$3" "$1"; else tail -c "+$(($2 + 1))" "$1" | head -c "$(($3 - $2))"; fi
}
_dsi_show() {  # as it comes
  [[ ! $tails ]] || return
  (
    [[ $mine ]] && trap '' TERM  # it comes to our whole group, and there may be last words
    exec tail -c "+$((o + 1))" -f -s 0.2 "$slot.out" 5<&- 8>&-
  ) &
  tails=$!
  (
    [[ $mine ]] && trap '' TERM
    exec tail -c "+$((e + 1))" -f -s 0.2 "$slot.err" >&4 5<&- 8>&-
  ) &
  tails+=" $!"
  [[ ! $mine ]] || _dsi_watch
}
_dsi_let_go() {  # who gets the output holds it back: others need the shell, and who asks later follows what was written
  local stat IFS=' '  # it came in the middle of a `read` that has none
  trap '' USR1 USR2
  unheard=1
  if [[ $tails ]]; then kill -KILL $tails; else _dsi_watch; fi
  tails=
  exec >/dev/null 4>&-
  IFS= read -r stat <"/proc/$BASHPID/stat"
  set -- ${stat##*) }
  [[ $2 != "$$" ]] || kill -KILL "$$"
}
_dsi_watch() {  # for dsi's sign of life, and that its output doesn't fill the disk
  local whose=$BASHPID
  _dsi_quiet
  (
    trap - TERM
    last=0
    while kill -0 "$whose"; do  # else somebody has killed it, and $c may be another by now
      why=
      if _dsi_orphaned; then why=orphan; elif _dsi_full; then why=full; fi
      if [[ $why ]]; then
        : >"$i.$why"
        kill -TERM -- "-$c"
        IFS= read -r -t 4.5 -u 5 _
        kill -KILL -- "-$c"
        exit
      fi
      IFS= read -r -t 2 -u 5 _
    done
  ) >/dev/null 4>&- 8>&- &
  others+=" $!"
}
_dsi_orphaned() {
  _dsi_now
  IFS= read -r last <"$beat"
  ((last > 0 && up - last > orphan_s * 100))
}
_dsi_full() {  # what was freed takes no blocks
  { read -r o_end && read -r e_end; } < <(stat -c %b "$slot.out" "$slot.err") && (((o_end + e_end) * 512 > limit))
}
_dsi_end() {  # dsi sends SIGKILL to us 5 s after SIGTERM, and the command must be gone by then
  at_once=1
  [[ $c && ! $ending ]] || return
  ending=1
  _dsi_quiet
  kill -TERM -- "-$c"
  (
    trap '' TERM
    IFS= read -r -t 4.5 -u 5 _
    kill -KILL -- "-$c"
  ) >/dev/null 4>&- 8>&- &
  ending=$!
  others+=" $!"
}
_dsi_group_left() {
  local stat line
  for stat in /proc/[0-9]*/stat; do
    IFS= read -r line <"$stat" || continue
    set -- ${line##*) }
    [[ $3 == "$c" && $1 != [ZX] ]] && return 0
  done
  return 1
}
_dsi_wait_for_group() {
  while _dsi_group_left && kill -0 "$ending"; do IFS= read -r -t 0.02 -u 5 _; done
}
_dsi_stop() {  # this is the end: a signal that comes now must start nothing that nobody stops
  trap '' USR1 USR2 TERM
  [[ ! $tails$others ]] || { kill -KILL $tails $others && wait $tails $others; }  # a bare one waits for the reaper
  tails= others=
}
_dsi_tell() {
  _dsi_stop
  [[ ! -e $i.full ]] || set -- "$1 full"
  # Both at once, and here: until we have ended, and the shell has seen that, takes longer than a short command.
  printf '%s%s\n%s0\n' "$mark" "$1" "$end"
  printf '%s\n' "$end" >&4
  exit "$_dsi_told"
}
_dsi_state() {
  IFS=' ' read -r slot c p start boot && slot=$folder/$slot && IFS=' ' read -r s o_end e_end
} <"$i.state"
_dsi_reaper_lives() {
  local line now
  IFS= read -r now </proc/sys/kernel/random/boot_id && [[ $boot == "$now" ]] && IFS= read -r line <"/proc/$p/stat" ||
    return 1
  set -- ${line##*) }
  [[ ${20} == "$start" && $1 != [ZX] ]]
}
_dsi_follow_on() {  # what another of us has started
  local p follower looks=0
  exec 8>&-  # the bash that was prepared ends
  rm -f -- "$prepared".*  # now: we may be ended at once
  c= slot= ending=  # what ended the bash that was prepared has not ended this one
  _dsi_quiet
  if _dsi_state; then
    trap '' USR1  # it would send all of it once more
    _dsi_rest
  fi
  echo "$BASHPID" >"$i.follower"
  while :; do
    [[ ! $slot ]] || _dsi_show
    IFS= read -r -t 0.2 -u 5 _
    if _dsi_state; then
      [[ ! $ending ]] || _dsi_wait_for_group
      _dsi_tell "$s more"
    fi
    follower=
    IFS= read -r follower <"$i.follower"  # nothing where the disk is full
    [[ -e $i.state && ${follower:-$BASHPID} == "$BASHPID" ]] || {
      _dsi_stop
      exit 0
    }
    ((looks++))
    if [[ $c ]] && ! _dsi_reaper_lives || [[ ! $c && $looks -gt 50 ]]; then
      _dsi_state && _dsi_tell "$s more"
      [[ $c ]] && kill -KILL -- "-$c"
      _dsi_tell gone
    fi
    if _dsi_orphaned; then : >"$i.orphan"; fi
    if [[ $c && ( $at_once == 1 || -e $i.orphan ) ]]; then _dsi_end; fi
  done
}
"""
