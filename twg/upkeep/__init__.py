"""Upkeep: renews what is nearly due by a schedule of the person's own, so that no agent has to.

`renewing` does one run and `record` keeps what came of it. `schedule` has the system start runs:
by `systemd`, `launchd` or `cron`, each of which writes a `Job` down in its own language. No secret
and no token passes through here: the job is a command line, and the record is times and reasons.
"""
