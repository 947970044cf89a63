"""What the audit record tells: which records are wanted, what they come to, and other formats.

`guard` reads and proves the record; here it is understood. `filters` says which records are meant,
`summary` adds them up and `page` draws that; `ecs`, `otel` and `cef` say it in others' terms.
"""
