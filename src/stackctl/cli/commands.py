"""Every command by its name: where it is, what it is for, in which section of the help it stands.

Click is not needed here: a press of TAB reads this too.
"""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("lifecycle", "Bring an environment up, or make it what its stack file says."),
    "down": ("lifecycle", "End an environment; its data stays."),
    "restart": ("lifecycle", "Restart services of an environment."),
    "with": ("tied", "Run a command with an environment that ends with it."),
    "run": ("running", "Run a command in a container of its own, as a task."),
    "batch": ("batch", "Run the tasks of a file, so many at a time."),
    "tasks": ("tasks", "List tasks; forget those that ended long ago."),
    "wait": ("tasks", "Wait until tasks have ended."),
    "cancel": ("tasks", "End tasks."),
    "inspect": ("tasks", "Show all that is known of a task."),
    "rm": ("tasks", "Forget tasks that have ended."),
    "extend": ("lifecycle", "Give an environment more lifetime."),
    "move": ("upkeep", "Take an environment's data along after its repository was moved."),
    "purge": ("upkeep", "Delete an environment's data."),
    "status": ("looking", "Show how an environment stands."),
    "ps": ("looking", "Show how an environment stands (same as status)."),
    "list": ("looking", "List every environment of this user."),
    "logs": ("inside", "Show the logs of an environment."),
    "exec": ("inside", "Run a command in a service."),
    "shell": ("inside", "Open a shell in a service."),
    "url": ("addresses", "Print where a service is reached."),
    "env": ("addresses", "Print an environment's variables for a shell, dotenv or JSON."),
    "render": ("documents", "Print the bounded compose document."),
    "bound": ("bounding", "Print a compose file as it would run, bounded."),
    "lock": ("locking", "Write down the digests of a stack's images."),
    "eject": ("ejecting", "Write a folder that runs a stack without stackctl."),
    "diff": ("documents", "Show what `up` would change in what runs."),
    "lint": ("linting", "Check a stack or compose file against the policy."),
    "limits": ("documents", "Show each limit, what it bounds and where it came from."),
    "templates": ("authoring", "List templates and their variables."),
    "new": ("authoring", "Write a new stack file."),
    "init": ("scaffolding", "Make a repository ready: a stack, targets for make, what git ignores."),
    "make": ("making", "Write `stackctl.mk`: targets for make."),
    "schema": ("schema", "Print the JSON Schema of a file, or of `--json`."),
    "supervise": ("supervising", "Watch every environment, act below the limits, end lifetimes."),
    "reap": ("reaping", "Clean up what crashes left behind; data is never deleted."),
    "adopt": ("reaping", "Take on an environment whose record was lost."),
    "incidents": ("incidents", "List what the watchdog enforced."),
    "why": ("incidents", "Tell in plain words why an environment was ended."),
    "guard": ("guarding", "Run a command of this host so that nothing outlives it; sweep orphans."),
    "doctor": ("health", "Check the engine, the host and the state directory."),
    "service": ("service", "Run the supervisor as a systemd service."),
    "self": ("own", "Update, take back, remove or look over stackctl itself."),
    "completion": ("completion", "Print the completion script for a shell."),
}

SECTIONS: dict[str, tuple[str, ...]] = {
    "Environments": ("up", "down", "restart", "with", "extend", "move", "purge"),
    "Tasks": ("run", "batch", "tasks", "wait", "cancel", "inspect", "rm"),
    "Watching": ("supervise", "reap", "adopt", "incidents", "why"),
    "Looking": ("status", "list", "logs", "exec", "shell", "url", "env"),
    "Stack files": ("render", "bound", "lock", "eject", "diff", "lint", "limits", "templates"),
    "A repository": ("init", "new", "make", "schema"),
    "This machine": ("guard", "doctor", "service", "self", "completion"),
}

SERVICE_ACTIONS = ("install", "uninstall", "status")
"""What can be done with the supervisor's service."""
OWN_ACTIONS = ("update", "rollback", "uninstall", "doctor")
"""What can be done with stackctl itself."""
SHELLS = ("bash", "zsh", "fish")
"""The shells that there are completion scripts for."""
