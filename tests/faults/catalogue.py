"""The seventy faults: which tests make each happen, or why none does here."""

from __future__ import annotations

MATRIX = "tests/faults/test_crash_matrix.py::test_killed_at_every_point"
DURING = "tests/faults/test_crash_matrix.py::test_killed_while_compose_works"
DAEMON = "tests/faults/test_daemon_faults.py::"
ENGINE = "tests/faults/test_no_engine_faults.py::"
OWN = "tests/faults/test_supervisor_faults.py::"
HERE = "tests/faults/test_environment_faults.py::"
UP = "tests/commands/test_up_failures.py::"
MACHINE = "tests/commands/test_bad_machine.py::"
WATCHDOG = "tests/supervisor/test_watchdog.py::"
STATE = "tests/state/"
CORE = "tests/core/"

NOT_HERE = "not run here: "

FAULTS: dict[int, tuple[str, tuple[str, ...]]] = {
    # process death
    1: ("kill -9 after the lock, before the record", (MATRIX,)),
    2: ("kill -9 after the `starting` record, before Compose", (MATRIX,)),
    3: ("kill -9 during a pull", (ENGINE + "test_a_registry_that_never_answers_can_be_left",)),
    4: ("kill -9 after the network was made", (DURING,)),
    5: ("kill -9 between create and start", (DURING,)),
    6: ("kill -9 after start, before health", (UP + "test_after_kill_9_of_up_down_leaves_nothing", MATRIX)),
    7: ("kill -9 after Compose, before the `running` record", (MATRIX,)),
    8: (
        "the command is killed, its Compose lives on",
        (
            "tests/engine/test_engine_compose.py::test_nothing_drives_compose_after_we_are_gone",
            UP + "test_after_kill_9_of_up_the_next_one_starts_from_a_known_state",
            DURING,
        ),
    ),
    9: ("the whole process group is killed", (MATRIX, DURING)),
    10: ("kill -9 at each step of `down`", (MATRIX,)),
    11: (
        "a command is killed that owns an environment (`with`)",
        ("tests/commands/test_inside.py::test_a_killed_with_leaves_nothing",),
    ),
    12: (
        "signals during `up`, once and twice; a reader that goes away",
        (
            UP + "test_an_interrupted_up_undoes_what_it_made",
            HERE + "test_a_second_signal_ends_it_at_once_and_reap_cleans_up",
            HERE + "test_a_reader_that_went_away_is_no_error",
        ),
    ),
    13: (
        "the supervisor is killed in the middle of an act",
        (OWN + "test_one_that_was_killed_in_the_middle_of_an_act_is_continued_by_the_next", MATRIX),
    ),
    14: (
        "the supervisor is killed for memory",
        (OWN + "test_one_that_the_kernel_killed_for_memory_is_followed_by_one_that_catches_up",),
    ),
    15: (
        "the supervisor hangs",
        (OWN + "test_one_that_hangs_is_told_by_status_and_its_successor_goes_on",),
    ),
    16: (
        "records of a newer and of older versions",
        (
            OWN + "test_a_record_of_a_newer_version_is_told_and_its_environment_left_alone",
            STATE
            + "test_golden_records.py::test_every_older_schema_is_read_and_written_back_as_the_present_one",
        ),
    ),
    17: ("two supervisors", (OWN + "test_a_second_supervisor_says_who_holds_it",)),
    18: ("the supervisor in a crash loop", (OWN + "test_one_that_is_killed_again_and_again_harms_nobody",)),
    # the engine
    19: (
        "dockerd is killed and started",
        (DAEMON + "test_after_a_killed_daemon_nothing_is_forgotten_and_up_starts_it_again",),
    ),
    20: (
        "dockerd is stopped and started, with live restore and without",
        (
            DAEMON + "test_containers_that_outlive_their_daemon_keep_their_limits_and_their_lifetime",
            DAEMON + "test_data_is_as_it_was_after_all_of_it",
        ),
    ),
    21: (
        "no dockerd at all",
        (
            ENGINE + "test_a_daemon_that_is_not_there_is_told_at_once",
            OWN + "test_with_no_engine_it_waits_and_deletes_nothing",
        ),
    ),
    22: (
        "dockerd accepts and never answers",
        (
            ENGINE + "test_a_daemon_that_accepts_and_never_answers_holds_nobody_up",
            DAEMON + "test_a_frozen_daemon_holds_up_no_command_for_long_and_is_watched_again_when_it_thaws",
        ),
    ),
    23: ("dockerd is slow", (ENGINE + "test_a_slow_engine_is_waited_for",)),
    24: (
        "containerd is killed alone",
        (DAEMON + "test_a_containerd_that_was_killed_alone_does_not_make_down_lie",),
    ),
    25: (
        "the host reboots",
        (DAEMON + "test_after_a_reboot_everything_is_marked_and_nothing_is_lost",),
    ),
    26: (
        "the stream of events ends, or is silent",
        (
            ENGINE + "test_an_engine_whose_events_are_cut_is_watched_on",
            "tests/engine/test_events.py::test_a_daemon_that_does_not_answer_is_waited_for_so_long_only",
        ),
    ),
    27: (
        "stats that say `--`, zero or nothing",
        (
            "tests/engine/test_stats.py::test_garbage_beside_good_lines",
            "tests/engine/test_stats.py::test_those_that_are_gone_are_left_out_and_fail_nobody",
            CORE + "test_verdicts.py::test_no_sample_is_never_zero_and_never_a_violation",
        ),
    ),
    28: (
        "a container vanishes between list and inspect",
        ("tests/engine/test_roster.py::test_one_that_vanishes_between_the_two_questions_is_left_out",),
    ),
    29: (
        "a container is renamed",
        (DAEMON + "test_what_was_paused_or_renamed_behind_our_back_is_ended_all_the_same",),
    ),
    30: (
        "a process that the kernel holds",
        (HERE + "test_a_process_that_the_kernel_holds_is_reported_stuck_and_shields_no_other",),
    ),
    31: (
        "a paused container",
        (DAEMON + "test_what_was_paused_or_renamed_behind_our_back_is_ended_all_the_same",),
    ),
    32: (
        "a restart policy that resurrects",
        (
            DAEMON + "test_what_down_began_a_restarted_daemon_does_not_bring_back",
            DAEMON + "test_what_was_ended_and_still_came_back_is_removed",
        ),
    ),
    33: (
        "a crash loop",
        (WATCHDOG + "test_a_crash_loop_is_restarted_three_times_and_what_was_stopped_by_hand_never",),
    ),
    34: ("no subnet is left", (DAEMON + "test_a_full_range_of_subnets_is_told_and_makes_nothing",)),
    35: (
        "a port is taken",
        (
            ENGINE + "test_a_port_that_is_taken_between_choosing_and_starting_is_told_and_undone",
            UP + "test_a_port_asked_for_by_number_that_is_taken_names_its_holder",
        ),
    ),
    36: (
        "an image that nobody has",
        (ENGINE + "test_a_registry_that_is_not_there_is_told_and_makes_nothing",),
    ),
    37: ("a pull that hangs", (ENGINE + "test_a_registry_that_never_answers_can_be_left",)),
    38: (
        "a port's proxy outlives dockerd",
        (DAEMON + "test_after_a_killed_daemon_nothing_is_forgotten_and_up_starts_it_again",),
    ),
    39: (
        "two networks of one name",
        (DAEMON + "test_a_network_of_the_same_name_is_not_taken_for_ours",),
    ),
    40: (
        "another engine between `up` and `down`",
        (DAEMON + "test_with_another_engine_in_its_place_an_environment_is_left_alone",),
    ),
    41: (
        "an engine that cannot limit, or says so and does not",
        (
            ENGINE + "test_an_engine_that_cannot_limit_is_refused",
            ENGINE + "test_a_limit_that_is_not_in_force_fails_closed",
        ),
    ),
    42: (
        "cgroups of both versions and both drivers",
        (CORE + "test_cgroup_trees.py::test_the_sampler_reads_version_two", "tests/engine/test_sampler.py"),
    ),
    43: (
        "no right to the socket",
        (MACHINE + "test_a_user_without_rights_on_the_socket_is_told_what_to_do",),
    ),
    44: ("an engine of another age", (ENGINE + "test_an_engine_too_old_for_us_is_told",)),
    # time, resources
    45: ("the clock is set", (OWN + "test_a_clock_that_was_set_ends_nobody",)),
    46: ("the host slept", (OWN + "test_time_spent_suspended_counts_and_no_more_than_that",)),
    47: (
        "the owner's process id was given to another",
        (OWN + "test_an_owner_whose_number_was_given_to_another_process_is_dead",),
    ),
    48: ("the owner is a zombie", (OWN + "test_an_owner_that_is_a_zombie_is_dead",)),
    49: (
        "the disk is full",
        (
            MACHINE + "test_a_full_disk_is_told_and_nothing_is_started",
            ENGINE + "test_a_disk_that_is_full_at_any_write_leaves_no_torn_file_and_nothing_running",
        ),
    ),
    50: (
        "no inodes, or a disk that turned read-only",
        (
            ENGINE + "test_a_disk_without_inodes_is_told_and_nothing_is_started",
            MACHINE + "test_a_read_only_state_directory_is_told",
        ),
    ),
    51: (
        "a record that is cut, flipped or empty",
        (
            STATE + "test_record_files.py::test_no_damage_at_any_byte_is_taken_for_a_record",
            STATE + "test_record_files.py::test_writing_over_a_damaged_record_sets_it_aside",
        ),
    ),
    52: (
        "the state directory is deleted",
        (DAEMON + "test_a_state_directory_that_was_deleted_ends_nobody_and_adopt_takes_it_on",),
    ),
    53: (
        "the repository is deleted while it runs",
        (HERE + "test_a_repository_that_was_deleted_is_no_obstacle",),
    ),
    54: (
        "memory rises faster than anybody looks",
        (HERE + "test_a_spike_of_memory_is_ended_by_the_kernel_and_named",),
    ),
    55: (
        "a child is ended for memory, its container lives",
        (WATCHDOG + "test_a_child_that_the_kernel_ends_for_memory_is_told_of_and_its_container_lives",),
    ),
    56: ("a container that reads big files", (WATCHDOG + "test_what_was_only_read_from_disk_ends_nobody",)),
    57: ("memory in a tmpfs", ("tests/engine/test_sampler.py::test_memory_behind_a_tmpfs_counts",)),
    58: (
        "a fork bomb",
        (WATCHDOG + "test_a_rogue_is_ended_with_its_environment_and_the_incident_tells_why",),
    ),
    59: (
        "a flood of log lines",
        (WATCHDOG + "test_a_flood_of_log_lines_stays_within_its_files_and_hurts_nobody",),
    ),
    60: (
        "a hundred containers",
        (NOT_HERE + "it takes minutes and measures more than it tests; bench/watchdog.py does, up to 200",),
    ),
    # concurrency, safety, security
    61: (
        "commands at once on one environment",
        (
            HERE + "test_up_and_down_and_reap_at_once_are_one_after_the_other",
            HERE + "test_the_loser_of_a_race_learns_who_holds_it",
            UP + "test_two_ups_at_once_are_one_after_the_other",
        ),
    ),
    62: (
        "forged labels",
        (
            HERE + "test_strangers_of_every_kind_outlive_up_down_purge_and_the_reaper",
            HERE + "test_a_stranger_with_composes_labels_for_one_of_our_services_is_not_replaced",
            "tests/commands/test_inside.py::test_a_stranger_with_our_labels_is_never_touched",
        ),
    ),
    63: (
        "data of another user",
        (
            HERE + "test_data_of_another_user_is_warned_of_and_kept",
            "tests/commands/test_inside.py::test_purge_deletes_what_containers_wrote_under_other_uids",
        ),
    ),
    64: (
        "a folder that becomes a link",
        (
            HERE + "test_a_data_folder_that_became_a_link_is_refused_and_nothing_behind_it_is_touched",
            STATE + "test_trash.py::test_links_are_removed_never_followed",
        ),
    ),
    65: ("names that lead elsewhere", (CORE + "test_names.py::test_what_may_not_be_a_name",)),
    66: ("documents that are bombs", (CORE + "test_documents.py::test_hostile_text_is_refused_fast",)),
    67: ("values that would be YAML, or Compose's `$`", (CORE + "test_render_injection.py",)),
    68: (
        "a secret that leaks",
        ("tests/commands/test_inside.py::test_a_secret_stands_nowhere_but_in_its_file_url_and_env",),
    ),
    69: (
        "a state directory that others may write, or a link",
        (
            STATE + "test_home.py::test_one_that_others_may_write_is_refused",
            STATE + "test_locks.py::test_a_link_is_refused_and_what_it_leads_to_untouched",
        ),
    ),
    70: (
        "a lock of before the reboot, or on a disk of several hosts",
        (
            STATE + "test_locks.py::test_kill_9_frees_it_and_the_dead_holder_is_not_named",
            STATE + "test_home.py::test_a_disk_that_several_hosts_write_is_refused",
        ),
    ),
}
"""Number -> what goes wrong, and the tests that make it (`path` or `path::test`), or one reason."""
