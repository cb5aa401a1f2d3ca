"""From a finished run and new recordings to what the network says of them: tables, timelines and annotated videos."""
