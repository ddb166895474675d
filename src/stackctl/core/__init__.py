"""The judgement of stackctl: pure functions over frozen data, with no I/O of any kind."""
