"""Bash for the host: start a command that outlives the connection, and follow it. `_ssh_detached` says how it is used.

Each kept shell has it as a function: bash reads what comes over a pipe byte by byte, so what is sent with every command
is kept short. It runs in a subshell, so that its variables are its own.
"""

from typing import Final

# Its arguments are named in its first lines; the outputs are those of the session.
# A trap's action does all the work, and sets `again` since it interrupts `wait` (in bash 5.2 it spoils `read -t`).
# `read -t` on a pipe in which nothing comes is a sleep that costs no process.
# LC_ALL=C: in other locales an incomplete character swallows what is behind it.
FOLLOW: Final = r"""
_dsi_follow() {
  i=$HOME/.dsi/run/$1 beat=$HOME/.dsi/run/$2.beat
  mark=$3 may_start=$4 joined=$5 at_once=$6 orphan_s=$7 o=$8 e=$9 text=${10}
  s= c= mine= tails= others= again= ending= quiet=
  exec 4>&2 2>/dev/null  # bash tells of jobs that were killed
  if [[ $may_start ]]; then
    # A request that lay in the pipe when its sshd ended must not start what another request has started and finished.
    IFS= read -r s </proc/$PPID/stat || exit 0
    s=${s##*) }
    [[ $s != [ZX]* ]] || exit 0
    s=
    [[ -d ${i%/*} ]] || mkdir -p -m 700 "${i%/*}"
    [[ -s $beat ]] || _dsi_beat
    set -C
    { : >"$i.state"; } && mine=1
    set +C
    [[ -e $i.state ]] || _dsi_tell refused
  else
    _dsi_beat
    [[ -e $i.state ]] || _dsi_tell gone
  fi
  if [[ $mine && $at_once ]]; then  # ended before it began: now it never will
    echo "0 0 0 -"$'\n'"143 0 0" >>"$i.state"
    _dsi_tell "143 all"
  fi
  if [[ $mine ]]; then _dsi_supervise; else _dsi_follow_on; fi
}
_dsi_now() { IFS=' ' read -r up _ </proc/uptime && up=${up/./}; }  # hundredths of seconds
_dsi_beat() { _dsi_now && echo "$up" >"$beat"; }
_dsi_supervise() {
  local line boot
  trap 'again=1; _dsi_show' USR1
  trap 'again=1; _dsi_end' TERM
  if [[ $joined ]]; then exec 6>>"$i.out"; else exec 6>>"$i.err"; fi
  set -m
  bash --norc --noprofile -c 'LC_ALL=C IFS= read -r -d "" REPLY <&3; exec 3<&-; eval "$REPLY"' \
    3<<<"$text" </dev/null >>"$i.out" 2>&6 4>&- 5<&- 6>&- &
  c=$!
  set +m
  exec 6>&-
  [[ ! $ending ]] || kill -KILL -- "-$c"  # asked for before there was anything to end
  { IFS= read -r line <"/proc/$BASHPID/stat"; IFS= read -r boot </proc/sys/kernel/random/boot_id; }
  set -- ${line##*) }
  echo "$c $BASHPID ${20} $boot" >>"$i.state"
  while again=; do
    wait "$c"
    s=$?
    [[ $again ]] || break
  done
  trap '' USR1 TERM
  [[ ! $ending ]] || _dsi_wait_for_group
  o_end=0 e_end=0  # what a process that was left behind writes later is nobody's
  [[ -s $i.out || -s $i.err ]] && { read -r o_end && read -r e_end; } < <(stat -c %s "$i.out" "$i.err")
  echo "$s $o_end $e_end" >>"$i.state"
  if [[ -e $i.orphan ]]; then
    _dsi_stop
    rm -f -- "$i".*
    exit 0
  fi
  [[ $tails ]] && _dsi_tell "$s more"
  _dsi_rest
}
_dsi_quiet() {  # a pipe in which nothing comes
  [[ $quiet ]] || exec 5<> <(:)
  quiet=1
}
_dsi_rest() {
  ((o_end > o)) && _dsi_part "$i.out" "$o" "$o_end"
  ((e_end > e)) && _dsi_part "$i.err" "$e" "$e_end" >&4
  _dsi_tell "$s all"
}
_dsi_part() {
  if (($2 == 0)); then head -c "$3" "$1"; else tail -c "+$(($2 + 1))" "$1" | head -c "$(($3 - $2))"; fi
}
_dsi_show() {  # as it comes
  [[ ! $tails ]] || return
  : >>"$i.out"
  : >>"$i.err"
  (
    [[ $mine ]] && trap '' TERM  # it comes to our whole group, and there may be last words
    exec tail -c "+$((o + 1))" -f -s 0.2 "$i.out" 5<&-
  ) &
  tails=$!
  (
    [[ $mine ]] && trap '' TERM
    exec tail -c "+$((e + 1))" -f -s 0.2 "$i.err" >&4 5<&-
  ) &
  tails+=" $!"
  [[ ! $mine ]] || _dsi_watch
}
_dsi_watch() {  # for dsi's sign of life
  _dsi_quiet
  (
    trap - TERM
    last=0
    until _dsi_orphaned; do IFS= read -r -t 2 -u 5 _; done
    : >"$i.orphan"
    kill -TERM -- "-$c"
    IFS= read -r -t 4.5 -u 5 _
    kill -KILL -- "-$c"
  ) >/dev/null 4>&- &
  others+=" $!"
}
_dsi_orphaned() {
  _dsi_now
  IFS= read -r last <"$beat"
  ((last > 0 && up - last > orphan_s * 100))
}
_dsi_end() {  # dsi sends SIGKILL to us 5 s after SIGTERM, and the command must be gone by then
  [[ ! $ending ]] || return
  ending=1
  _dsi_quiet
  kill -TERM -- "-$c"
  (
    trap '' TERM
    IFS= read -r -t 4.5 -u 5 _
    kill -KILL -- "-$c"
  ) >/dev/null 4>&- &
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
_dsi_stop() {
  [[ ! $tails$others ]] || kill -KILL $tails $others && wait $tails $others
  tails= others=
}
_dsi_tell() {
  _dsi_stop
  printf '%s%s\n' "$mark" "$1"
  exit 0
}
_dsi_state() {
  IFS=' ' read -r c p start boot && IFS=' ' read -r s o_end e_end
} <"$i.state"
_dsi_reaper_lives() {
  local line now
  IFS= read -r now </proc/sys/kernel/random/boot_id && [[ $boot == "$now" ]] && IFS= read -r line <"/proc/$p/stat" ||
    return 1
  set -- ${line##*) }
  [[ ${20} == "$start" && $1 != [ZX] ]]
}
_dsi_follow_on() {  # what another of us has started
  local p start boot follower looks=0
  _dsi_quiet
  _dsi_state && _dsi_rest
  echo "$BASHPID" >"$i.follower"
  _dsi_show
  while :; do
    IFS= read -r -t 0.2 -u 5 _
    if _dsi_state; then
      [[ ! $ending ]] || _dsi_wait_for_group
      _dsi_tell "$s more"
    fi
    IFS= read -r follower <"$i.follower" && [[ $follower == "$BASHPID" ]] || {
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
    if [[ $c && ( $at_once || -e $i.orphan ) ]]; then _dsi_end; fi
  done
}
"""
